"""Targets on a real store: changed all or nothing, told once, and never another tenant's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.targets import file, form, importing
from vigie_healthcheck.targets.errors import InvalidTarget, ManagedElsewhere, NameTaken, TargetConflict, TargetNotFound
from vigie_healthcheck.targets.file import Entry, InvalidTargetFileError
from vigie_healthcheck.targets.targetbook import Made, Targetbook
from vigie_healthcheck.targets.watching import WatchedFile
from vigie_identity.audit import SYSTEM, Action, Actor
from vigie_identity.errors import LimitReached
from vigie_identity.identity import Identity, identity
from vigie_identity.pages import PageRequest
from vigie_identity.settings import IdentitySettings
from vigie_publishing.documents import DocumentPublisher
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_storage.health.beats import Beats
from vigie_storage.health.secrets import opened
from vigie_storage.health.targets import TargetStore
from vigie_storage.sealing import Sealing

pytestmark = pytest.mark.connected
ACME, RIVAL = TenantId("acme"), TenantId("rival")
BY = Actor("u1", "alice")
OLD, NEW = "ab" * 32, "cd" * 32


class World:
    """A store with its book, and a log that is a list."""

    def __init__(self, database: Database, who: Identity, clock: ManualClock) -> None:
        self.database, self.who, self.clock = database, who, clock
        self.beats = Beats(database)
        self.log: list[tuple[str, int | None]] = []
        self.open(OLD)

    def open(self, *keys: str) -> None:
        self.store = TargetStore(self.database, self.clock, Sealing(keys))
        self.book = Targetbook(self.database, self.store, self.beats, self.who, clock=self.clock, wake=lambda: None)

    async def publish(self, key: bytes, value: bytes | None) -> None:
        self.log.append((key.decode(), None if value is None else msgspec.json.decode(value, type=Target).version))

    async def published(self) -> list[tuple[str, int | None]]:
        await DocumentPublisher(self.store.outgoing, self.publish, self.clock).publish_some()
        return self.log

    async def add(self, name: str, tenant: TenantId = ACME, **more: Any) -> Made:
        return await self.book.create(form.read({"name": name, "url": "https://a.example/", **more}, tenant), BY)

    async def change(self, before: Target, **more: Any) -> Made:
        present = self.book.present(before)
        sent = form.merged(present, more)
        return await self.book.change(form.read(sent, before.tenant, present), before, BY)

    async def named(self, name: str) -> Target:
        return (await self.book.get(ACME, name)).target

    async def audit(self, count: int) -> list[tuple[Action, dict[str, Any]]]:
        found = (await self.who.audit.page(ACME, PageRequest(count))).items
        return [(one.action, dict(one.changes)) for one in found]


@pytest_asyncio.fixture(loop_scope="session")
async def world(database: Database, mongo_uri: str, redis_url: str) -> Any:
    clock = ManualClock(4_102_444_800_000)
    settings = IdentitySettings(kafka_bootstrap_servers="unused:1", mongodb_uri=mongo_uri, redis_url=redis_url)
    async with Redis.from_url(redis_url) as redis, identity(settings, database, redis, clock) as who:
        await who.prepare(ACME)
        await who.tenants.create(RIVAL, "Rival", SYSTEM)
        made = World(database, who, clock)
        await made.store.prepare()
        await made.beats.prepare()
        yield made


async def test_a_target_is_made_changed_and_removed_with_its_story(world: World) -> None:
    made = (await world.add("a/ä", password="hunter2")).stored.target
    assert (made.version, made.created_by) == (1, "alice")
    assert "hunter2" not in msgspec.json.encode(made).decode()
    assert await world.published() == [(made.id, 1)]
    changed = (await world.change(made, interval=60_000)).stored.target
    assert (changed.version, changed.interval_ms, changed.created_at) == (2, 60_000, made.created_at)
    assert opened(changed, world.store.sealing).password == "hunter2"
    await world.book.delete(changed, BY)
    assert (await world.published())[-1] == (made.id, None)
    with pytest.raises(TargetNotFound):
        await world.book.get(ACME, "a/ä")
    assert await world.audit(3) == [
        (Action.TARGET_DELETED, {"name": "a/ä", "version": 3}),
        (Action.TARGET_CHANGED, {"name": "a/ä", "version": 2, "fields": ["intervalMs"]}),
        (Action.TARGET_CREATED, {"name": "a/ä", "version": 1}),
    ]
    assert await world.store.count(ACME) == 0
    assert not await world.database["health_targets"].count_documents({})


async def test_there_is_one_of_a_name_however_many_ask_at_once(world: World) -> None:
    found = await asyncio.gather(*(world.add("shop") for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["Made", "NameTaken", "NameTaken", "NameTaken"]
    await world.add("shop", RIVAL)
    other = (await world.add("other")).stored.target
    with pytest.raises(NameTaken):
        await world.change(other, name="shop")
    await world.book.delete(await world.named("shop"), BY)
    await world.add("shop")  # although the log has no tombstone of the other yet


async def test_who_changes_an_old_version_is_told_who_was_first(world: World) -> None:
    made = (await world.add("shop")).stored.target
    await world.change(made, retries=1)
    with pytest.raises(TargetConflict, match="at version 2: alice"):
        await world.change(made, retries=2)
    with pytest.raises(TargetConflict):
        await world.book.delete(made, BY)
    assert (await world.named("shop")).retries == 1


async def test_no_target_is_anothers(world: World) -> None:
    made = (await world.add("shop")).stored.target
    assert await world.store.get(RIVAL, made.id) is None
    assert await world.store.by_name(RIVAL, "shop") is None
    assert await world.store.some(RIVAL, [made.id]) == {}
    with pytest.raises(InvalidTarget):
        await world.add("child", RIVAL, dependsOn=[made.id])


async def test_what_is_removed_is_no_dependency_any_more(world: World) -> None:
    parent = (await world.add("db")).stored.target
    child = (await world.add("shop", dependsOn=["db"])).stored.target
    assert child.depends_on == [parent.id]
    assert (await world.book.definition(child))["dependsOn"] == ["db"]
    with pytest.raises(InvalidTarget, match="depends on this service"):
        await world.change(parent, dependsOn=["shop"])
    await world.book.delete(parent, BY)
    assert (await world.named("shop")).depends_on == []
    assert (await world.audit(1))[0] == (
        Action.TARGET_DELETED, {"name": "db", "version": 2, "dependents": ["shop"]}
    )  # fmt: skip


async def test_a_tenant_has_as_many_as_its_plan_says(world: World) -> None:
    await world.who.tenants.change(ACME, SYSTEM, plan={"targets": 2})
    await world.add("1")
    await world.add("2")
    with pytest.raises(LimitReached, match="there are 2 services already"):
        await world.add("3")
    with pytest.raises(LimitReached):
        await put(world, [{"name": "3", "url": "https://a"}])
    assert await world.store.count(ACME) == 2


async def test_a_heartbeat_has_a_token_that_is_told_once_and_goes_with_it(world: World) -> None:
    beat = {"kind": "heartbeat", "url": ""}
    made = await world.add("backup", **beat)
    target = made.stored.target
    heard = await world.beats.hear(made.token, 5)
    assert heard is not None
    assert (heard.target, heard.tenant) == (target.id, ACME)
    assert made.token not in msgspec.json.encode(target).decode()
    assert (await world.change(target, timeout=5)).token == ""
    assert await world.beats.hear(made.token, 6) is not None
    chosen = "chosen-by-somebody"
    assert (await world.change(await world.named("backup"), token=chosen)).token == chosen
    assert await world.beats.hear(made.token, 7) is None
    assert await world.beats.hear(chosen, 7) is not None
    with pytest.raises(InvalidTarget, match="choose another"):
        await world.add("other", token=chosen, **beat)
    await world.book.delete(await world.named("backup"), BY)
    assert await world.beats.hear(chosen, 8) is None


async def test_another_key_encrypts_anew_and_the_log_learns_it(world: World) -> None:
    await world.add("shop", password="hunter2")
    world.open(NEW, OLD)
    await world.store.prepare()
    await world.store.prepare()
    found = await world.named("shop")
    assert (found.version, opened(found, Sealing([NEW])).password) == (2, "hunter2")
    assert (await world.published())[-1] == (found.id, 2)
    world.open(OLD)
    assert world.book.present(found).secrets is None


async def put(
    world: World, fields: list[dict[str, Any]], managed_by: str = "", *, dry_run: bool = False
) -> list[tuple[str, str, tuple[str, ...]]]:
    entries = [Entry(at, {}, one) for at, one in enumerate(fields, 1)]
    done, _ = await importing.put_all(world.book, ACME, entries, BY, dry_run=dry_run, managed_by=managed_by)
    return [(one.target.name, one.outcome.value, one.fields) for one in done]


async def test_an_import_tells_what_it_would_do_and_does_that(world: World) -> None:
    await world.add("shop", password="hunter2")
    await world.add("alone")
    fields: list[dict[str, Any]] = [
        {"name": "shop", "url": "https://a.example/", "password": "***", "retries": 1},
        {"name": "page", "url": "https://b.example/", "dependsOn": ["db"]},
        {"name": "db", "url": "tcp://db:5432"},
    ]
    told = [("shop", "changed", ("retries",)), ("page", "created", ()), ("db", "created", ())]
    assert await put(world, fields, dry_run=True) == told
    assert await world.store.count(ACME) == 2
    assert await put(world, fields) == told
    assert await put(world, fields) == [(name, "unchanged", ()) for name, *_ in told]
    assert opened(await world.named("shop"), world.store.sealing).password == "hunter2"
    assert (await world.named("page")).depends_on == [(await world.named("db")).id]
    assert await world.store.count(ACME) == 4
    exported = file.written([await world.book.definition(one) for one in await world.store.all(ACME)])
    entries, _ = file.read(exported)
    done, _ = await importing.put_all(world.book, ACME, entries, BY)
    assert {one.outcome.value for one in done} == {"unchanged"}


async def test_an_import_with_a_mistake_does_nothing(world: World) -> None:
    with pytest.raises(InvalidTargetFileError) as refused:
        await put(
            world,
            [
                {"name": "shop", "url": "https://a"},
                {"name": "page", "url": "x", "retries": -1},
                {"name": "loop", "url": "https://a", "dependsOn": ["ring"]},
                {"name": "ring", "url": "https://a", "dependsOn": ["loop"]},
            ],
        )
    assert [one.line for one in refused.value.findings] == [2, 2, 3]
    assert await world.store.count(ACME) == 0


async def test_a_secret_that_the_file_refers_to_is_followed(world: World, tmp_path: Path) -> None:
    path, secret = tmp_path / "targets.yaml", tmp_path / "secret"
    path.write_text(f"targets:\n- {{name: db, url: 'redis://db', password: '${{file:{secret}}}'}}\n")
    watched = WatchedFile(world.book, ACME, str(path))
    await watched.load()
    assert await world.store.all(ACME) == [], "a secret that is not there yet"
    for version, word in enumerate(["one", "two"], 1):
        secret.write_text(word)
        for _ in range(2):
            await watched.load()
            db = await world.named("db")
            assert (opened(db, world.store.sealing).password, db.version) == (word, version)
    secret.unlink()
    await watched.load()
    assert await world.named("db") == db, "what is in force stays"


async def test_the_file_is_in_force_when_it_changes_and_nobody_else_changes_its_targets(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "targets.yaml"
    await world.add("mine")
    await world.add("adopted")
    watched = WatchedFile(world.book, ACME, str(path))
    await watched.load()  # there is none yet
    path.write_text(
        "targets:\n- {name: db, url: 'tcp://db:1'}\n- {name: adopted, url: 'https://b', dependsOn: [db]}\n"
        "- {name: beat, kind: heartbeat, token: chosen-by-somebody}\n"
    )
    await watched.load()
    assert {one.name: one.managed_by for one in await world.store.all(ACME)} == {
        "mine": "", "db": "targets.yaml", "adopted": "targets.yaml", "beat": "targets.yaml",
    }  # fmt: skip
    db = await world.named("db")
    with pytest.raises(ManagedElsewhere, match=r"targets\.yaml"):
        await world.change(db, retries=1)
    with pytest.raises(ManagedElsewhere):
        await world.book.delete(db, BY)
    with pytest.raises(InvalidTargetFileError, match=r"managed by targets\.yaml"):
        await put(world, [{"name": "db", "url": "tcp://db:2"}])
    path.write_text("targets:\n- {name: adopted, url: ''}\n")
    await watched.load()
    assert await world.named("db") == db, "a file with a mistake changes nothing"
    await world.beats.hear("chosen-by-somebody", 5)
    path.write_text(
        "targets:\n- {name: adopted, url: 'https://c'}\n- {name: beat, kind: heartbeat, token: chosen-by-somebody}\n"
    )
    await watched.load()
    assert [one.name for one in await world.store.all(ACME)] == ["adopted", "beat", "mine"]
    adopted = await world.named("adopted")
    assert (adopted.url, adopted.depends_on) == ("https://c", [])
    beat = await world.beats.last((await world.named("beat")).id)
    assert beat is not None
    assert beat.at_ms == 5, "the same token again makes nothing new"
    await world.book.delete(adopted, BY, force=True)


async def test_people_say_how_vigies_own_are_watched_but_not_where(world: World) -> None:
    draft = form.read({"name": "vigie-mongodb", "url": "mongodb://u:pw@m:27017"}, ACME)
    own = (await world.book.create(draft, SYSTEM, managed_by="vigie")).stored.target
    changed = (await world.change(own, interval=10_000, labels={"site": "1"})).stored.target
    assert (changed.interval_ms, changed.managed_by, changed.url) == (10_000, "vigie", "mongodb://m:27017")
    for more in ({"name": "other"}, {"password": "new"}, {"url": "mongodb://m:27017/?tls=true"}, {"verify": False}):
        with pytest.raises(ManagedElsewhere):
            await world.change(changed, **more)
    with pytest.raises(ManagedElsewhere):
        await world.book.delete(changed, BY)
