"""The end of the log of reports, over a double of the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from vigie_contracts.reports import Report, record_key
from vigie_contracts.tenants import TenantId
from vigie_push.sources import recent_reports, reports_tail
from vigie_push.sources.recent_reports import RecentReports
from vigie_push.sources.reports_tail import ReportsTail
from vigie_runtime.backoff import Backoff
from vigie_runtime.clients import KafkaError, TopicPartition
from vigie_runtime.clock import ManualClock

from services.push.tests.sinks import Noting

ACME, RIVAL = TenantId("acme"), TenantId("rival")


def report(number: int, tenant: str = ACME) -> Report:
    return Report(f"{tenant}-{number}", tenant, "app", "shop", number, {"n": number})


@dataclass
class Log:
    """One partition. `reset` ends the consumer that reads it."""

    clock: ManualClock
    records: list[Any] = field(default_factory=list)
    reset: bool = False
    begun: list[int] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, said: Report, value: bytes | None = None) -> None:
        self.records.append(
            SimpleNamespace(
                key=record_key(said.tenant, said.subject),
                value=msgspec.json.encode(said) if value is None else value,
                timestamp=self.clock.now_ms(),
                headers=(),
                offset=len(self.records),
                partition=0,
            )
        )
        self._more.set()

    def consumer(self) -> Any:
        return Consumer(self)


class Consumer:
    def __init__(self, log: Log) -> None:
        self._log, self._position = log, 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == [TopicPartition("reports", 0)]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._log.records))

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        ((partition, since),) = times.items()
        found = next((one for one in self._log.records if one.timestamp >= since), None)
        return {partition: None if found is None else SimpleNamespace(offset=found.offset)}

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self._position = offset
        self._log.begun.append(offset)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        if self._log.reset:
            self._log.reset = False
            raise KafkaError("the connection was lost")
        records = self._log.records[self._position : self._position + max_records]
        if not records:
            self._log._more.clear()
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._log._more.wait()
            except TimeoutError:
                pass
            return {}
        self._position += len(records)
        return {TopicPartition("reports", 0): records}


@dataclass
class Rig:
    clock: ManualClock = field(default_factory=ManualClock)
    sink: Noting = field(default_factory=Noting)
    recent: RecentReports = field(default_factory=RecentReports)

    def __post_init__(self) -> None:
        self.log = Log(self.clock)
        self.tail = ReportsTail(self.log.consumer, "reports", 1, recent=self.recent, sink=self.sink, clock=self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.tail.run())
        yield
        self.tail.stop()
        await task

    def ids(self) -> list[str]:
        return [record.id for _, _, record in self.sink.records]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_tail, "_BACKOFF", Backoff(0.01, 0.01))
    monkeypatch.setattr(reports_tail, "POLL_MS", 20)


async def test_only_the_reports_of_followed_tenants_are_told() -> None:
    rig = Rig()
    async with rig.running():
        await rig.tail.follow(ACME)
        rig.log.add(report(1))
        rig.log.add(report(1, RIVAL))
        rig.log.add(report(2), b"no JSON")
        rig.log.add(report(3))
        await rig.sink.until(records=2)
        await rig.tail.leave(ACME)
        await rig.tail.follow(RIVAL)
        rig.log.add(report(4))
        rig.log.add(report(5, RIVAL))
        await rig.sink.until(records=3)
    assert rig.ids() == ["acme-1", "acme-3", "rival-5"]
    assert [one.id for one in rig.recent.of(ACME, "app", "shop")] == ["acme-1", "acme-3", "acme-4"]
    assert rig.recent.of(ACME, "node", "shop") == []


async def test_reading_begins_a_minute_ago_and_that_is_remembered() -> None:
    rig = Rig()
    rig.log.add(report(1))
    rig.clock.advance(61)
    rig.log.add(report(2))
    async with rig.running():
        await rig.tail.follow(ACME)
        rig.log.add(report(3))
        await rig.sink.until(records=2)
    assert rig.log.begun == [1]
    assert [one.id for one in rig.recent.of(ACME, "app", "shop")] == ["acme-2", "acme-3"]
    rig.recent.forget(rig.clock.now_ms() + 61_000)
    assert rig.recent.of(ACME, "app", "shop") == []


async def test_a_log_that_is_lost_is_said_and_read_on_from_where_it_was() -> None:
    rig = Rig()
    async with rig.running():
        await rig.tail.follow(ACME)
        rig.log.add(report(1))
        await rig.sink.until(records=1)
        rig.log.reset = True
        await rig.sink.until(states=2)
        rig.log.add(report(2))
        await rig.sink.until(records=2)
    assert rig.sink.states == ["reports away", "reports back"]
    assert rig.ids() == ["acme-1", "acme-2"]
    assert rig.log.begun == [0, 1]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_reports, "MAX_REMEMBERED", 3)
    clock = ManualClock()
    log, recent = Log(clock), RecentReports()
    for number in range(10):
        log.add(report(number))
        recent.add(log.records[-1])
        recent.forget(clock.now_ms())
    assert [one.id for one in recent.of(ACME, "app", "shop")] == ["acme-7", "acme-8", "acme-9"]
    monkeypatch.setattr(recent_reports, "MAX_REMEMBERED_BYTES", 1)
    recent.forget(clock.now_ms())
    assert recent.of(ACME, "app", "shop") == []
