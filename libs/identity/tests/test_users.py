"""Users on a real MongoDB: homes, roles, assignments, and that one home knows nothing of another."""

import asyncio

import pytest
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import Conflict, Forbidden, InvalidField, NotFound
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import PLATFORM_WIDE, Role
from vigie_identity.principal import Assignment
from vigie_identity.users import Guest, User

from .conftest import ACME, BY, RIVAL, World

PASSWORD = "correct horse battery"


async def alice(world: World, home: TenantId = ACME, role: Role = Role.USER) -> User:
    return await world.users.create(home, "Alice", PASSWORD, role, BY)


async def test_a_user_is_assigned_to_the_home_with_its_apps_and_sites(world: World) -> None:
    user = await world.users.create(ACME, " Alice ", PASSWORD, Role.USER, BY, apps=["shop"], sites=["s2", "s1", "s1"])
    assert user == await world.users.get(ACME, user.id) == await world.users.load(user.id)
    assert user.assignments == (Assignment.of(ACME, Role.USER, frozenset({"shop"}), frozenset({"s1", "s2"})),)
    changed = await world.users.change(ACME, user.id, BY, apps=[], sites=["s3"])
    assert changed.assignments == (Assignment.of(ACME, Role.USER, sites=frozenset({"s3"})),)
    assert (await world.users.create(PLATFORM, "bob", PASSWORD, Role.SUPPORT, BY)).assignments == ()


async def test_a_name_is_taken_in_its_home_only(world: World) -> None:
    await alice(world)
    theirs = await alice(world, RIVAL)
    assert theirs.home == RIVAL
    await world.users.create(PLATFORM, "alice", PASSWORD, Role.SUPPORT, BY)
    with pytest.raises(Conflict) as caught:
        await world.users.create(ACME, "ALICE", PASSWORD, Role.ADMIN, BY)
    assert "rival" not in caught.value.detail
    assert len((await world.users.page(ACME, PageRequest())).items) == 1


async def test_one_name_at_once_is_taken_once(world: World) -> None:
    made = await asyncio.gather(*(alice(world) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, User) for one in made) == 1
    assert sum(isinstance(one, Conflict) for one in made) == 5


@pytest.mark.parametrize(
    ("home", "role"),
    [(PLATFORM, Role.ADMIN), (PLATFORM, Role.READONLY), (ACME, Role.SUPERADMIN), (ACME, Role.SUPPORT)],
)
async def test_a_role_that_does_not_fit_the_home_is_refused(world: World, home: TenantId, role: Role) -> None:
    with pytest.raises(InvalidField):
        await world.users.create(home, "bob", PASSWORD, role, BY)
    if home == ACME:
        user = await alice(world)
        with pytest.raises(InvalidField):
            await world.users.change(ACME, user.id, BY, role=role)
        assert (await world.users.get(ACME, user.id)).role is Role.USER


async def test_a_user_of_another_home_is_not_there_for_any_question(world: World) -> None:
    theirs = await alice(world, RIVAL)
    users = world.users
    for home in (ACME, PLATFORM):
        for question in (
            users.get(home, theirs.id),
            users.change(home, theirs.id, BY, role=Role.ADMIN if home == ACME else Role.SUPPORT),
            users.change(home, theirs.id, BY, active=False),
            users.set_password(home, theirs.id, "another password", BY),
            users.change(home, theirs.id, BY, apps=[], sites=[]),
            users.remove(home, theirs.id, BY),
        ):
            with pytest.raises(NotFound) as caught:
                await question
            assert caught.value.problem("/") == NotFound("user").problem("/")
    assert await users.account(ACME, "alice") is None
    assert await users.get(RIVAL, theirs.id) == theirs


async def test_a_further_tenant_is_given_and_taken_without_touching_the_home(world: World) -> None:
    user = await alice(world)
    home = Assignment.of(ACME, Role.USER)
    assert (await world.users.unassign(ACME, user.id, RIVAL, BY)).assignments == (home,)
    both = await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY, sites=["r1"])
    assert both.assignments == (home, Assignment.of(RIVAL, Role.ADMIN, sites=frozenset({"r1"})))
    again = await world.users.assign(ACME, user.id, RIVAL, Role.READONLY, BY, sites=["r2"])
    assert again.assignments == (home, Assignment.of(RIVAL, Role.READONLY, sites=frozenset({"r2"})))
    assert (await world.users.unassign(ACME, user.id, RIVAL, BY)).assignments == (home,)
    for tenant in (ACME, PLATFORM):
        with pytest.raises(InvalidField):
            await world.users.assign(ACME, user.id, tenant, Role.USER, BY)
    for role in PLATFORM_WIDE:
        with pytest.raises(InvalidField):
            await world.users.assign(ACME, user.id, RIVAL, role, BY)
    with pytest.raises(InvalidField):
        await world.users.unassign(ACME, user.id, ACME, BY)
    with pytest.raises(NotFound):
        await world.users.assign(ACME, user.id, TenantId("nobody"), Role.USER, BY)
    with pytest.raises(InvalidField):
        await world.users.assign(PLATFORM, user.id, ACME, Role.USER, BY)


