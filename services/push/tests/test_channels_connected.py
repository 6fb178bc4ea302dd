"""Every channel over real stores: a snapshot, what is new, and coming back to another replica."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from vigie_contracts.tenants import TenantId
from vigie_push.channels import cursors
from vigie_push.channels.names import ChannelName
from vigie_push.errors import InvalidCursor
from vigie_push.sources.summaries import PERIODS
from vigie_runtime.clients import Database, Redis
from vigie_storage.alerts.live import LiveTransitions

from services.push.tests.conformance import CASES, Case, Replica, Stores

CHANNELS = sorted(CASES)


@pytest.fixture
async def stores(database: Database, redis_url: str) -> AsyncIterator[Stores]:
    redis = Redis.from_url(redis_url)
    yield Stores(database, redis)
    await redis.aclose()


@pytest.fixture
def tenants(unique) -> tuple[TenantId, TenantId]:  # type: ignore[no-untyped-def]
    return TenantId(unique("acme")), TenantId(unique("rival"))


async def made(name: str, stores: Stores, *tenants: TenantId) -> Case:
    case: Case = CASES[name]()
    for tenant in tenants:
        await case.prepare(stores, tenant)
    return case


async def test_every_channel_has_a_case(stores: Stores) -> None:
    # Summaries have no past: each is the whole. A command is told again until it has ended.
    others = {*PERIODS, ChannelName.COMMANDS}
    assert set(Replica(stores).hub.channels) - others == set(CASES)


@pytest.mark.parametrize("name", CHANNELS)
async def test_nothing_is_lost_or_told_twice_when_a_client_comes_back_to_another_replica(
    name: str, stores: Stores, tenants: tuple[TenantId, TenantId]
) -> None:
    acme, _ = tenants
    case = await made(name, stores, acme)
    here, there = Replica(stores), Replica(stores)
    await case.happen(stores, acme, 0)
    client = await here.client(name, acme, case)
    assert await client.read() == [{0}]
    record = await case.happen(stores, acme, 1)
    here.tell(name, acme, record)
    here.tell(name, acme, record)
    (told,) = await client.read()
    assert 1 in told
    await here.hub.close()

    missed = [await case.happen(stores, acme, number) for number in (2, 3)]
    again = await there.client(name, acme, case, client.cursor)
    words = await again.read()
    assert set().union(*words) >= {2, 3}, "nothing is lost"
    for late in (record, *missed):
        there.tell(name, acme, late)
    assert await again.read() == [], "nothing twice"
    there.tell(name, acme, await case.happen(stores, acme, 4))
    (told,) = await again.read()
    assert 4 in told
    cursors_seen = [message["cursor"] for message in client.messages + again.messages]
    assert max(map(len, cursors_seen)) <= 1_000

    for cursor in (again.cursor, cursors_seen[-1]):
        assert await (await there.client(name, acme, case, cursor)).read() == [], "there is nothing new"
    await there.hub.close()


@pytest.mark.parametrize("name", CHANNELS)
async def test_a_foreign_tenant_sees_nothing(name: str, stores: Stores, tenants: tuple[TenantId, TenantId]) -> None:
    acme, rival = tenants
    case = await made(name, stores, acme, rival)
    replica = Replica(stores)
    await case.happen(stores, acme, 0)
    other = await replica.client(name, rival, case)
    mine = await replica.client(name, acme, case)
    replica.tell(name, acme, await case.happen(stores, acme, 1))
    assert set().union(*await mine.read()) == {0, 1}
    assert set().union(*await other.read()) == set()
    resumed = await replica.client(name, rival, case, mine.cursor)
    assert set().union(*await resumed.read()) == set(), "not with the cursor of another tenant either"
    await replica.hub.close()


@pytest.mark.parametrize("name", CHANNELS)
async def test_what_a_source_does_not_tell_is_polled_and_told_once(
    name: str, stores: Stores, tenants: tuple[TenantId, TenantId]
) -> None:
    acme, _ = tenants
    case = await made(name, stores, acme)
    replica = Replica(stores)
    await case.happen(stores, acme, 0)
    client = await replica.client(name, acme, case)
    await client.read()
    lost = await case.happen(stores, acme, 1)
    for open_ in replica.hub._topics.values():
        await replica.hub._poll_topic(open_)
        await replica.hub._poll_topic(open_)
    (told,) = await client.read()
    assert 1 in told
    replica.tell(name, acme, lost)
    assert await client.read() == []
    await replica.hub.close()


@pytest.mark.parametrize("name", CHANNELS)
async def test_garbage_is_no_cursor_and_that_of_another_channel_or_version_is_none(
    name: str, stores: Stores, tenants: tuple[TenantId, TenantId]
) -> None:
    acme, _ = tenants
    case = await made(name, stores, acme)
    replica = Replica(stores)
    await case.happen(stores, acme, 0)
    for garbage in ("nonsense!", "A", "%00", "ü"):
        with pytest.raises(InvalidCursor, match="after: is not a cursor of this channel"):
            await replica.client(name, acme, case, garbage)
    mine = await replica.client(name, acme, case)
    await mine.read()
    others = [form for form in cursors.Form if cursors.decode(form, mine.cursor) is None]
    assert len(others) == len(cursors.Form) - 1
    for form in (200, *others):
        again = await replica.client(name, acme, case, cursors.encode(form, b"of something else"))
        assert await again.read() == [{0}]
    await replica.hub.close()


@pytest.mark.parametrize("name", CHANNELS)
async def test_a_snapshot_is_bounded_whatever_was_missed(
    name: str, stores: Stores, tenants: tuple[TenantId, TenantId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigie_push.channels.alerts.MAX_OPEN", 5)
    monkeypatch.setattr("vigie_push.channels.alerts.MAX_READ", 8)
    monkeypatch.setattr("vigie_push.channels.health.MAX_SHOWN", 5)
    monkeypatch.setattr("vigie_push.channels.health.MAX_READ", 8)
    monkeypatch.setattr("vigie_push.channels.report_feed.MAX_MISSED", 5)
    acme, _ = tenants
    case = await made(name, stores, acme)
    replica = Replica(stores)
    await case.happen(stores, acme, 0)
    first = await replica.client(name, acme, case)
    await first.read()
    for number in range(1, 20):
        await case.happen(stores, acme, number)
    words = await (await replica.client(name, acme, case, first.cursor)).read()
    assert len(words) <= 5
    if name in ("alerts", "health"):
        assert len(words[0]) == 5
    else:
        assert 19 in set().union(*words)
    await replica.hub.close()


async def test_alerts_of_a_writer_whose_clock_is_behind_are_seen(
    stores: Stores, tenants: tuple[TenantId, TenantId]
) -> None:
    acme, _ = tenants
    case = await made("alerts", stores, acme)
    here, there = Replica(stores), Replica(stores)

    async def happen(number: int) -> LiveTransitions:
        record: LiveTransitions = await case.happen(stores, acme, number)
        behind = datetime.fromtimestamp(record.stored / 1000, UTC) - timedelta(hours=1)
        ids = [step.id for step in record.transitions]
        await stores.database.alert_transitions.update_many({"_id": {"$in": ids}}, {"$set": {"stored": behind}})
        return LiveTransitions(record.stored - 3_600_000, record.transitions)

    client = await here.client("alerts", acme, case)
    assert await client.read() == [set()]
    here.tell("alerts", acme, await happen(1))
    assert await client.read() == [{1}]
    await happen(2)
    for open_ in here.hub._topics.values():
        await here.hub._poll_topic(open_)
    assert await client.read() == [{2}]
    await happen(3)
    assert await (await there.client("alerts", acme, case, client.cursor)).read() == [{3}]
    assert await (await there.client("alerts", acme, case)).read() == [{1, 2, 3}]
    await here.hub.close()
    await there.hub.close()


@pytest.mark.parametrize("name", CHANNELS)
async def test_without_redis_everything_is_read_of_mongodb(
    name: str, database: Database, tenants: tuple[TenantId, TenantId]
) -> None:
    acme, _ = tenants
    nowhere = Stores(database, Redis(port=1, retry=Retry(NoBackoff(), 0)))
    case = await made(name, nowhere, acme)
    replica = Replica(nowhere)
    await case.happen(nowhere, acme, 0)
    client = await replica.client(name, acme, case)
    assert await client.read() == [{0}]
    for number in (1, 2):
        await case.happen(nowhere, acme, number)
        for open_ in replica.hub._topics.values():
            await replica.hub._poll_topic(open_)
        (told,) = await client.read()
        assert number in told
    resumed = await replica.client(name, acme, case, client.cursor)
    assert await resumed.read() == []
    await replica.hub.close()
