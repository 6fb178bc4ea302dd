"""Turns what waits in the buffer into requests, and repeats each until its outcome is certain.

A request keeps its bytes and its Idempotency-Key through all its attempts: whatever happened to the earlier ones, it
counts once. One request is under way at a time.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast

from vigie_client.backoff import Backoff, retry_after
from vigie_client.buffer import Buffer
from vigie_client.series import Sample, Series
from vigie_client.tally import DROPPED_METRIC, Dropped, Tally
from vigie_client.transport import HttpFailure, HttpResponse, Transport
from vigie_client.values import MetricType

PATH = "/api/metrics/batch"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of one request before compression: an eighth of what the gateway takes."""
REPEATABLE_S = 23 * 3600.0
"""The gateway knows a key for 24 h."""
MAX_FAILURES = 10
"""Answers 500 to one request; a server that is merely away answers 502, 503, 504 or not at all."""
UNAUTHORIZED_S = 300.0
"""After an answer 401 or 403: a key is seldom made good sooner, and nobody is asked all the time."""
_WRONG = frozenset({400, 415, 422})
_UNAUTHORIZED = frozenset({401, 403})
_TOO_LARGE = 413
_LISTED = 3


@dataclass(slots=True)
class _Request:
    samples: Sequence[Sample]
    drops: dict[Dropped, int]
    """What the client itself reports: the first items of the body, one for each reason."""
    body: bytes
    key: str
    may_have_arrived: float | None = None
    """Since when (monotonic seconds) an attempt may have been taken without us knowing."""
    attempts: int = 0
    failures: int = 0


