"""Vigie's own targets in the real store: made once, followed, removed; what people did to them stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec.structs import replace
from pydantic import SecretStr
from redis.asyncio import Redis
from vigie_contracts.targets import OWN, Secrets, Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.targets.errors import ManagedElsewhere
from vigie_healthcheck.targets.form import Draft
from vigie_healthcheck.targets.keeping_own import KeepingOwn
from vigie_healthcheck.targets.own import Own, named
from vigie_healthcheck.targets.targetbook import Targetbook
from vigie_identity.audit import SYSTEM
from vigie_identity.identity import identity
from vigie_identity.settings import IdentitySettings
from vigie_runtime.clients import Database
from vigie_runtime.clock import SystemClock
from vigie_storage.health.beats import Beats
from vigie_storage.health.targets import TargetStore
from vigie_storage.sealing import Sealing, parse_keys

pytestmark = pytest.mark.connected
DEFAULT = TenantId("default")
KEYS = parse_keys("ab" * 32)


@pytest_asyncio.fixture(loop_scope="session")
async def book(database: Database, redis_url: str) -> AsyncIterator[Targetbook]:
    clock = SystemClock()
    servers = {"kafka_bootstrap_servers": "none:1", "mongodb_uri": "mongodb://none", "redis_url": redis_url}
    settings = IdentitySettings(**servers, jwt_secret=SecretStr("s" * 48))
    async with Redis.from_url(redis_url) as redis, identity(settings, database, redis, clock) as who:
        await who.prepare(DEFAULT)
        store, beats = TargetStore(database, clock, Sealing(KEYS)), Beats(database)
        await store.prepare()
        await beats.prepare()
        yield Targetbook(database, store, beats, who, clock=clock, wake=lambda: None)


def keeping(book: Targetbook, *wanted: Own) -> KeepingOwn:
    return KeepingOwn(book, DEFAULT, wanted)


async def targets(book: Targetbook) -> dict[str, Target]:
    return {one.name: one for one in await book.store.all(DEFAULT)}


def redis(url: str = "redis://redis:6379", password: str = "s3cret") -> Own:
    return Own(
        Target(id="", tenant="", name="vigie-redis", kind="redis", url=url, managed_by=OWN), Secrets(password=password)
    )


async def test_own_targets_are_made_once_by_however_many_start_together(book: Targetbook) -> None:
    wanted = [*named("vigie-api=http://127.0.0.1:1/health/ready"), redis()]
    await asyncio.gather(*(keeping(book, *wanted).settle() for _ in range(3)))
    made = await targets(book)
    assert {name: (one.managed_by, one.version) for name, one in made.items()} == {
        "vigie-api": (OWN, 1),
        "vigie-redis": (OWN, 1),
    }
    assert "s3cret" not in repr(made)
    assert book.present(made["vigie-redis"]).secrets == Secrets(password="s3cret")
    await keeping(book, *wanted).once()
    assert await targets(book) == made


async def test_address_and_login_follow_and_what_people_set_stays(book: Targetbook) -> None:
    await keeping(book, redis()).once()
    before = (await targets(book))["vigie-redis"]
    asked = Draft(
        replace(before, managed_by="", interval_ms=60_000, labels={"team": "ops"}), Secrets(password="s3cret")
    )
    await book.change(asked, before, SYSTEM)
    await keeping(book, redis("redis://other:6379", "new")).once()
    after = (await targets(book))["vigie-redis"]
    assert (after.id, after.managed_by, after.version) == (before.id, OWN, 3)
    assert (after.url, after.interval_ms, after.labels) == ("redis://other:6379", 60_000, {"team": "ops"})
    assert book.present(after).secrets == Secrets(password="new")


async def test_what_is_not_named_any_more_is_removed_and_nobody_elses(book: Targetbook) -> None:
    [shop] = named("shop=http://127.0.0.1:1/")
    await book.create(Draft(replace(shop.target, tenant=DEFAULT, managed_by=""), Secrets()), SYSTEM)
    await keeping(book, redis(), shop).settle()
    theirs = (await targets(book))["shop"]
    assert theirs.managed_by == ""
    with pytest.raises(ManagedElsewhere, match="set enabled to false"):
        await book.delete((await targets(book))["vigie-redis"], SYSTEM)
    await keeping(book).settle()
    assert await targets(book) == {"shop": theirs}
