"""The rules log: owning a partition of it is owning its rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final, TypeAlias

import msgspec
from vigie_contracts.alerts import Rule
from vigie_runtime import logging
from vigie_runtime.clients import KafkaRecord

log = logging.get(__name__)

_rules: Final = msgspec.json.Decoder(Rule)


class Gone(Enum):
    """Why a rule is not evaluated here any more."""

    REMOVED = auto()
    """There is no such rule: its alerts are over."""
    LEFT = auto()
    """Another process has it, or this one reads its partition anew: its alerts are what they were."""


RuleChange: TypeAlias = tuple[int, Rule | Gone]
"""A rule's partition, and the rule as it is now."""


class RulesHandler:
    """A `PartitionHandler` that keeps the newest version of every rule of its partitions, from the first record on."""

    def __init__(self) -> None:
        self._rules: dict[int, dict[str, Rule]] = {}
        self._changed: dict[str, RuleChange] = {}
        self.arrived = asyncio.Event()
        """Something is to be taken by `changes`."""

    def changes(self) -> dict[str, RuleChange]:
        """By id what changed since the last call."""
        changed, self._changed = self._changed, {}
        self.arrived.clear()
        return changed

    def put_back(self, changes: Mapping[str, RuleChange]) -> None:
        """They could not be applied: the next call gives them again, unless they changed once more."""
        self._changed = {**changes, **self._changed}
        self.arrived.set()

    async def assigned(self, partition: int) -> int | None:
        """Everything is read again: the log is compacted. Its rules are none of this process's until they were."""
        self._leave(partition)
        self._rules[partition] = {}
        return None

    async def records(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Take the rules; what cannot be read is said, and passed over."""
        own = self._rules.setdefault(partition, {})
        for record in records:
            rule_id = (record.key or b"").decode(errors="replace")
            if record.value is None:
                own.pop(rule_id, None)
                # Also of one that was never seen here: it may have been removed while nobody had it.
                self._changed[rule_id] = partition, Gone.REMOVED
                continue
            try:
                rule = _rules.decode(record.value)
            except msgspec.MsgspecError as e:
                log.error("a rule cannot be read", rule=rule_id, offset=record.offset, reason=str(e))
                continue
            known = own.get(rule.id)
            if known is None or known.version <= rule.version:
                own[rule.id] = rule
                self._changed[rule.id] = partition, rule
        self.arrived.set()

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Others evaluate them now."""
        for partition in partitions:
            self._leave(partition)

    async def lost_log(self, partition: int, stored: int, start: int) -> None:
        """Compaction removes records that newer ones replaced."""

    async def tick(self) -> None:
        """Nothing is due here."""

    def committed(self, partition: int) -> int | None:
        """Nothing to say: it is read from the start each time."""

    def _leave(self, partition: int) -> None:
        self._changed.update(dict.fromkeys(self._rules.pop(partition, {}), (partition, Gone.LEFT)))
        self.arrived.set()
