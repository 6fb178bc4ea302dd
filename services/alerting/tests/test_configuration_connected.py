"""What tenants configure: versions, tombstones, and replicas that see what others change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from vigie_alerting.configbook import Configbook, ConfigurationConflict
from vigie_alerting.snapshots import Watch
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import LimitReached
from vigie_identity.pages import PageRequest
from vigie_storage.alerts.configuration import MAX_CHANGES, Configuration, Kind

from services.alerting.tests.stage import ACME, RIVAL, Stage

pytestmark = pytest.mark.connected
BY = Actor("u1", "ann")


class Thing(msgspec.Struct):
    text: str


def things(stage: Stage, most: int = 3) -> Configuration[Thing]:
    return stage.configuration.of(Kind.MAINTENANCE, Thing, most)


def book(stage: Stage, watch: Watch | None = None) -> Configbook[Thing]:
    return Configbook(stage.database, things(stage), stage.audit, watch or stage.watch)


async def put(stage: Stage, name: str, text: str, version: int | None = None, tenant: TenantId = ACME) -> int:
    made = await book(stage).put(tenant, name, Thing(text), BY, Action.ROUTES_CHANGED, if_version=version, why="test")
    return made.version


async def test_each_change_is_a_version_and_two_people_are_told_of_each_other(stage: Stage) -> None:
    assert await put(stage, "a", "1", version=0) == 1
    assert await put(stage, "a", "2", version=1) == 2
    for version in (0, 1, 3):
        with pytest.raises(ConfigurationConflict, match="at version 2 now, ann changed it at"):
            await put(stage, "a", "x", version=version)
    with pytest.raises(ConfigurationConflict, match="not there any more"):
        await put(stage, "b", "x", version=1)
    assert await put(stage, "a", "3") == 3
    both = await asyncio.gather(*(put(stage, "a", text, version=3) for text in "xy"), return_exceptions=True)
    assert sorted(type(one).__name__ for one in both) == ["ConfigurationConflict", "int"]
    entries = (await stage.audit.page(ACME, PageRequest(10))).items
    assert [(one.action, one.target, one.changes["version"]) for one in entries] == [
        ("routes.changed", "a", version) for version in (4, 3, 2, 1)
    ]
    found = await things(stage).get(ACME, "a")
    assert found is not None
    assert (found.version, found.by, found.value.text in "xy") == (4, "ann", True)


async def test_what_is_deleted_leaves_a_tombstone_and_its_versions_go_on(stage: Stage) -> None:
    await put(stage, "a", "1")
    with pytest.raises(ConfigurationConflict):
        await book(stage).delete(ACME, "a", BY, Action.ROUTES_DELETED, if_version=2)
    gone = await book(stage).delete(ACME, "a", BY, Action.ROUTES_DELETED, if_version=1)
    assert gone is not None
    assert gone.value == Thing("1")
    assert await things(stage).get(ACME, "a") is None
    assert await things(stage).all(ACME) == []
    assert await book(stage).delete(ACME, "a", BY, Action.ROUTES_DELETED) is None
    (left,) = await stage.database["alert_configuration"].find({}).to_list()
    assert (left["deleted"], left["expires"] > left["changed"]) == (True, True)
    assert await put(stage, "a", "again", version=0) == 3
    (left,) = await stage.database["alert_configuration"].find({}).to_list()
    assert "expires" not in left


async def test_those_of_a_tenant_are_listed_by_name_and_are_no_more_than_they_may_be(stage: Stage) -> None:
    for name in "cab":
        await put(stage, name, name)
    await put(stage, "a", "rival's", tenant=RIVAL)
    with pytest.raises(LimitReached, match="there are 3 documents of the kind maintenance already"):
        await put(stage, "d", "x")
    assert [one.name for one in await things(stage).all(ACME)] == ["a", "b", "c"]
    assert [one.name for one in await things(stage).page(ACME, 2, after="a")] == ["b", "c"]
    assert [one.value.text for one in await things(stage).all(RIVAL)] == ["rival's"]


async def test_another_replica_sees_what_was_changed_and_deleted(stage: Stage) -> None:
    loads: list[TenantId] = []

    async def load(tenant: TenantId) -> list[str]:
        loads.append(tenant)
        return [one.value.text for one in await things(stage).all(tenant)]

    other = Watch(stage.configuration.changed_since, stage.clock)
    held = other.hold(load, Kind.MAINTENANCE)
    assert [await held.of(tenant) for tenant in (ACME, RIVAL, ACME)] == [[], [], []]
    await put(stage, "a", "1")
    assert await held.of(ACME) == []
    await other.once()
    assert await held.of(ACME) == ["1"]
    await other.once()  # sees the same change again, and loads nothing
    await book(stage).delete(ACME, "a", BY, Action.ROUTES_DELETED)
    await other.once()
    assert await held.of(ACME) == []
    assert await held.of(RIVAL) == []
    assert loads == [ACME, RIVAL, ACME, ACME]


async def test_whoever_changes_it_goes_by_it_at_once(stage: Stage) -> None:
    held = stage.watch.hold(lambda tenant: things(stage).get(tenant, "a"), Kind.MAINTENANCE)
    assert await held.of(ACME) is None
    await put(stage, "a", "1")
    assert await held.of(ACME) is not None


async def test_so_many_changes_that_they_are_not_told_one_by_one_drop_everything(stage: Stage) -> None:
    now = datetime.now(UTC)
    await stage.database["alert_configuration"].insert_many(
        {"tenant": "acme", "kind": "silence", "name": str(at), "version": 1, "changed": now}
        for at in range(MAX_CHANGES + 1)
    )
    assert await stage.configuration.changed_since(now - timedelta(seconds=1)) is None
    await stage.database["alert_configuration"].delete_one({})
    await stage.database["alert_configuration"].update_one({}, {"$set": {"kind": "of a later version"}})
    assert len(await stage.configuration.changed_since(now - timedelta(seconds=1)) or ()) == MAX_CHANGES - 1