async def test_the_home_raises_the_role_in_the_home_only(world: World) -> None:
    user = await alice(world)
    await world.users.assign(ACME, user.id, RIVAL, Role.READONLY, BY)
    await world.users.change(ACME, user.id, BY, role=Role.ADMIN)
    await world.users.change(ACME, user.id, BY, apps=[], sites=["r1"])
    loaded = await world.users.load(user.id)
    assert loaded is not None
    assert loaded.assignments == (
        Assignment.of(ACME, Role.ADMIN, sites=frozenset({"r1"})), Assignment.of(RIVAL, Role.READONLY),
    )  # fmt: skip


async def test_the_home_cannot_open_the_account_of_who_has_further_tenants(world: World) -> None:
    user = await alice(world)
    await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY)
    users = world.users
    assert not (await users.change(ACME, user.id, BY, active=False)).active  # closing it harms nobody else
    before = await world.audit.page(ACME, PageRequest())
    for question in (
        users.set_password(ACME, user.id, "another password", BY),
        users.change(ACME, user.id, BY, active=True),
    ):
        with pytest.raises(Forbidden) as caught:
            await question
        assert "tenants.manage" in caught.value.detail
        assert "rival" not in caught.value.detail
    account = await users.account(ACME, "alice")
    assert account is not None
    assert await world.passwords.verify(account.password, PASSWORD)
    assert await world.audit.page(ACME, PageRequest()) == before
    assert (await users.change(ACME, user.id, BY, active=True, full=True)).active
    await users.set_password(ACME, user.id, "another password", BY, full=True)
    await users.unassign(ACME, user.id, RIVAL, BY)
    await users.set_password(ACME, user.id, "a third password", BY)


async def test_the_home_sees_nothing_of_further_tenants(world: World) -> None:
    user = await alice(world)
    await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY, sites=["secret-site"])
    users = world.users
    shown = [
        await users.get(ACME, user.id),
        *(await users.page(ACME, PageRequest())).items,
        await users.change(ACME, user.id, BY, role=Role.ADMIN),
        await users.change(ACME, user.id, BY, apps=["shop"], sites=[]),
        await users.change(ACME, user.id, BY, active=False),
        await users.unassign(ACME, user.id, RIVAL, BY),
    ]
    entries = (await world.audit.page(ACME, PageRequest())).items
    told = [entry for entry in entries if entry.action in {Action.USER_ASSIGNED, Action.USER_UNASSIGNED}]
    assert [entry.changes for entry in told] == [{"elsewhere": True}] * 2
    assert "rival" not in repr((shown, entries))
    assert "secret" not in repr((shown, entries))
    await users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY)
    full = await users.change(ACME, user.id, BY, active=True, full=True)
    assert full.assignments[1:] == (Assignment.of(RIVAL, Role.ADMIN),)
    assert (await users.page(ACME, PageRequest(), full=True)).items == [full]
    assert await users.get(ACME, user.id, full=True) == full == await users.load(user.id)


async def test_a_tenant_sees_who_is_assigned_to_it_and_not_where_they_come_from(world: World) -> None:
    users = world.users
    user, other = await alice(world), await users.create(ACME, "bob", PASSWORD, Role.USER, BY)
    await users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY, apps=["shop"], sites=["r1"])
    await users.assign(ACME, other.id, RIVAL, Role.USER, BY)
    await alice(world, RIVAL)
    page = await users.guests(RIVAL, PageRequest(limit=1))
    rest = await users.guests(RIVAL, PageRequest(limit=1, cursor=page.cursor))
    guests = {guest.name: guest for guest in (*page.items, *rest.items)}
    assert rest.cursor is None
    places = frozenset({"shop"}), frozenset({"r1"})
    assert guests["Alice"] == Guest(user.id, "Alice", True, Assignment.of(RIVAL, Role.ADMIN, *places))
    assert guests["bob"].assignment == Assignment.of(RIVAL, Role.USER)
    assert (await users.guests(ACME, PageRequest())).items == []
    await users.unassign(ACME, other.id, RIVAL, BY)
    of_the_home = Actor("u-home", "the home's administrator", "203.0.113.9")
    await users.remove(ACME, user.id, of_the_home)
    assert (await users.guests(RIVAL, PageRequest())).items == []
    entries = [
        entry for entry in (await world.audit.page(RIVAL, PageRequest())).items if entry.target in {user.id, other.id}
    ]
    assert [(entry.action, entry.target) for entry in reversed(entries)] == [
        (Action.USER_ASSIGNED, user.id), (Action.USER_ASSIGNED, other.id),
        (Action.USER_UNASSIGNED, other.id), (Action.USER_UNASSIGNED, user.id),
    ]  # fmt: skip
    assert entries[-1].changes == {"name": "Alice", "role": "ADMIN", "apps": ["shop"], "sites": ["r1"]}
    assert "acme" not in repr((guests, entries))
    assert "u-home" not in repr(entries)


