"""Tenants, licences and the audit of their changes, on a real MongoDB."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity import audit as audit_module
from vigie_identity.audit import Action
from vigie_identity.errors import Conflict, InvalidField, NotFound
from vigie_identity.licences import LicenceState
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Role, Scope
from vigie_identity.tenants import Plan, Status
from vigie_runtime.clients import MongoClient
from vigie_runtime.errors import StoreUnavailable
from vigie_storage import mongo as store

from .conftest import ACME, BY, NOW_MS, PASSWORD, RIVAL, World

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
NOBODY = TenantId("nobody")


async def test_a_tenant_is_active_with_the_default_plan_until_somebody_says_otherwise(world: World) -> None:
    made = await world.tenants.create(TenantId("new"), "  New Co ", BY)
    assert made == await world.tenants.get(TenantId("new"))
    assert (made.name, made.status, made.plan) == ("New Co", Status.ACTIVE, Plan())
    world.clock.advance(60)
    changed = await world.tenants.change(TenantId("new"), BY, status=Status.INACTIVE)
    assert not changed.active
    assert changed.updated == changed.created + timedelta(minutes=1)
    assert (await world.tenants.change(TenantId("new"), BY, plan=asdict(Plan(series=5)))).plan.series == 5
    assert (await world.tenants.get(TenantId("new"))).plan == Plan(series=5)


async def test_ids_and_names_of_tenants_are_unique_whatever_the_case(world: World) -> None:
    with pytest.raises(Conflict):
        await world.tenants.create(ACME, "another name", BY)
    with pytest.raises(Conflict):
        await world.tenants.create(TenantId("other"), "ACME Inc", BY)
    with pytest.raises(Conflict):
        await world.tenants.change(RIVAL, BY, name="Acme INC")
    assert (await world.tenants.get(RIVAL)).name == "rival inc"


async def test_a_refused_change_leaves_no_entry_in_the_audit(world: World) -> None:
    before = await world.audit.page(RIVAL, PageRequest())
    with pytest.raises(Conflict):
        await world.tenants.change(RIVAL, BY, name="acme inc")
    with pytest.raises(NotFound):
        await world.tenants.change(NOBODY, BY, status=Status.ACTIVE)
    assert await world.audit.page(RIVAL, PageRequest()) == before
    assert (await world.audit.page(NOBODY, PageRequest())).items == []


async def test_an_operator_in_place_of_an_id_is_nobodys(world: World) -> None:
    anything: Any = {"$ne": ""}
    for question in (world.tenants.get(anything), world.tenants.change(anything, BY, status=Status.INACTIVE)):
        with pytest.raises(NotFound):
            await question
    assert (await world.tenants.get(ACME)).active


async def test_only_active_tenants_that_exist_are_active(world: World) -> None:
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    assert await world.tenants.active([ACME, RIVAL, NOBODY]) == {ACME}
    assert await world.tenants.counts() == {Status.ACTIVE: 1, Status.INACTIVE: 1}


async def test_those_that_ended_are_known_for_as_long_as_is_asked(world: World) -> None:
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    for _ in ("switched off", "deleted"):
        ended = (await world.tenants.page(PageRequest(), deleted=True)).items[-1]
        assert ended.id == RIVAL
        assert await world.tenants.ended_since(ended.updated) == [RIVAL]
        assert await world.tenants.ended_since(ended.updated + timedelta(milliseconds=1)) == []
        if ended.status is Status.INACTIVE:
            await world.tenants.delete(RIVAL, BY)


async def test_ensuring_a_tenant_at_once_makes_it_once(world: World) -> None:
    await asyncio.gather(*(world.tenants.ensure(TenantId("default")) for _ in range(8)))
    assert (await world.tenants.get(TenantId("default"))).active
    entries = (await world.audit.page(TenantId("default"), PageRequest())).items
    assert [entry.action for entry in entries] == [Action.TENANT_CREATED]


async def test_ensuring_a_tenant_whose_name_another_one_has_says_so(world: World) -> None:
    await world.tenants.create(TenantId("other"), "Default", BY)
    with pytest.raises(Conflict, match="rename"):
        await world.tenants.ensure(TenantId("default"))
    await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    await world.tenants.ensure(ACME)
    assert not (await world.tenants.get(ACME)).active
    await world.tenants.delete(ACME, BY)
    with pytest.raises(Conflict, match="deleted"):
        await world.tenants.ensure(ACME)


async def test_only_an_inactive_tenant_is_deleted_and_then_it_does_not_exist(world: World) -> None:
    tenants = world.tenants
    user, key = await world.user(), await world.keys.create(ACME, "sender", [Scope.WRITE], BY)
    await world.licences.give(ACME, "nodes", NOW + timedelta(days=10), BY)
    with pytest.raises(Conflict):
        await tenants.delete(ACME, BY)
    with pytest.raises(InvalidField):
        await tenants.change(ACME, BY, status=Status.DELETED)
    await tenants.change(ACME, BY, status=Status.INACTIVE)
    await tenants.delete(ACME, BY)
    theirs = await world.users.create(RIVAL, "bob", PASSWORD, Role.USER, BY)
    for question in (
        tenants.get(ACME),
        tenants.change(ACME, BY, name="Acme again"),
        tenants.change(ACME, BY, status=Status.ACTIVE),
        tenants.change(ACME, BY, plan=asdict(Plan())),
        tenants.delete(ACME, BY),
        tenants.delete(NOBODY, BY),
        world.users.create(ACME, "carol", PASSWORD, Role.USER, BY),
        world.users.assign(RIVAL, theirs.id, ACME, Role.USER, BY),
        world.keys.create(ACME, "other", [Scope.READ], BY),
        world.licences.give(ACME, "nodes", NOW + timedelta(days=10), BY),
    ):
        with pytest.raises(NotFound) as caught:
            await question
        assert caught.value.problem("/") == NotFound("tenant").problem("/")
    assert await tenants.active([ACME, RIVAL]) == {RIVAL}
    assert await tenants.counts() == {Status.ACTIVE: 1, Status.INACTIVE: 0}
    assert await world.licences.counts() == {LicenceState.ACTIVE: 0, LicenceState.EXPIRED: 0, LicenceState.EXPIRING: 0}
    assert [tenant.id for tenant in (await tenants.page(PageRequest())).items] == [RIVAL]
    assert [tenant.status for tenant in (await tenants.page(PageRequest(), deleted=True)).items] == [
        Status.DELETED, Status.ACTIVE,
    ]  # fmt: skip
    for log in (ACME, PLATFORM):
        newest = (await world.audit.page(log, PageRequest(limit=1))).items[0]
        assert (newest.action, newest.target, newest.actor) == (Action.TENANT_DELETED, ACME, BY)
        assert newest.changes == {"name": "acme inc"}
    assert (await world.users.load(user.id), await world.keys.find(key.secret)) == (user, key.key)


async def test_the_name_of_a_deleted_tenant_is_free_and_its_id_is_not(world: World) -> None:
    for tenant in (ACME, RIVAL):
        await world.tenants.change(tenant, BY, status=Status.INACTIVE)
        await world.tenants.delete(tenant, BY)
    with pytest.raises(Conflict) as caught:
        await world.tenants.create(ACME, "Another", BY)
    assert caught.value.field == "id"
    await world.tenants.create(TenantId("acme2"), "ACME inc", BY)
    with pytest.raises(Conflict) as caught:
        await world.tenants.create(TenantId("acme3"), "ACME inc", BY)
    assert caught.value.field == "name"


async def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    for i in range(5):
        await world.tenants.create(TenantId(f"t{i}"), f"T {i}", BY)
    first = await world.tenants.page(PageRequest(limit=3))
    second = await world.tenants.page(PageRequest(limit=3, cursor=first.cursor))
    third = await world.tenants.page(PageRequest(limit=3, cursor=second.cursor))
    assert [t.id for t in [*first.items, *second.items, *third.items]] == [
        "acme",
        "rival",
        "t0",
        "t1",
        "t2",
        "t3",
        "t4",
    ]
    assert third.cursor is None


@pytest.mark.parametrize(
    ("limit", "cursor"),
    [(0, None), (-1, None), (1_001, None), (10, "!"), (10, "x" * 2_000), (10, "\udc80"), (10, "_w")],
)
def test_what_is_no_page_is_refused(limit: int, cursor: str | None) -> None:
    with pytest.raises(InvalidField):
        PageRequest(limit, cursor)


def test_a_plan_has_no_negative_limits() -> None:
    with pytest.raises(InvalidField, match=r"plan\.rules"):
        Plan(rules=-1)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "\u202eevil", "x" * 129])
async def test_a_name_nobody_can_read_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidField):
        await world.tenants.create(TenantId("new"), name, BY)


async def test_licences_are_counted_by_what_they_are_now(world: World) -> None:
    soon = await world.licences.give(ACME, "nodes", NOW + timedelta(days=10), BY)
    await world.licences.give(RIVAL, "nodes", NOW + timedelta(days=300), BY)
    assert await world.licences.counts() == {LicenceState.ACTIVE: 2, LicenceState.EXPIRED: 0, LicenceState.EXPIRING: 1}
    assert soon.good(NOW)
    assert not soon.good(soon.expires)
    world.clock.advance(86_400)
    ended = await world.licences.end(ACME, soon.id, BY)
    assert ended.expires == NOW + timedelta(days=1)
    assert await world.licences.counts() == {LicenceState.ACTIVE: 1, LicenceState.EXPIRED: 1, LicenceState.EXPIRING: 0}
    assert (await world.licences.page(ACME, PageRequest())).items == [ended]


async def test_a_licence_of_another_tenant_is_not_there(world: World) -> None:
    theirs = await world.licences.give(RIVAL, "nodes", NOW + timedelta(days=10), BY)
    with pytest.raises(NotFound) as foreign:
        await world.licences.end(ACME, theirs.id, BY)
    with pytest.raises(NotFound) as absent:
        await world.licences.end(ACME, "no-such-licence", BY)
    assert foreign.value.problem("/x") == absent.value.problem("/x")
    assert (await world.licences.page(ACME, PageRequest())).items == []
    assert (await world.licences.page(RIVAL, PageRequest())).items == [theirs]


async def test_a_licence_needs_a_tenant_and_a_future(world: World) -> None:
    with pytest.raises(NotFound):
        await world.licences.give(NOBODY, "nodes", NOW + timedelta(days=1), BY)
    for expires in (NOW, NOW - timedelta(days=1), (NOW + timedelta(days=1)).replace(tzinfo=None)):
        with pytest.raises(InvalidField):
            await world.licences.give(ACME, "nodes", expires, BY)


async def test_the_audit_tells_who_did_what_when_and_from_where_newest_first(world: World) -> None:
    world.clock.advance(1)
    await world.tenants.change(ACME, BY, name="Acme Ltd")
    newest, oldest = (await world.audit.page(ACME, PageRequest())).items
    assert (newest.action, newest.target, newest.changes) == (Action.TENANT_CHANGED, ACME, {"name": "Acme Ltd"})
    assert newest.actor == BY
    assert newest.at == NOW + timedelta(seconds=1)
    assert oldest.action is Action.TENANT_CREATED
    assert (await world.audit.page(PLATFORM, PageRequest())).items == []


def test_nothing_in_the_audit_changes_or_removes_an_entry() -> None:
    source = Path(audit_module.__file__).read_text(encoding="utf-8")
    for word in (".change(", ".remove(", "update_", "delete_", "replace_", "drop", "across("):
        assert word not in source


async def test_a_store_that_does_not_answer_is_named(
    world: World, mongo_client: MongoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TIMEOUT_S", 0.3)
    data = {"failCommands": ["find"], "closeConnection": True, "appName": "vigie"}
    try:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
        with pytest.raises(StoreUnavailable) as caught:
            await world.tenants.get(ACME)
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    assert caught.value.problem("/x").retry_after == 2
