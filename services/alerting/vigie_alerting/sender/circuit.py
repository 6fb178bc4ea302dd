"""When a channel is tried: a receiver that is away is asked by one notification now and then, not by all of them."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from vigie_runtime.backoff import Backoff

FAILURES: Final = 3
"""In a row, until the circuit opens."""
AHEAD: Final = 3
PAUSE: Final = Backoff(1.0, 30.0, jitter=0.5)


class Circuit:
    """Of one channel. Times are seconds of a monotonic clock."""

    def __init__(self, most: int, pause: Backoff = PAUSE, draw: random.Random | None = None) -> None:
        """`most`: how many may be on their way at once."""
        self._most = most
        self._pause = pause
        self._draw = draw or random.Random()
        self._failures = 0
        self._rounds = 0
        """Failures that came one after the other, and not of attempts that were made at the same time."""
        self._failed_at = float("-inf")
        self._held_until = float("-inf")
        self.slots = asyncio.Semaphore(most)
        """Whoever sends holds one."""
        self.claimed = 0
        """Notifications that wait for a slot, or have one."""

    @property
    def open(self) -> bool:
        """Whether the receiver counts as away."""
        return self._failures >= FAILURES

    def room(self, now: float) -> int:
        """How many more may be claimed now: somewhat more than may be sent, so that nobody waits for the store, and
        none until that is worth a question."""
        if now < self._held_until:
            return 0
        if self.open:
            return 1 - self.claimed
        free = self._most * AHEAD - self.claimed
        return free if free >= self._most else 0

    def may_send(self, now: float) -> bool:
        """Whether one that has got its slot may still be sent; all that wait when the circuit opens may not."""
        return now >= self._held_until and (not self.open or self.claimed == 1)

    def idle(self, now: float) -> bool:
        """Whether it has nothing to remember."""
        return not self._failures and not self.claimed and now >= self._held_until

    def succeeded(self) -> None:
        """The receiver answers."""
        self._failures = self._rounds = 0

    def failed(self, started: float, now: float, retry_after_s: float | None) -> None:
        """An attempt that began at `started` failed, for now; the receiver may have said for how long."""
        self._failures += 1
        if started > self._failed_at:  # else it was on its way when the failure before was seen: the same outage
            self._rounds += 1
            self._failed_at = now
        pause = self._pause.pause_s(self._rounds, self._draw) if self.open else 0.0
        self._held_until = max(self._held_until, now + max(pause, retry_after_s or 0.0))
