"""From the store to the log: nothing is lost by a crash, and the log says last what the store says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import replace
from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.rulebook.shipping import Shipping
from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM, Action
from vigie_identity.identity import Identity, identity
from vigie_identity.settings import IdentitySettings
from vigie_publishing.documents import DocumentPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import BusUnavailable
from vigie_storage.alerts.rules import Change, RuleStore, RuleWrite
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import LEASE_S, Moved

from services.alerting.tests.lives import rule

pytestmark = pytest.mark.connected
ACME, RIVAL = TenantId("acme"), TenantId("rival")


class Crash(BaseException):
    """The process died here."""


class World:
    """A store, and a log that is a list."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock(4_102_444_800_000)
        self.store = RuleStore(database, self.clock)
        self.log: list[tuple[str, int | None]] = []
        self.during: Callable[[], Any] = lambda: None

    async def publish(self, key: bytes, value: bytes | None) -> None:
        made = self.during()
        if asyncio.iscoroutine(made):
            await made
        self.log.append((key.decode(), None if value is None else msgspec.json.decode(value, type=Rule).version))

    def publisher(self) -> DocumentPublisher:
        return DocumentPublisher(self.store.outgoing, self.publish, self.clock)

    async def write(self, made: Rule, change: Change = Change.CHANGED) -> None:
        async def work(session: Session) -> None:
            await self.store.write(ACME, [RuleWrite(made, made.version - 1, change)], session)

        await transaction(self.database, work)


@pytest_asyncio.fixture(loop_scope="session")
async def world(database: Database) -> World:
    made = World(database)
    await made.store.prepare()
    return made


def version(number: int) -> Rule:
    return replace(rule(tenant=ACME).rule, version=number)


async def test_what_a_crash_left_is_published_by_another(world: World) -> None:
    await world.write(version(1), Change.CREATED)

    def die() -> None:
        raise Crash

    world.during = die
    with pytest.raises(Crash):
        await world.publisher().publish_some()
    world.during = lambda: None
    assert await world.publisher().publish_some() == 0, "the claim holds"
    world.clock.advance(LEASE_S + 1)
    assert await world.publisher().publish_some() == 1
    assert world.log == [("r1", 1)]
    assert await world.store.outgoing.unpublished() == 0
    assert await world.publisher().publish_some() == 0


async def test_what_kafka_does_not_acknowledge_is_published_again(world: World) -> None:
    await world.write(version(1), Change.CREATED)

    def away() -> None:
        raise BusUnavailable("Kafka is away")

    world.during = away
    assert await world.publisher().publish_some() == 0
    world.during = lambda: None
    world.clock.advance(LEASE_S + 1)
    assert await world.publisher().publish_some() == 1


async def test_a_change_while_it_is_published_is_published_after_it(world: World) -> None:
    await world.write(version(1), Change.CREATED)
    changed = False

    async def change() -> None:
        nonlocal changed
        if not changed:
            changed = True
            await world.write(version(2))
            assert await world.publisher().publish_some() == 0, "nobody else publishes this rule meanwhile"

    world.during = change
    assert await world.publisher().publish_some() == 1
    stored = await world.store.get(ACME, "r1")
    assert stored
    assert not stored.published
    assert await world.publisher().publish_some() == 1
    assert world.log == [("r1", 1), ("r1", 2)]


async def test_a_rule_that_goes_and_comes_back_goes_on_with_its_versions(world: World) -> None:
    await world.write(version(1), Change.CREATED)
    await world.write(version(2), Change.DELETED)
    assert await world.store.get(ACME, "r1") is None
    assert (await world.store.some(ACME, ["r1"]))["r1"].version == 2, "its alerts still have a rule"
    await world.publisher().publish_some()
    assert world.log == [("r1", None)]
    assert await world.store.newest(ACME, "r1") == 2

    async def again(session: Session) -> None:
        await world.store.write(ACME, [RuleWrite(version(3), 0, Change.CREATED)], session)

    await transaction(world.database, again)
    await world.publisher().publish_some()
    assert world.log[-1] == ("r1", 3)
    assert [one.change for one in await world.store.versions(ACME, "r1", 10)] == ["created", "deleted", "created"]
    with pytest.raises(Moved):
        await transaction(world.database, again)


async def test_no_rule_is_anothers(world: World) -> None:
    await world.write(version(1), Change.CREATED)
    assert await world.store.get(RIVAL, "r1") is None
    assert await world.store.some(RIVAL, ["r1"]) == {}
    assert await world.store.versions(RIVAL, "r1", 10) == []

    async def work(session: Session) -> None:
        await world.store.write(RIVAL, [RuleWrite(replace(version(2), tenant=RIVAL), 1, Change.CHANGED)], session)

    with pytest.raises(Moved):
        await transaction(world.database, work)


@pytest_asyncio.fixture(loop_scope="session")
async def who(world: World, mongo_uri: str, redis_url: str) -> Any:
    from redis.asyncio import Redis

    settings = IdentitySettings(kafka_bootstrap_servers="unused:1", mongodb_uri=mongo_uri, redis_url=redis_url)
    async with Redis.from_url(redis_url) as redis, identity(settings, world.database, redis, world.clock) as made:
        await made.prepare(ACME)
        yield made


async def test_shipped_rules_are_made_once_and_what_users_do_to_them_stays(world: World, who: Identity) -> None:
    books = [Rulebook(world.database, world.store, who, world.clock, lambda: None) for _ in range(3)]

    async def tenants() -> Any:
        yield [ACME]

    shippings = [Shipping(world.store, book.make_shipped, tenants) for book in books]
    await asyncio.gather(*(one.once() for one in shippings))
    rules = await world.store.all(ACME)
    assert len(rules) == 13
    await books[0].delete(ACME, rules[0], SYSTEM)
    await Shipping(world.store, books[1].make_shipped, tenants).once()
    assert len(await world.store.all(ACME)) == 12
    entries = (await who.audit.page(ACME, _page())).items
    assert [one.action for one in entries][:2] == [Action.RULE_DELETED, Action.RULES_IMPORTED]


def _page() -> Any:
    from vigie_identity.pages import PageRequest

    return PageRequest(10)
