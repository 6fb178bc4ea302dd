"""The first start: one administrator, one password, however many processes start."""

import asyncio

import pytest
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import Action
from vigie_identity.bootstrap import FirstStart, NewAdministrator
from vigie_identity.errors import InvalidField, NotFound, TooManyAttempts, WrongLogin
from vigie_identity.names import new_secret
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Role
from vigie_identity.sessions import ClientInfo
from vigie_identity.throttle import PER_ACCOUNT

from .conftest import BY, World, bearer, running, sessions_of


async def test_of_many_that_start_at_once_one_makes_the_administrator_and_gets_the_password(world: World) -> None:
    starts = [FirstStart(world.db, world.users) for _ in range(8)]
    answers = await asyncio.gather(*(start.administrator() for start in starts))
    [made] = [answer for answer in answers if answer is not None]
    [admin] = (await world.users.page(PLATFORM, PageRequest())).items
    assert (admin.name, admin.role) == ("admin", Role.SUPERADMIN)
    assert made.password is not None
    assert made.password not in repr(made)
    account = await world.users.account(PLATFORM, "admin")
    assert account is not None
    assert await world.passwords.verify(account.password, made.password)
    assert await FirstStart(world.db, world.users).administrator() is None
    entries = (await world.audit.page(PLATFORM, PageRequest())).items
    assert [entry.action for entry in entries] == [Action.USER_CREATED]


def test_no_secret_looks_like_an_option() -> None:
    assert not [secret for secret in (new_secret() for _ in range(2_000)) if secret.startswith("-")]


async def test_a_chosen_password_is_taken_and_not_given_back(world: World) -> None:
    made = await FirstStart(world.db, world.users).administrator("chosen password")
    assert made == NewAdministrator("admin", None)
    account = await world.users.account(PLATFORM, "admin")
    assert account is not None
    assert await world.passwords.verify(account.password, "chosen password")


async def test_a_refused_password_leaves_the_first_start_to_be_done(world: World) -> None:
    first = FirstStart(world.db, world.users)
    with pytest.raises(InvalidField):
        await first.administrator("short")
    assert await first.administrator() is not None


async def test_an_administrator_that_was_removed_does_not_come_back(world: World) -> None:
    first = FirstStart(world.db, world.users)
    await first.administrator()
    [admin] = (await world.users.page(PLATFORM, PageRequest())).items
    other = await world.user(PLATFORM, Role.SUPERADMIN, "other")
    await world.users.remove(PLATFORM, admin.id, BY)
    assert await first.administrator() is None
    assert (await world.users.page(PLATFORM, PageRequest())).items == [other]


async def test_a_lost_password_is_replaced_and_the_account_switched_on(world: World) -> None:
    first = FirstStart(world.db, world.users)
    with pytest.raises(NotFound):
        await first.reset(BY)
    await first.administrator("chosen password")
    [admin] = (await world.users.page(PLATFORM, PageRequest())).items
    await world.user(PLATFORM, Role.SUPERADMIN, "other")
    await world.users.change(PLATFORM, admin.id, BY, active=False)
    reset = await first.reset(BY)
    account = await world.users.account(PLATFORM, "admin")
    assert account is not None
    assert reset.password is not None
    assert account.user.active
    assert await world.passwords.verify(account.password, reset.password)
    assert not await world.passwords.verify(account.password, "chosen password")


async def test_a_reset_opens_an_account_that_failed_logins_closed(world: World) -> None:
    async with running(world) as made:  # without Redis: its count of this name is everybody's
        await made.first_start()
        for _ in range(PER_ACCOUNT + 1):
            with pytest.raises((WrongLogin, TooManyAttempts)):
                await sessions_of(made).login("admin", "wrong password", ClientInfo())
        reset = await made.reset_administrator(BY)
        assert reset.password is not None
        await sessions_of(made).login("admin", reset.password, ClientInfo())


async def test_the_administrator_can_log_in_and_the_default_tenant_is_there(world: World, redis_url: str) -> None:
    async with running(world, redis_url) as made:
        await made.prepare(TenantId("default"))
        admin = await made.first_start()
        assert admin is not None
        assert admin.password is not None
        tokens = await sessions_of(made).login(admin.name, admin.password, ClientInfo("192.0.2.33"))
        assert (await bearer(made, tokens.access)).everywhere
        assert (await made.tenants.get(TenantId("default"))).active
        assert await made.first_start() is None
