"""A compacted log: the newest version of each value, and what changes when partitions come and go."""

from __future__ import annotations

from typing import Any

import msgspec
from vigie_contracts import topics
from vigie_contracts.payloads import payloads
from vigie_contracts.targets import Target
from vigie_runtime.bus.compacted import CompactedLog, Gone


def record(key: str, value: bytes | None, offset: int = 0) -> Any:
    class Record:
        pass

    made: Any = Record()
    made.key, made.value, made.offset = key.encode(), value, offset
    return made


def target(id_: str = "t1", version: int = 1) -> Target:
    return Target(id=id_, tenant="acme", name=id_, kind="http", version=version)


def of(*values: Target) -> list[Any]:
    return [record(one.id, msgspec.json.encode(one)) for one in values]


async def test_the_newest_version_counts_in_whatever_order_they_come() -> None:
    log = CompactedLog(Target)
    await log.assigned(3)
    await log.records(3, of(target(version=2), target(version=1), target("t2")))
    assert log.arrived.is_set()
    assert log.changes() == {"t1": (3, target(version=2)), "t2": (3, target("t2"))}
    assert not log.arrived.is_set()
    await log.records(3, of(target(version=1)))
    assert log.changes() == {}


async def test_what_is_removed_was_never_seen_or_was_is_gone() -> None:
    log = CompactedLog(Target)
    await log.records(0, [*of(target()), record("t1", None), record("never", None)])
    assert log.changes() == {"t1": (0, Gone.REMOVED), "never": (0, Gone.REMOVED)}


async def test_partitions_that_leave_take_their_values_along() -> None:
    log = CompactedLog(Target)
    await log.records(0, of(target()))
    await log.records(1, of(target("t2")))
    log.changes()
    await log.revoked([1])
    assert log.changes() == {"t2": (1, Gone.LEFT)}
    await log.assigned(0)
    assert log.changes() == {"t1": (0, Gone.LEFT)}, "it is read anew"


async def test_what_could_not_be_applied_comes_again_unless_it_changed_once_more() -> None:
    log = CompactedLog(Target)
    await log.records(0, of(target(), target("t2")))
    changes = log.changes()
    await log.records(0, of(target(version=2)))
    log.put_back(changes)
    assert log.changes() == {"t1": (0, target(version=2)), "t2": (0, target("t2"))}


async def test_every_target_that_was_ever_written_is_read_and_others_are_passed_over() -> None:
    log = CompactedLog(Target)
    samples = payloads(topics.TARGETS.name)
    await log.records(0, [record(one.name, one.data) for one in samples])
    good = {msgspec.json.decode(one.data, type=Target).id for one in samples if one.good}
    assert log.changes().keys() == good
