"""A compacted log whose partitions are shared: owning a partition is owning what its keys stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec

from vigie_runtime import logging
from vigie_runtime.clients import KafkaRecord

log = logging.get(__name__)


class Versioned(Protocol):
    """What a record's value says."""

    id: str
    """The record's key."""
    version: int
    """Each change adds 1."""


T = TypeVar("T", bound=Versioned)


class Gone(Enum):
    """Why one is not this process's any more."""

    REMOVED = auto()
    """There is no such one."""
    LEFT = auto()
    """Another process has it, or this one reads its partition anew: it is what it was."""


Change: TypeAlias = tuple[int, T | Gone]
"""The partition, and the value as it is now."""


class CompactedLog(Generic[T]):
    """A `PartitionHandler` that keeps the newest version of every value of its partitions, from the first record on."""

    def __init__(self, type_: type[T]) -> None:
        """`type_` is a msgspec Struct; values are JSON."""
        self._decoder = msgspec.json.Decoder(type_)
        self._what = type_.__name__.lower()
        self._values: dict[int, dict[str, T]] = {}
        self._changed: dict[str, Change[T]] = {}
        self.arrived = asyncio.Event()
        """Something is to be taken by `changes`."""

    def changes(self) -> dict[str, Change[T]]:
        """By id what changed since the last call."""
        changed, self._changed = self._changed, {}
        self.arrived.clear()
        return changed

    def left(self) -> list[str]:
        """The ids of those among the changes that are not this process's any more. The changes stay."""
        return [id_ for id_, (_, value) in self._changed.items() if value is Gone.LEFT]

    def put_back(self, changes: Mapping[str, Change[T]]) -> None:
        """They could not be applied: the next call gives them again, unless they changed once more."""
        self._changed = {**changes, **self._changed}
        self.arrived.set()

    async def assigned(self, partition: int) -> int | None:
        """Everything is read again: the log is compacted. Nothing of it is this process's until it was."""
        self._leave(partition)
        self._values[partition] = {}
        return None

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Take the values; what cannot be read is said, and passed over."""
        own = self._values.setdefault(partition, {})
        for record in records:
            id_ = (record.key or b"").decode(errors="replace")
            if record.value is None:
                own.pop(id_, None)
                # Also of one that was never seen here: it may have been removed while nobody had it.
                self._changed[id_] = partition, Gone.REMOVED
                continue
            try:
                value = self._decoder.decode(record.value)
            except msgspec.MsgspecError as e:
                log.error(f"a {self._what} cannot be read", id=id_, offset=record.offset, reason=str(e))
                continue
            known = own.get(value.id)
            if known is None or known.version <= value.version:
                own[value.id] = value
                self._changed[value.id] = partition, value
        self.arrived.set()

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Others have them now."""
        for partition in partitions:
            self._leave(partition)

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        """Compaction removes records that newer ones replaced."""

    async def tick(self) -> None:
        """Nothing is due here."""

    def committed(self, partition: int) -> int | None:
        """Nothing to say: it is read from the start each time."""

    def _leave(self, partition: int) -> None:
        self._changed.update(dict.fromkeys(self._values.pop(partition, {}), (partition, Gone.LEFT)))
        self.arrived.set()