async def test_an_assignment_and_a_new_password_at_once_never_leave_both(world: World) -> None:
    for _ in range(5):
        user = await alice(world)
        password, assigned = await asyncio.gather(
            world.users.set_password(ACME, user.id, "another password", BY),
            world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY),
            return_exceptions=True,
        )
        assert isinstance(assigned, User)
        assert isinstance(password, User | Forbidden)
        if isinstance(password, User):
            entries = (await world.audit.page(ACME, PageRequest(limit=2))).items
            assert [entry.action for entry in entries] == [Action.USER_ASSIGNED, Action.PASSWORD_CHANGED]
        await world.users.remove(ACME, user.id, BY)


async def test_a_new_password_and_switching_off_end_the_sessions_so_far(world: World) -> None:
    user = await alice(world)
    assert (await world.users.set_password(ACME, user.id, "another password", BY)).epoch == 1
    off = await world.users.change(ACME, user.id, BY, active=False)
    assert (off.active, off.epoch) == (False, 2)
    on = await world.users.change(ACME, user.id, BY, active=True)
    assert (on.active, on.epoch) == (True, 2)
    assert (await world.users.change(ACME, user.id, BY, role=Role.ADMIN)).epoch == 2


async def test_the_last_active_superadmin_stays(world: World) -> None:
    users = world.users
    first = await users.create(PLATFORM, "first", PASSWORD, Role.SUPERADMIN, BY)
    support = await users.create(PLATFORM, "support", PASSWORD, Role.SUPPORT, BY)
    off = await users.create(PLATFORM, "off", PASSWORD, Role.SUPERADMIN, BY)
    await users.change(PLATFORM, off.id, BY, active=False)
    before = await world.audit.page(PLATFORM, PageRequest())
    for question in (
        users.remove(PLATFORM, first.id, BY),
        users.change(PLATFORM, first.id, BY, role=Role.SUPPORT),
        users.change(PLATFORM, first.id, BY, active=False),
    ):
        with pytest.raises(Conflict):
            await question
    assert await users.get(PLATFORM, first.id) == first
    assert await world.audit.page(PLATFORM, PageRequest()) == before
    await users.remove(PLATFORM, support.id, BY)
    await users.change(PLATFORM, off.id, BY, active=True)
    assert (await users.change(PLATFORM, first.id, BY, role=Role.SUPPORT)).role is Role.SUPPORT
    await users.remove(PLATFORM, first.id, BY)


async def test_superadmins_who_remove_each_other_at_once_leave_one(world: World) -> None:
    for _ in range(5):
        admins = [await world.users.create(PLATFORM, f"a{i}", PASSWORD, Role.SUPERADMIN, BY) for i in range(3)]
        answers = await asyncio.gather(
            *(world.users.remove(PLATFORM, admin.id, BY) for admin in admins), return_exceptions=True
        )
        assert [type(answer) for answer in answers].count(Conflict) == 1
        [left] = (await world.users.page(PLATFORM, PageRequest())).items
        await world.db["users"].delete_one({"_id": left.id})


async def test_a_user_needs_a_tenant_that_exists(world: World) -> None:
    with pytest.raises(NotFound):
        await alice(world, TenantId("nobody"))


async def test_no_password_and_no_hash_is_in_the_audit(world: World) -> None:
    user = await alice(world)
    await world.users.set_password(ACME, user.id, "another password", BY)
    await world.users.remove(ACME, user.id, BY)
    entries = (await world.audit.page(ACME, PageRequest())).items
    assert [entry.action for entry in reversed(entries)][1:] == [
        Action.USER_CREATED, Action.PASSWORD_CHANGED, Action.USER_REMOVED,
    ]  # fmt: skip
    text = repr(entries)
    assert "argon2" not in text
    assert "horse" not in text
    assert "another password" not in text
    assert await world.users.load(user.id) is None


async def test_a_hash_is_replaced_only_while_it_is_the_one_that_was_verified(world: World) -> None:
    user = await alice(world)
    account = await world.users.account(ACME, "ALICE")
    assert account is not None
    await world.users.set_password(ACME, user.id, "another password", BY)
    await world.users.replace_hash(account, "an older one")
    now = await world.users.account(ACME, "alice")
    assert now is not None
    assert await world.passwords.verify(now.password, "another password")
    assert "argon2" not in repr(now)
