"""Pure bookkeeping of the log reader: which partitions are ours, which are live, which are to be loaded and when."""

from __future__ import annotations

import random
from collections.abc import Iterable
from enum import StrEnum

from vigie_runtime.backoff import Backoff

BACKOFF = Backoff(0.2, 10.0)
FENCED_PAUSE_S = 1.0
"""Long enough for a rebalance to be noticed, so that a member that slept does not fight the new owner."""


class LoadReason(StrEnum):
    ASSIGNED = "assigned"
    FENCED = "fenced"
    RETRY = "retry"
    """The handler, MongoDB or Kafka could not do it; backed off."""
    OUT_OF_RANGE = "out_of_range"
    """The position left the log: retention passed it, or the log was cut."""


class Ownership:
    """The partitions of this member, and the next offset of each that is live."""

    def __init__(self, jitter: random.Random | None = None) -> None:
        self.stamps: dict[int, int] = {}
        """Of each partition: changes whenever records that were read before may no longer be handed over."""
        self.next: dict[int, int] = {}
        """Live partitions: the next offset to hand over."""
        self._ends: dict[int, int] = {}
        """Of each live partition, where its log ended when it was loaded."""
        self._due: dict[int, tuple[float, LoadReason]] = {}
        self._failures: dict[int, int] = {}
        self._jitter = jitter or random.Random()
        self._stamp = 0

    @property
    def owned(self) -> set[int]:
        return self.next.keys() | self._due.keys()

    @property
    def settled(self) -> bool:
        """Whether nothing is to be loaded."""
        return not self._due

    @property
    def caught_up(self) -> bool:
        """Whether everything is live and was handed over to where its log ended when it was loaded."""
        return self.settled and all(offset >= self._ends.get(partition, 0) for partition, offset in self.next.items())

    def assign(self, partitions: Iterable[int], now: float) -> None:
        """A new assignment: everything is loaded, nothing is known."""
        self.revoke()
        self._failures = {}
        for partition in partitions:
            self._renew(partition)
            self._due[partition] = (now, LoadReason.ASSIGNED)

    def revoke(self) -> list[int]:
        """Nothing is ours. The partitions that were, loaded or not."""
        owned = sorted(self.owned)
        self.next, self._due, self.stamps = {}, {}, {}
        return owned

    def due(self, now: float) -> list[tuple[int, LoadReason]]:
        """What is to be loaded now, the longest waiting first."""
        ready = sorted((at, partition, reason) for partition, (at, reason) in self._due.items() if at <= now)
        return [(partition, reason) for _, partition, reason in ready]

    def wait_s(self, now: float) -> float | None:
        """Seconds until something is due; None when nothing is to be loaded."""
        return max(0.0, min(at for at, _ in self._due.values()) - now) if self._due else None

    def loaded(self, partition: int, offset: int, end: int = 0) -> None:
        """The partition is live from `offset` on; its log goes to `end`."""
        self._due.pop(partition, None)
        self.next[partition] = offset
        self._ends[partition] = end

    def reload(self, partition: int, reason: LoadReason, now: float) -> float:
        """Take the partition out of service and load it again after the pause that is returned."""
        self._renew(partition)
        self.next.pop(partition, None)
        pause = 0.0
        if reason is LoadReason.FENCED:
            pause = FENCED_PAUSE_S * self._jitter.uniform(1.0, 1.5)
        elif reason is LoadReason.RETRY:
            failures = self._failures[partition] = self._failures.get(partition, 0) + 1
            pause = BACKOFF.pause_s(failures, self._jitter)
        self._due[partition] = (now + pause, reason)
        return pause

    def delivered(self, partition: int, next_offset: int) -> None:
        """Records up to before `next_offset` were handed over; of a partition that was taken away meanwhile, too."""
        if partition not in self.next:
            return
        self.next[partition] = next_offset
        self._failures.pop(partition, None)

    def _renew(self, partition: int) -> None:
        self._stamp += 1
        self.stamps[partition] = self._stamp
