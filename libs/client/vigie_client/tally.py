"""What became of everything that was recorded, in numbers, and warnings that do not flood the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from threading import RLock

log = logging.getLogger("vigie_client")
_QUIET_S = 60.0


class Dropped(StrEnum):
    """Why samples were given up: the same word in `Stats`, in the log and in the metric's label `reason`."""

    BUFFER_FULL = "buffer_full"
    """The buffer was full; the oldest went."""
    TOO_OLD = "too_old"
    """The outcome of a request stayed unknown for so long that repeating it could count twice."""
    FAILED = "failed"
    """The gateway failed at the same request again and again (500)."""
    UNAUTHORIZED = "unauthorized"
    """The key is wrong or missing (401), or may not write (403): to repeat the request would not help."""


DROPPED_METRIC = "vigie_client_dropped_samples_total"
"""counter {reason}: sent by the client itself once the gateway is back."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers since the client was made, in samples as they are sent: a counter is one per window, not one per call."""

    buffered: int = 0
    """Waiting, those of the request under way included."""
    accepted: int = 0
    refused: int = 0
    """Refused by the gateway, each with a reason in the log."""
    dropped: dict[Dropped, int] = field(default_factory=dict[Dropped, int])
    invalid: int = 0
    """Recordings (calls) that could not be kept: no number, no text, a counter that goes down."""
    requests: int = 0
    """Requests that were answered clearly."""
    retries: int = 0
    """Attempts beyond the first."""


class Tally:
    """Counts. Those that any thread may change have methods; the others belong to the sending thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.accepted = 0
        self.refused = 0
        self.requests = 0
        self.retries = 0
        self._lock = RLock()
        self._invalid = 0
        self._dropped = dict.fromkeys(Dropped, 0)
        self._reported = dict.fromkeys(Dropped, 0)
        self._monotonic = monotonic
        self._quiet_until: dict[str, float] = {}

    def drop(self, reason: Dropped, count: int, why: str = "") -> None:
        """Count samples that are given up, and say so, and `why` where the reason alone does not tell what to do."""
        with self._lock:
            self._dropped[reason] += count
        said = f": {why}" if why else ""
        self.warn(reason.value, "samples were dropped (%s), %d so far%s", reason.value, self._dropped[reason], said)

    def invalid(self, what: str, problem: str) -> None:
        """Count a recording that cannot be kept, and say why."""
        with self._lock:
            self._invalid += 1
        self.warn("invalid", "a metric cannot be recorded: %s: %s", what, problem)

    def unreported(self) -> dict[Dropped, int]:
        """Drops that Vigie was not told of, by reason."""
        with self._lock:
            return {r: n for r, n in ((r, self._dropped[r] - self._reported[r]) for r in Dropped) if n}

    def reported(self, drops: Mapping[Dropped, int]) -> None:
        """Vigie was told of these."""
        for reason, count in drops.items():
            self._reported[reason] += count

    def warn(self, subject: str, message: str, *arguments: object) -> None:
        """A warning, at most one a minute for the same subject."""
        now = self._monotonic()
        if now >= self._quiet_until.get(subject, now):
            self._quiet_until[subject] = now + _QUIET_S
            log.warning(message, *arguments)

    def stats(self, buffered: int) -> Stats:
        """The numbers now."""
        dropped = {reason: count for reason, count in self._dropped.items() if count}
        return Stats(buffered, self.accepted, self.refused, dropped, self._invalid, self.requests, self.retries)
