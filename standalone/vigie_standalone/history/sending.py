"""One request of an import, repeated until it has an answer that settles it."""

import gzip
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from vigie_identity.permissions import Permission

from vigie_standalone.history.patience import ImportFailedError, Patient, json_of, message
from vigie_standalone.history.reading import Batch, FileFormat

PATH = "/api/import/telemetry"
_REPEATED = frozenset({int(httpx2.codes.CONFLICT)})
"""The same request is still under way."""


class NotAllowedError(ImportFailedError):
    """Whoever runs it may not import: the same command would stop there again."""


@dataclass
class BatchOutcome:
    """What became of a batch."""

    accepted: int
    repeated: int
    rejected: int
    refused: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    """(line of the file, field, reason) of the first 100 of the rejected ones."""


class Importer:
    """Sends batches one after the other. A key per run and batch: whoever runs an import again wants it judged again,
    because a tenant may be there now."""

    def __init__(self, client: httpx2.Client, form: FileFormat, **patience: Any) -> None:
        """`patience` is what `Patient` takes besides the client."""
        self._patient = Patient(client, **patience)
        self._form = form
        self._run = uuid4().hex

    def send(self, batch: Batch) -> BatchOutcome:
        """Raises ImportFailedError."""
        body = gzip.compress(batch.body, 3, mtime=0)
        headers = {
            "content-type": self._form.content_type,
            "content-encoding": "gzip",
            "idempotency-key": f"{self._run}-{batch.done}",
        }
        place = f"line {batch.lines[0]}"
        return _verdict(batch, self._patient.ask("POST", PATH, place, later=_REPEATED, content=body, headers=headers))


def _verdict(batch: Batch, answer: httpx2.Response) -> BatchOutcome:
    said = json_of(answer)
    errors: list[Any] = said.get("errors") or []
    try:
        refused = [(batch.lines[error["index"]], str(error["field"]), str(error["reason"])) for error in errors]
        if answer.status_code == httpx2.codes.CREATED:
            return BatchOutcome(int(said["accepted"]), int(said["repeated"]), int(said["rejected"]), refused)
        if answer.status_code == httpx2.codes.BAD_REQUEST and refused:  # not one of them could be taken
            return BatchOutcome(0, 0, len(batch.lines), refused)
    except (LookupError, TypeError, ValueError):
        raise ImportFailedError("The answer is none of Vigie's: is --url its front door?") from None
    reason = f"Stopped at line {batch.lines[0]}: {answer.status_code} {message(answer)}."
    if answer.status_code == httpx2.codes.FORBIDDEN:
        raise NotAllowedError(
            f"{reason} The import needs the permission {Permission.HISTORY_IMPORT}, which a SUPERADMIN has; the same "
            "command never will do with this credential."
        )
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        given = "authorization" in answer.request.headers
        hint = (
            "The token is not valid, or not any more: take a new one"
            if given
            else "No token was given: set VIGIE_TOKEN to the access token of a SUPERADMIN"
        )
        raise ImportFailedError(f"{reason} {hint}, and run the same command again.")
    raise ImportFailedError(reason)
