"""Sends what waits in the spool, oldest first. A report is repeated until Vigie has it: one of a host and timestamp
counts once, however often it is sent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from vigie_client.backoff import Backoff
from vigie_client.transport import HttpFailure, HttpResponse, HttpTransport
from vigie_contracts.hosts import MAX_REPORTS

from vigie_agent.refusals import SKEW_S, Refused, about_clock, document_of, refusal, skew_s
from vigie_agent.spool import Spool, Waiting

log = logging.getLogger("vigie_agent")

PATH: Final = "/api/hosts/reports"
TIMEOUT_S: Final = 30.0
BATCH_BYTES: Final = 4 * 1024 * 1024
SLOWLY_S: Final = 60.0
"""Between two attempts while the key is not taken, or the clock is wrong: somebody has to put it right."""
QUIET_S: Final = 300.0
"""Between two lines in the log that say the same."""
_TOO_LARGE: Final = 413
_WRONG: Final = frozenset({400, 415, 422})
_NOT_FOUND: Final = 404


class Sender:
    """For one thread at a time."""

    def __init__(self, spool: Spool, transport: HttpTransport, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._spool, self._transport, self._monotonic = spool, transport, monotonic
        self._backoff = Backoff()
        self._most = MAX_REPORTS
        self._quiet: dict[str, float] = {}
        self.sent = 0
        """Reports that Vigie has, since the start."""
        self.last_sent_ms: int | None = None
        self.problem: str | None = None
        """Why nothing can be sent; None while it can."""
        self.skew_s: float | None = None
        """By how much this machine's clock is ahead of Vigie's."""

    def attempt(self) -> float | None:
        """Send one request. Seconds until the next, or None when nothing waits."""
        batch = self._spool.take(self._most, BATCH_BYTES)
        if not batch:
            return None
        body = b"[" + b",".join(one.body for one in batch) + b"]"
        answer = self._transport.post(PATH, body, {}, TIMEOUT_S)
        if isinstance(answer, HttpFailure):
            return self._later(Refused(answer.reason, unreachable=True))
        self._look_at_clock(answer)
        document = document_of(answer)
        if (refused := _refused(document, answer, len(batch))) is not None:
            return self._taken(batch, refused)
        if answer.status == _TOO_LARGE and len(batch) > 1:
            self._most = max(1, len(batch) // 2)
            return 0.0
        if (answer.status in _WRONG and "detail" in document) or answer.status == _TOO_LARGE:
            return self._wrong(batch, refusal(answer))
        if 200 <= answer.status < 300:
            return self._later(Refused("a success, but not one of Vigie's: is VIGIE_URL the front door?"))
        return self._later(refusal(answer))

    def _taken(self, batch: Sequence[Waiting], refused: dict[int, tuple[str, str]]) -> float | None:
        """Each report was judged for itself."""
        early = [i for i, (field, _) in refused.items() if field.endswith("timestamp") and self._ahead()]
        never = [i for i in refused if i not in early]
        good = [one.timestamp for i, one in enumerate(batch) if i not in refused]
        self._spool.remove(good)
        if good:
            self.sent += len(good)
            self.last_sent_ms = good[-1]
        if never:
            field, reason = refused[never[0]]
            self._say("refused", "%d reports were refused: %s %s", len(never), field, reason)
            self._spool.refuse([batch[i].timestamp for i in never])
        if early:  # they will be right when the clock is
            self.problem = about_clock(self.skew_s or 0.0)
            return SLOWLY_S
        self._well()
        return 0.0 if len(self._spool) else None

    def _wrong(self, batch: Sequence[Waiting], why: Refused) -> float | None:
        """Nothing of the request was taken. One report alone is what is wrong; of many it is looked for."""
        if len(batch) > 1:
            self._most = max(1, len(batch) // 2)
            return 0.0
        self._say("refused", "a report was refused: %s", why.reason)
        self._spool.refuse([batch[0].timestamp])
        return 0.0 if len(self._spool) else None

    def _well(self) -> None:
        if self.problem is not None:
            log.info("reports are sent again, %d wait", len(self._spool))
        self.problem = None
        self._quiet.clear()
        self._backoff.reset()
        self._most = min(MAX_REPORTS, self._most * 2)

    def _later(self, why: Refused) -> float:
        wait = SLOWLY_S if why.unauthorized or why.status == _NOT_FOUND else self._backoff.after(why.wait_s)
        hint = ": the key (VIGIE_API_KEY) must have the scope `agent` and be one for this host" * why.unauthorized
        self.problem = f"{why.reason}{hint}"
        self._say("later", "reports cannot be sent, %d wait: %s", len(self._spool), self.problem)
        return wait

    def _look_at_clock(self, answer: HttpResponse) -> None:
        self.skew_s = skew_s(answer)
        if self.skew_s is not None and abs(self.skew_s) > SKEW_S:
            self._say("clock", "%s", about_clock(self.skew_s))

    def _ahead(self) -> bool:
        return self.skew_s is not None and self.skew_s > SKEW_S

    def _say(self, subject: str, message: str, *arguments: object) -> None:
        """A warning; the same subject again after QUIET_S."""
        now = self._monotonic()
        if now >= self._quiet.get(subject, now):
            self._quiet[subject] = now + QUIET_S
            log.warning(message, *arguments)


def _refused(document: dict[str, Any], answer: HttpResponse, count: int) -> dict[int, tuple[str, str]] | None:
    """index -> (field, reason) of the reports that were not taken; None when this is no answer to so many reports."""
    accepted, rejected = document.get("accepted"), document.get("rejected")
    errors = document.get("errors")
    listed = errors if isinstance(errors, list) else []
    found = {
        one["index"]: (str(one.get("field") or ""), str(one.get("reason") or one.get("message") or ""))
        for one in cast("list[object]", listed)
        if isinstance(one, dict) and isinstance(one.get("index"), int) and 0 <= one["index"] < count
    }
    if 200 <= answer.status < 300:
        is_ours = isinstance(accepted, int) and isinstance(rejected, int) and accepted + rejected == count
        return found if is_ours and len(found) == rejected else None
    return found if len(found) == count else None
