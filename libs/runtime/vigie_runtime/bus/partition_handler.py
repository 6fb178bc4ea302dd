"""What a service does with the records of the log that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vigie_runtime.clients import KafkaRecord


class PartitionHandler(Protocol):
    """What is done with the records. The reader never makes two of these calls at once.

    Fenced and Retryable (errors of MongoDB that pass count as Retryable), from whatever call, void what the handler
    knows of the partition: `assigned` is called again before its next records. Retryable from `tick` concerns all
    partitions. With any other exception the reader ends, without calling `revoked`.
    """

    async def assigned(self, partition: int) -> int | None:
        """Load the partition's state, whatever is in memory; the next offset to read. None: nothing was ever stored."""
        ...

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Take records, in the order of the log, each offset not lower than the one `assigned` gave."""
        ...

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Store what is pending, then forget the partitions: they are no longer ours whatever the outcome. Some may
        never have been loaded."""
        ...

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        """Reading goes on at `start`. `start - stored` records were deleted unread; when that is negative, the end of
        the log was cut off, and `start` is its end now: what it still has was read."""
        ...

    async def tick(self) -> None:
        """Do what is due by the clock; called between polls."""
        ...

    def committed(self, partition: int) -> int | None:
        """The offset up to which everything is stored; None: nothing to say. For Kafka's lag dashboards, and to know
        a log that was cut."""
        ...
