"""What tenants used, added up in a real MongoDB."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from bson import Int64
from pymongo.errors import ConnectionFailure
from vigie_contracts.tenants import TenantId
from vigie_limits import usage as module
from vigie_limits.metrics import LIMITS_METRICS
from vigie_limits.usage import UsageMeter
from vigie_runtime import clients
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.collections import TENANT_SERIES, TENANT_USAGE
from vigie_storage.tenancy import Why
from vigie_storage.usage import DayUsage, Tally, UsageStore

from tests.kit import eventually

from .conftest import settings_for

pytestmark = pytest.mark.connected
ACME, RIVAL = TenantId("acme"), TenantId("rival")
NOON = int(datetime(2100, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
DAY = date(2100, 3, 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest_asyncio.fixture(loop_scope="session")
async def usage(db: Database, clock: ManualClock) -> UsageStore:
    made = UsageStore(db, clock)
    await made.ensure_indexes()
    await made.ensure_indexes()
    return made


def meter_of(db: Database, clock: ManualClock) -> UsageMeter:
    return UsageMeter(db, clock, MetricSet(LIMITS_METRICS))


async def test_all_gateways_add_up(db: Database, clock: ManualClock, usage: UsageStore) -> None:
    meters = [meter_of(db, clock) for _ in range(3)]
    for meter in meters:
        for _ in range(2):
            meter.of(ACME).add(Tally(samples=10, requests=3, rejected=2, throttled=1))
            meter.of(RIVAL).requests += 1
            await meter.write()
    await asyncio.gather(*(meter.write() for meter in meters))
    assert await usage.today(ACME) == DayUsage(DAY, 60, 18, 12, 6)
    assert await usage.today(RIVAL) == DayUsage(DAY, 0, 6, 0, 0)
    [document] = await db[TENANT_USAGE.name].find({"tenant": "acme"}).to_list()
    assert document["_id"] == {"tenant": "acme", "day": datetime(2100, 3, 1, tzinfo=UTC)}


async def test_many_gateways_may_add_a_tenants_first_use_at_once(
    db: Database, clock: ManualClock, usage: UsageStore
) -> None:
    meters = [meter_of(db, clock) for _ in range(10)]
    for meter in meters:
        for n in range(50):
            meter.of(f"t{n}").requests += 1
    await asyncio.gather(*(meter.write() for meter in meters))
    await asyncio.gather(*(meter.write() for meter in meters))
    assert [await usage.today(TenantId(f"t{n}")) for n in range(50)] == [DayUsage(DAY, 0, 10, 0, 0)] * 50


async def test_days_are_told_apart_and_read_in_order(db: Database, clock: ManualClock, usage: UsageStore) -> None:
    meter = meter_of(db, clock)
    for _ in range(3):
        meter.of(ACME).samples += 5
        clock.advance(86_400)
        await meter.write()
    days = [DAY + timedelta(days=n) for n in range(3)]
    assert await usage.of(ACME, DAY, days[-1]) == [DayUsage(day, 5, 0, 0, 0) for day in days]
    assert [one.day for one in await usage.of(ACME, days[1], days[1])] == [days[1]]
    assert await usage.of(RIVAL, DAY, days[-1]) == []
    assert await usage.today(ACME) == DayUsage(DAY + timedelta(days=3), 0, 0, 0, 0)


async def test_what_is_counted_before_midnight_belongs_to_the_day_that_ends(
    db: Database, clock: ManualClock, usage: UsageStore
) -> None:
    clock.advance(12 * 3600 - 2)
    meter = meter_of(db, clock)
    meter.start()
    meter.of(ACME).requests += 1
    await asyncio.sleep(0)
    clock.advance(2)

    async def written() -> bool:
        return bool(await usage.of(ACME, DAY, DAY))

    await eventually(written)
    meter.of(ACME).requests += 1
    await meter.close()
    assert [one.requests for one in await usage.of(ACME, DAY, DAY + timedelta(days=1))] == [1, 1]


async def test_the_last_seconds_are_written_at_the_stop(db: Database, clock: ManualClock, usage: UsageStore) -> None:
    meter = meter_of(db, clock)
    meter.start()
    meter.of(ACME).samples += 7
    await meter.close()
    assert (await usage.today(ACME)).samples == 7


async def test_what_mongodb_does_not_take_waits_for_the_next_time(
    db: Database, clock: ManualClock, usage: UsageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = meter_of(db, clock)
    rows = meter._store._usage.across(Why.USAGE)
    taken = rows.bulk_write

    async def away(*_: Any, **__: Any) -> None:
        raise ConnectionFailure("away")

    for day in range(2):
        rows.bulk_write = away  # type: ignore[method-assign]
        meter.of(ACME).requests += 1
        await meter.write()
        clock.advance(86_400 * day)
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    meter.of(RIVAL).requests += 4
    await meter.write()
    assert meter._dropped._value.get() == 4, "what finds no room is counted"
    rows.bulk_write = taken  # type: ignore[method-assign]
    await meter.write()
    await meter.write()
    assert await usage.of(ACME, DAY, DAY) == [DayUsage(DAY, 0, 2, 0, 0)]


async def test_the_number_of_series_is_that_of_the_catalogue(db: Database, usage: UsageStore) -> None:
    assert await usage.series(ACME) == 0
    await db[TENANT_SERIES.name].insert_one({"_id": "acme", "count": Int64(4_711)})
    assert await usage.series(ACME) == 4_711


async def test_old_days_go(db: Database, usage: UsageStore) -> None:
    indexes = await db[TENANT_USAGE.name].index_information()
    [ttl] = [index for index in indexes.values() if "expireAfterSeconds" in index]
    assert (ttl["key"], ttl["expireAfterSeconds"]) == ([("day", 1)], 400 * 86_400)


async def test_without_mongodb_the_usage_cannot_be_read(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "SERVER_SELECTION_MS", 50)
    async with clients.mongo(settings_for()) as client:
        with pytest.raises(StoreUnavailable):
            await UsageStore(client["nowhere"], clock).today(ACME)
