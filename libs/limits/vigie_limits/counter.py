"""One process's counter of one limit for one caller, with the lease that it holds. All pure.

A lease is a block of units that is already counted in Redis, where all processes count, and spent here without asking.
It is good until the end of the window in which it was counted, so that nobody ever spends more than was counted in
that window.
"""

from __future__ import annotations

from asyncio import Lock
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from typing import Final

from vigie_limits.window import Counts, LocalWindow

BLOCKS: Final = 100
"""A lease is at most this part of a limit: so much a process may hold and not use."""
FRESH_S: Final = 5.0
"""After so long it is asked again what others took, so that what callers are told stays about right."""


class LimitName(StrEnum):
    """What is limited: the name in the headers, in metrics and in the refusal."""

    ADDRESS = "address"
    KEY = "key"
    TENANT = "tenant"
    SAMPLES = "samples"
    TELEMETRY = "telemetry"
    TELEMETRY_ADDRESS = "telemetry-address"
    TELEMETRY_BYTES = "telemetry-bytes"
    TELEMETRY_ADDRESS_BYTES = "telemetry-address-bytes"


@dataclass(frozen=True, slots=True)
class Limit:
    """`amount` units per `window_s` seconds."""

    name: LimitName
    amount: int
    window_s: int

    @property
    def block(self) -> int:
        """The most units of a lease that nobody needs yet."""
        return max(1, self.amount // BLOCKS)

    @property
    def policy(self) -> bytes:
        """As an item of the header RateLimit-Policy."""
        return b'"%b";q=%d;w=%d' % (self.name.value.encode(), self.amount, self.window_s)


class QuotaCounter:
    """What this process knows of one limit for one caller. Times are monotonic seconds."""

    __slots__ = (
        "_counts", "_heard", "_misfit", "_rest", "_retry", "_until",
        "caller", "leased", "limit", "local", "lock", "policy",
    )  # fmt: skip

    def __init__(self, limit: Limit, caller: str) -> None:
        self.limit = limit
        self.policy = limit.policy
        self.caller = caller
        self.leased = 0
        """Units of the lease that are not spent."""
        self.local = LocalWindow(limit.window_s)
        """All that this process took."""
        self.lock = Lock()
        """Held by the one request that asks for more."""
        self._until = -inf
        self._heard = -inf
        self._counts = Counts(0, 0, limit.window_s)
        self._rest = limit.amount
        self._misfit = 0
        self._retry = -inf

    def spend(self, cost: int, now: float) -> bool:
        """Take units of the lease. False: it has too few, or its window is over."""
        if cost <= self.leased and now < self._until:
            self.leased -= cost
            return True
        return False

    def wait_s(self, cost: int, now: float) -> float:
        """Seconds to wait when it is known that so many units do not fit; 0 when that has to be asked."""
        limit = self.limit
        if cost > limit.amount:
            return float(limit.window_s)
        if cost < self._misfit or now >= self._retry:
            return 0.0
        return max(self._retry - now, self._counts.wait_s(limit.amount, limit.window_s, cost) - (now - self._heard))

    def lease_size(self, cost: int, counts: Counts) -> int:
        """The largest lease that there is room for and that covers `cost`; 0 when there is none."""
        rest = self.limit.amount - counts.used(self.limit.window_s)
        return max(cost, min(self.limit.block, rest)) if cost <= rest else 0

    def is_fresh(self, now: float) -> bool:
        """Whether it is known when the window ends and, about, what others took of it."""
        return now < self._until and now - self._heard < FRESH_S

    def record(self, units: int, cost: int, now: float, counts: Counts | None) -> float:
        """`units` were counted for a request that needs `cost` of them; none: they do not fit. Seconds to wait.

        `counts` are those after it: needed unless `is_fresh` and granted."""
        if counts is None:
            self._rest = max(0, self._rest - units)
        else:
            self._hear(counts, now)
        if units:
            self.leased += units - cost
            self.local.add(units, now)
            return 0.0
        # Nobody asks again for 1 % of the window: what becomes free meanwhile serves many requests with one question.
        limit = self.limit
        wait_s = max(self._counts.wait_s(limit.amount, limit.window_s, cost), limit.window_s / BLOCKS)
        self._misfit = cost
        self._retry = now + wait_s
        return wait_s

    def is_limited(self, now: float) -> bool:
        """Whether something was refused, and would be still."""
        return now < self._retry

    def remaining(self) -> int:
        """Units that can be taken, as far as this process knows."""
        return self._rest + self.leased

    def reset_s(self, now: float) -> int:
        """Whole seconds until the current window ends."""
        left_s = self._until - now
        return ceil(left_s) if left_s > 0 else self.limit.window_s

    def _hear(self, counts: Counts, now: float) -> None:
        until = now + counts.left_s
        if until > self._until + self.limit.window_s / 2:
            self.leased = 0  # another window: what was counted in the last one is not good any more
        self._until = until
        self._heard = now
        self._counts = counts
        self._rest = max(0, self.limit.amount - counts.used(self.limit.window_s))
