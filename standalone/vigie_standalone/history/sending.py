"""One request of an import, repeated until it has an answer that settles it."""

import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from vigie_identity.permissions import Permission

from vigie_standalone.demo.sender import RETRYABLE, retry_after
from vigie_standalone.errors import StandaloneError
from vigie_standalone.history.reading import Batch, FileFormat

PATH = "/api/import/telemetry"
GIVE_UP_S = 300.0
"""Without any answer but "later" for so long."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TIMEOUT_S = 60.0


class ImportFailedError(StandaloneError):
    """The import stopped, and goes on there when it is run again."""


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

    def __init__(
        self,
        client: httpx2.Client,
        form: FileFormat,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        unanswered: Callable[[float], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client` knows the URL and the credential; `waiting` is told why a batch has to wait, and `unanswered`, once
        per batch, for how many seconds it tries again when nobody answers.
        """
        self._client = client
        self._form = form
        self._waiting = waiting
        self._unanswered = unanswered
        self._sleep = sleep
        self._clock = clock
        self._run = uuid4().hex

    def send(self, batch: Batch) -> BatchOutcome:
        """Raises ImportFailedError."""
        body = gzip.compress(batch.body, 3, mtime=0)
        headers = {
            "content-type": self._form.content_type,
            "content-encoding": "gzip",
            "idempotency-key": f"{self._run}-{batch.done}",
        }
        pause, end = _FIRST_PAUSE_S, self._clock() + GIVE_UP_S
        said = False
        while True:
            wait = pause
            try:
                answer = self._client.post(PATH, content=body, headers=headers, timeout=_TIMEOUT_S)
            except httpx2.TransportError as error:
                why = f"no answer from {self._client.base_url}: {error or type(error).__name__}"
                if not said:
                    self._unanswered(end - self._clock())
                    said = True
            else:
                if answer.status_code not in RETRYABLE and answer.status_code != httpx2.codes.CONFLICT:
                    return _verdict(batch, answer)
                why = _message(answer)
                wait = retry_after(answer.headers.get("retry-after"), pause)
            if self._clock() + wait > end:
                raise ImportFailedError(f"Gave up at line {batch.lines[0]} after {GIVE_UP_S:.0f} s: {why}.")
            self._waiting(why)
            self._sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _verdict(batch: Batch, answer: httpx2.Response) -> BatchOutcome:
    said = _json(answer)
    errors: list[Any] = said.get("errors") or []
    try:
        refused = [(batch.lines[error["index"]], str(error["field"]), str(error["reason"])) for error in errors]
        if answer.status_code == httpx2.codes.CREATED:
            return BatchOutcome(int(said["accepted"]), int(said["repeated"]), int(said["rejected"]), refused)
        if answer.status_code == httpx2.codes.BAD_REQUEST and refused:  # not one of them could be taken
            return BatchOutcome(0, 0, len(batch.lines), refused)
    except (LookupError, TypeError, ValueError):
        raise ImportFailedError("The answer is none of Vigie's: is --url its front door?") from None
    reason = f"Stopped at line {batch.lines[0]}: {answer.status_code} {_message(answer)}."
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


def _message(answer: httpx2.Response) -> str:
    return str(_json(answer).get("message") or answer.reason_phrase)[:300].rstrip(".")


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
