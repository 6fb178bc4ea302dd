"""Changing one's own password: the old one is asked for, guesses are bounded, and whoever else was in is out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from vigie_contracts.tenants import PLATFORM
from vigie_identity.audit import Action
from vigie_identity.credential_cache import TTL_S
from vigie_identity.errors import BadCredential, InvalidField, TooManyAttempts, WrongLogin
from vigie_identity.identity import Identity
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Role
from vigie_identity.sessions import ClientInfo, Tokens
from vigie_identity.throttle import PER_ACCOUNT_AND_ADDRESS
from vigie_runtime.errors import Busy

from tests.kit.wait import eventually

from .conftest import ACME, BY, PASSWORD, RIVAL, World, bearer, refusal, running, sessions_of

NEW = "another good password"
HERE = ClientInfo("", "a browser")


@pytest.fixture
async def made(world: World, redis_url: str) -> AsyncIterator[Identity]:
    async with running(world, redis_url) as identity:
        yield identity


@pytest.fixture
def name(unique: Any) -> str:
    """A user nobody else has: failed logins are counted in a Redis that tests share."""
    return unique("alice")


async def login(made: Identity, name: str, password: str = PASSWORD) -> Tokens:
    return await sessions_of(made).login(name, password, HERE, ACME)


async def test_the_old_password_gives_a_new_one_and_ends_every_other_session(
    made: Identity, world: World, name: str
) -> None:
    user = await world.user(name=name)
    await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY)  # whose home could not do it
    mine, other = await login(made, name), await login(made, name)
    tokens = await sessions_of(made).change_password(user.id, PASSWORD, NEW, HERE)
    world.clock.advance(TTL_S)
    assert (await bearer(made, tokens.access)).belongs_to(RIVAL)
    await sessions_of(made).refresh(tokens.refresh, HERE)
    for old in (mine, other):
        assert isinstance(await refusal(bearer(made, old.access)), BadCredential)
        assert isinstance(await refusal(sessions_of(made).refresh(old.refresh, HERE)), BadCredential)
    with pytest.raises(WrongLogin):
        await login(made, name)
    await login(made, name, NEW)
    entries = (await world.audit.page(ACME, PageRequest())).items
    [changed] = [entry for entry in entries if entry.action is Action.PASSWORD_CHANGED]
    assert (changed.actor.id, changed.actor.agent, changed.target) == (user.id, "a browser", user.id)


async def test_a_wrong_old_password_changes_nothing_and_counts_as_a_failed_login(
    made: Identity, world: World, name: str
) -> None:
    user = await world.user(PLATFORM, Role.SUPPORT, name)
    sessions, client = sessions_of(made), ClientInfo("192.0.2.77")
    mine = await sessions.login(name, PASSWORD, client)
    for _ in range(PER_ACCOUNT_AND_ADDRESS):
        with pytest.raises(InvalidField) as caught:
            await sessions.change_password(user.id, "not the old one", NEW, client)
        assert caught.value.field == "old_password"
    for attempt in (
        sessions.change_password(user.id, PASSWORD, NEW, client),
        sessions.login(name, PASSWORD, client),
    ):
        with pytest.raises(TooManyAttempts):
            await attempt
    await sessions.login(name, PASSWORD, HERE)
    await bearer(made, mine.access)


async def test_a_new_password_that_is_not_good_tells_nothing_of_the_old_one(
    made: Identity, world: World, name: str
) -> None:
    user = await world.user(name=name)
    for old in (PASSWORD, "not the old one"):
        with pytest.raises(InvalidField) as caught:
            await sessions_of(made).change_password(user.id, old, "short", HERE)
        assert caught.value.field == "password"
    await login(made, name)


async def test_an_attempt_counts_while_its_new_password_is_judged(
    made: Identity, world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, client = await world.user(name=name), ClientInfo("192.0.2.79")
    sessions = sessions_of(made)
    judged, go_on = 0, asyncio.Event()

    async def check(_password: str, _name: str) -> None:
        nonlocal judged
        judged += 1
        await go_on.wait()
        raise InvalidField("password", "is easy to guess")

    monkeypatch.setattr(sessions._passwords, "check", check)
    asked = [
        asyncio.ensure_future(sessions.change_password(user.id, PASSWORD, NEW, client))
        for _ in range(PER_ACCOUNT_AND_ADDRESS)
    ]
    await eventually(lambda: judged == PER_ACCOUNT_AND_ADDRESS)
    with pytest.raises(TooManyAttempts):
        async with asyncio.timeout(10):
            await sessions.change_password(user.id, PASSWORD, NEW, client)
    go_on.set()
    assert {type(one) for one in await asyncio.gather(*asked, return_exceptions=True)} == {InvalidField}
    monkeypatch.undo()
    await sessions.change_password(user.id, PASSWORD, NEW, client)


async def test_what_nobody_looked_at_does_not_count(made: Identity, world: World, name: str) -> None:
    user, client = await world.user(name=name), ClientInfo("192.0.2.78")
    sessions = sessions_of(made)
    room, sessions._passwords._hashes.room = sessions._passwords._hashes.room, 0
    for _ in range(2 * PER_ACCOUNT_AND_ADDRESS):
        with pytest.raises(Busy):
            await sessions.change_password(user.id, PASSWORD, NEW, client)
    sessions._passwords._hashes.room = room
    await sessions.change_password(user.id, PASSWORD, NEW, client)


async def test_an_account_that_changed_meanwhile_is_left_as_it_is(
    made: Identity, world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await world.user(name=name)
    sessions = sessions_of(made)
    verify = sessions._passwords.verify

    async def meanwhile(stored: str | None, password: str) -> bool:
        good = await verify(stored, password)
        await world.users.set_password(ACME, user.id, "what the administrator gave", BY)
        return good

    monkeypatch.setattr(sessions._passwords, "verify", meanwhile)
    with pytest.raises(InvalidField):
        await sessions.change_password(user.id, PASSWORD, NEW, HERE)
    monkeypatch.undo()
    await login(made, name, "what the administrator gave")
    await world.users.change(ACME, user.id, BY, active=False)
    for gone in (user.id, "u-nobody"):
        with pytest.raises(BadCredential):
            await sessions.change_password(gone, "what the administrator gave", NEW, HERE)