class Sender:
    """For any thread, one at a time: a second one waits until an attempt that is under way is over."""

    def __init__(
        self,
        buffer: Buffer,
        tally: Tally,
        transport: Transport,
        *,
        max_batch: int,
        timeout: float,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._buffer = buffer
        self._tally = tally
        self._transport = transport
        self._max_batch = max_batch
        self._timeout = timeout
        self._backoff = backoff or Backoff()
        self._monotonic = monotonic
        self._new_key = new_key
        self._lock = Lock()
        self._request: _Request | None = None
        self._not_before = 0.0
        self.paused_until = 0.0
        """Until when (monotonic seconds) nothing is sent, whatever the hurry: the key was not taken."""

    @property
    def has_reports(self) -> bool:
        """Whether drops happened that Vigie does not know of yet."""
        return bool(self._tally.unreported())

    def hurry(self) -> None:
        """The next attempt is at once, as far as there is no pause: the process is about to end."""
        self._not_before = self.paused_until

    def advance(self, time_left: float | None = None) -> float | None:
        """Make one attempt if it is time for one. Seconds until the next, or None when nothing waits."""
        with self._lock:
            return self._advance(time_left)

    def close(self) -> None:
        """Close connections. What is unsent stays, for another `advance`."""
        with self._lock:
            self._transport.close()

    def _advance(self, time_left: float | None) -> float | None:
        wait = self._not_before - self._monotonic()
        if wait > 0:
            return wait
        request = self._request or self._next()
        if request is None:
            return None
        self._request = request
        self._attempt(request, self._timeout if time_left is None else min(self._timeout, max(time_left, 0.1)))
        return max(0.0, self._not_before - self._monotonic())

    def _next(self) -> _Request | None:
        samples, drops = self._buffer.take(self._max_batch, MAX_BODY_BYTES), self._tally.unreported()
        if not samples and not drops:
            return None
        items = [self._report(reason, count).encoded() for reason, count in drops.items()]
        items += [sample.encoded() for sample in samples]
        return _Request(samples, drops, ("[" + ",".join(items) + "]").encode(), self._new_key())

    def _report(self, reason: Dropped, count: int) -> Sample:
        series = Series(MetricType.COUNTER, DROPPED_METRIC, {**self._buffer.labels, "reason": reason.value})
        return Sample(series, self._buffer.now_ms(), count, 0)

    def _attempt(self, request: _Request, timeout: float) -> None:
        if self._is_too_old(request):
            self._give_up(request, Dropped.TOO_OLD)
            return
        self._tally.retries += request.attempts > 0
        request.attempts += 1
        began = self._monotonic()
        outcome = self._transport.post(PATH, request.body, {"idempotency-key": request.key}, timeout)
        if isinstance(outcome, HttpFailure):
            self._later(request, outcome.reason, began if outcome.sent else None, None)
        elif (refused := _refused(outcome, request)) is not None:
            self._done(request, refused, _listed(_document(outcome)))
        elif outcome.status == _TOO_LARGE and len(request.samples) > 1:
            self._halve(request)
        elif outcome.status in _WRONG or outcome.status == _TOO_LARGE:
            self._done(request, len(request.samples), _reasons(outcome))
        elif outcome.status in _UNAUTHORIZED:
            self._unauthorized(request, outcome)
        else:
            self._not_taken(request, outcome, began)

    def _not_taken(self, request: _Request, answer: HttpResponse, began: float) -> None:
        request.failures += answer.status == 500
        if request.failures >= MAX_FAILURES:
            self._give_up(request, Dropped.FAILED)
            return
        server_wait = retry_after(answer.headers.get("retry-after"))
        self._later(request, f"{answer.status} {_reasons(answer)}", began, server_wait)

    def _later(self, request: _Request, reason: str, arrived: float | None, server_wait: float | None) -> None:
        if request.may_have_arrived is None:
            request.may_have_arrived = arrived
        self._not_before = self._monotonic() + self._backoff.after(server_wait)
        self._tally.warn("later", "metrics could not be sent, and will be sent again: %s", reason)

    def _done(self, request: _Request, refused: int, reasons: str) -> None:
        self._tally.accepted += len(request.samples) - refused
        self._tally.refused += refused
        if refused:
            self._tally.warn("refused", "%d samples were refused: %s", refused, reasons)
        self._tally.requests += 1
        self._tally.reported(request.drops)
        self._leave()

    def _halve(self, request: _Request) -> None:
        """A proxy before the gateway takes less than the gateway does. The body was the same in every attempt, so all
        were refused like this one: nothing was taken, and new keys are right."""
        self._max_batch = max(1, len(request.samples) // 2)
        self._tally.warn("too_large", "a request was too large; from now on %d samples each", self._max_batch)
        self._buffer.put_back()
        self._leave()

    def _unauthorized(self, request: _Request, answer: HttpResponse) -> None:
        why = (
            f"{answer.status} {_reasons(answer)}. The key is api_key or VIGIE_API_KEY; the next attempt is in "
            f"{UNAUTHORIZED_S:g} s"
        )
        self._give_up(request, Dropped.UNAUTHORIZED, why)
        self._not_before = self.paused_until = self._monotonic() + UNAUTHORIZED_S

    def _give_up(self, request: _Request, reason: Dropped, why: str = "") -> None:
        # Refused at the door, the drops that it reports were not told: they go with the next request.
        if reason is not Dropped.UNAUTHORIZED or request.may_have_arrived is not None:
            self._tally.reported(request.drops)
        self._tally.drop(reason, len(request.samples), why)
        self._leave()
        self._not_before = self._monotonic() + self._backoff.after(None)

    def _leave(self) -> None:
        self._buffer.settle()
        self._backoff.reset()
        self._request = None
        self._not_before = 0.0

    def _is_too_old(self, request: _Request) -> bool:
        since = request.may_have_arrived
        return since is not None and self._monotonic() - since > REPEATABLE_S


def _refused(answer: HttpResponse, request: _Request) -> int | None:
    """How many of the samples were refused; None unless this is the gateway's own answer to so many items. A success
    without it is somebody else's: a captive portal, a wrong address."""
    if not 200 <= answer.status < 300:
        return None
    document = _document(answer)
    accepted, refused = document.get("accepted"), document.get("rejected")
    if not isinstance(accepted, int) or not isinstance(refused, int):
        return None
    if accepted + refused != len(request.samples) + len(request.drops):
        return None
    return refused - sum(index < len(request.drops) for index in _indices(document))


def _indices(document: dict[str, Any]) -> list[int]:
    """Of the refused items that are listed: the first ones."""
    listed = document.get("errors")
    errors = cast("list[object]", listed) if isinstance(listed, list) else []
    found = [cast("dict[str, object]", error).get("index") for error in errors if isinstance(error, dict)]
    return [index for index in found if isinstance(index, int)]


def _reasons(answer: HttpResponse) -> str:
    document = _document(answer)
    text = document.get("detail") or document.get("message") or "the answer is not one of Vigie's"
    return " ".join(f"{text} {_listed(document)}".split())[:500]


def _listed(document: dict[str, Any]) -> str:
    errors = document.get("errors")
    listed = cast("list[object]", errors)[:_LISTED] if isinstance(errors, list) else []
    return json.dumps(listed)[:500] if listed else ""


def _document(answer: HttpResponse) -> dict[str, Any]:
    try:
        document: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
