"""Finds the record that the Kafka client itself cannot decode: one that has a header whose name is not UTF-8.

aiokafka decodes headers while it hands records out, and its UnicodeDecodeError says neither partition nor offset. So
the partitions are asked one at a time until one fails, and of that one the records one at a time.
"""

from __future__ import annotations

from collections.abc import Collection

from vigie_runtime.clients import ConsumerRecord, KafkaRecord

HEADER = "vigie_unreadable"


class Search:
    """Says which partition to poll next while an unreadable record is searched for; otherwise all are polled."""

    def __init__(self) -> None:
        self._suspects: list[int] = []
        self._one_by_one = False

    def suspect(self, live: Collection[int]) -> int | None:
        """The partition to ask alone; None: ask all. One that is no longer live is let go."""
        while self._suspects and self._suspects[0] not in live:
            self._next()
        return self._suspects[0] if self._suspects else None

    @property
    def max_records(self) -> int | None:
        """How many records to ask for; None: any number."""
        return 1 if self._one_by_one else None

    def failed(self, live: Collection[int]) -> int | None:
        """The client failed. The partition whose next record is the unreadable one, as soon as that is known."""
        if not self._suspects:
            self._suspects = sorted(live)
        elif not self._one_by_one:
            self._one_by_one = True
        else:
            found, self._suspects, self._one_by_one = self._suspects[0], [], False
            return found
        return None

    def passed(self, records: int) -> None:
        """So many records were handed out."""
        if self._suspects and not (self._one_by_one and records):
            self._next()

    def _next(self) -> None:
        self._suspects, self._one_by_one = self._suspects[1:], False


def stub(topic: str, partition: int, offset: int, reason: str) -> KafkaRecord:
    """Stands for an unreadable record: nothing but its place. Handlers dead-letter it like any other poison."""
    return ConsumerRecord(topic, partition, offset, 0, 0, None, None, None, -1, -1, ((HEADER, reason.encode()),))
