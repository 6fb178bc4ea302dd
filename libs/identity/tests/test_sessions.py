"""Log in, refresh, log out on real MongoDB and Redis: what works once works once, and what ended stays ended."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import Action
from vigie_identity.credential_cache import TTL_S
from vigie_identity.errors import BadCredential, RefusalReason, WrongLogin
from vigie_identity.identity import Identity
from vigie_identity.pages import PageRequest
from vigie_identity.passwords import HashCost, Passwords
from vigie_identity.permissions import Role
from vigie_identity.refresh import Generation, RefreshTokens
from vigie_identity.session_store import ALIVE_S, MAX_PER_USER
from vigie_identity.sessions import ClientInfo, Tokens
from vigie_identity.tenants import Status
from vigie_runtime.errors import ProblemError, StoreUnavailable

from .conftest import ACME, BY, PASSWORD, RIVAL, SECRET, World, bearer, running, sessions_of

BROWSER = ClientInfo("", "a browser")
"""Without an address, so that only the account's attempts are counted."""


@pytest.fixture
async def made(world: World, redis_url: str) -> AsyncIterator[Identity]:
    async with running(world, redis_url) as identity:
        yield identity


@pytest.fixture
def name(unique: Any) -> str:
    """A user nobody else has: failed logins are counted in a Redis that tests share."""
    return unique("alice")


async def login(made: Identity, name: str, home: TenantId | None = ACME, password: str = PASSWORD) -> Tokens:
    return await sessions_of(made).login(name, password, BROWSER, home)


async def refused(tokens: Any) -> RefusalReason | None:
    with pytest.raises(BadCredential) as caught:
        await tokens
    assert caught.value.problem("/") == BadCredential(RefusalReason.EXPIRED).problem("/")
    return caught.value.reason


async def test_a_login_gives_tokens_that_say_who_it_is(made: Identity, world: World, name: str) -> None:
    user = await world.user(name=name)
    tokens = await login(made, name.upper())
    principal = await bearer(made, tokens.access)
    assert (principal.id, principal.roles, list(principal.assignments)) == (user.id, {Role.USER}, [ACME])
    assert principal.session == sessions_of(made).session_of(tokens.refresh)
    assert (tokens.access_expires_in_s, tokens.refresh_expires_in_s) == (600, 7 * 86_400)
    assert tokens.access not in repr(tokens)
    newest = (await world.audit.page(ACME, PageRequest(limit=1))).items[0]
    assert (newest.action, newest.actor.id, newest.actor.agent) == (Action.LOGGED_IN, user.id, "a browser")


async def test_whatever_is_wrong_with_a_login_the_answer_is_the_same(made: Identity, world: World, name: str) -> None:
    await world.user(name=name)
    await world.user(RIVAL, name=name + "-off")
    off = await world.users.account(RIVAL, name + "-off")
    assert off is not None
    await world.users.change(RIVAL, off.user.id, BY, active=False)
    sleeping = TenantId("sleeping")
    await world.tenants.create(sleeping, "Sleeping", BY)
    await world.user(sleeping, name=name)
    await world.tenants.change(sleeping, BY, status=Status.INACTIVE)
    attempts: list[tuple[str, str, str | None]] = [
        (name, "wrong password", ACME),
        (name, PASSWORD, RIVAL),
        (name, PASSWORD, None),
        (name, PASSWORD, "no-such-tenant"),
        (name, PASSWORD, "not a tenant"),
        (name, PASSWORD, ""),
        (name, PASSWORD, sleeping),
        (name + "-off", PASSWORD, RIVAL),
        (name + "-unknown", PASSWORD, ACME),
        ("x" * 5_000, PASSWORD, ACME),
        ("half a pair \ud800", "\ud800", ACME),
        ("", "", ACME),
    ]
    answers = []
    for who, password, home in attempts:
        with pytest.raises(WrongLogin) as caught:
            await sessions_of(made).login(who, password, BROWSER, home)
        answers.append((caught.value.problem("/"), caught.value.headers()))
    assert all(answer == answers[0] for answer in answers)


async def test_an_account_of_the_platform_logs_in_without_a_tenant(made: Identity, world: World, name: str) -> None:
    await world.user(PLATFORM, Role.SUPPORT, name)
    principal = await bearer(made, (await login(made, name, None)).access)
    assert principal.everywhere
    assert principal.roles == {Role.SUPPORT}


async def test_a_refresh_token_is_good_once_and_its_second_use_ends_the_session(
    made: Identity, world: World, name: str
) -> None:
    await world.user(name=name)
    sessions = sessions_of(made)
    first = await login(made, name)
    second = await sessions.refresh(first.refresh, BROWSER)
    third = await sessions.refresh(second.refresh, BROWSER)
    assert len({first.refresh, second.refresh, third.refresh}) == 3
    await bearer(made, third.access)
    other = await login(made, name)
    assert await refused(sessions.refresh(first.refresh, BROWSER)) is RefusalReason.REUSED
    assert await refused(sessions.refresh(third.refresh, BROWSER)) is RefusalReason.REVOKED
    world.clock.advance(TTL_S)
    assert await refused(bearer(made, third.access)) is RefusalReason.REVOKED
    await sessions.refresh(other.refresh, BROWSER)  # the user's other sessions go on
    actions = [entry.action for entry in (await world.audit.page(ACME, PageRequest())).items]
    assert actions.count(Action.TOKEN_REUSED) == 1


async def test_of_many_refreshes_at_once_one_passes_and_then_the_session_ends(
    made: Identity, world: World, name: str
) -> None:
    await world.user(name=name)
    token = (await login(made, name)).refresh
    answers = await asyncio.gather(
        *(sessions_of(made).refresh(token, BROWSER) for _ in range(8)), return_exceptions=True
    )
    passed = [answer for answer in answers if isinstance(answer, Tokens)]
    assert len(passed) <= 1
    assert all(isinstance(answer, Tokens | BadCredential) for answer in answers)
    for tokens in passed:
        await refused(sessions_of(made).refresh(tokens.refresh, BROWSER))


async def test_a_made_up_refresh_token_ends_nobodys_session(made: Identity, world: World, name: str) -> None:
    await world.user(name=name)
    tokens = await login(made, name)
    session = sessions_of(made).session_of(tokens.refresh)
    forged = RefreshTokens(b"another secret" * 4).make(Generation(session, 0))
    guesses = [forged, forged.replace("_0_", "_5_"), tokens.refresh[:-1] + "!", tokens.refresh + "x", tokens.access, ""]
    for guess in guesses:
        assert await refused(sessions_of(made).refresh(guess, BROWSER)) in {
            RefusalReason.MALFORMED,
            RefusalReason.SIGNATURE,
        }
    absent = RefreshTokens(SECRET.encode()).make(Generation("0" * 34, 0))
    assert await refused(sessions_of(made).refresh(absent, BROWSER)) is RefusalReason.REVOKED
    assert await refused(bearer(made, tokens.refresh)) is RefusalReason.MALFORMED
    await sessions_of(made).refresh(tokens.refresh, BROWSER)


@given(st.text(max_size=100))
def test_no_text_breaks_the_reading_of_a_refresh_token(text: str) -> None:
    with pytest.raises(BadCredential):
        RefreshTokens(b"x" * 32).read(text)
    with pytest.raises(BadCredential):
        RefreshTokens(b"x" * 32).read(f"vr_{'0' * 34}_0_{text}")


async def test_logout_ends_the_session_for_access_and_refresh(made: Identity, world: World, name: str) -> None:
    await world.user(name=name)
    tokens, other = await login(made, name), await login(made, name)
    session = sessions_of(made).session_of(tokens.refresh)
    await bearer(made, tokens.access)
    await sessions_of(made).logout(session, tokens.user.id, BROWSER)
    await sessions_of(made).logout(session, tokens.user.id, BROWSER)
    await sessions_of(made).logout("0" * 34, tokens.user.id, BROWSER)
    world.clock.advance(TTL_S)
    assert await refused(bearer(made, tokens.access)) is RefusalReason.REVOKED
    assert await refused(sessions_of(made).refresh(tokens.refresh, BROWSER)) is RefusalReason.REVOKED
    await bearer(made, other.access)
    actions = [entry.action for entry in (await world.audit.page(ACME, PageRequest())).items]
    assert actions.count(Action.LOGGED_OUT) == 1


@pytest.mark.parametrize("seen", [False, True], ids=["asked of MongoDB", "known to Redis"])
async def test_a_session_serves_and_is_ended_by_nobody_but_its_owner(
    made: Identity, world: World, name: str, seen: bool
) -> None:
    bob = await world.user(name=name + "-bob")
    await world.user(name=name)
    tokens = await login(made, name)
    session = sessions_of(made).session_of(tokens.refresh)
    if seen:
        await bearer(made, tokens.access)
    mixed = sessions_of(made)._signer.sign(bob.id, session, bob.epoch)
    assert await refused(bearer(made, mixed.token)) is RefusalReason.REVOKED
    await sessions_of(made).logout(session, bob.id, BROWSER)
    world.clock.advance(TTL_S)
    await bearer(made, tokens.access)


async def test_an_operator_in_place_of_a_session_ends_nobodys(made: Identity, world: World, name: str) -> None:
    await world.user(name=name)
    tokens = await login(made, name)
    anything: Any = {"$ne": ""}
    await sessions_of(made).logout(anything, tokens.user.id, BROWSER)
    await sessions_of(made).refresh(tokens.refresh, BROWSER)


async def test_another_process_hears_of_a_logout_without_having_seen_the_session(
    made: Identity, world: World, redis_url: str, name: str
) -> None:
    await world.user(name=name)
    tokens = await login(made, name)
    async with running(world, redis_url) as elsewhere:
        await bearer(elsewhere, tokens.access)  # Redis now says "alive"
        await sessions_of(made).logout(sessions_of(made).session_of(tokens.refresh), tokens.user.id, BROWSER)
        world.clock.advance(TTL_S)
        assert await refused(bearer(elsewhere, tokens.access)) is RefusalReason.REVOKED


@pytest.mark.parametrize("change", ["password", "off", "removed", "tenant"])
async def test_a_change_of_the_account_ends_its_sessions(made: Identity, world: World, name: str, change: str) -> None:
    user = await world.user(name=name)
    tokens = await login(made, name)
    await bearer(made, tokens.access)
    match change:
        case "password":
            await world.users.set_password(ACME, user.id, "another password", BY)
        case "off":
            await world.users.change(ACME, user.id, BY, active=False)
            await world.users.change(ACME, user.id, BY, active=True)
        case "removed":
            await world.users.remove(ACME, user.id, BY)
        case _:
            await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    with pytest.raises(ProblemError) as caught:
        await bearer(made, tokens.access)
    assert caught.value.status == (403 if change == "tenant" else 401)
    assert await refused(sessions_of(made).refresh(tokens.refresh, BROWSER)) is RefusalReason.OWNER


async def test_a_session_ends_when_it_is_not_refreshed_and_when_it_is_old(
    world: World, redis_url: str, name: str
) -> None:
    await world.user(name=name)
    async with running(world, redis_url, session_s=7_200, session_idle_s=3_600) as made:
        sessions = sessions_of(made)
        idle = await login(made, name)
        world.clock.advance(3_600)
        assert await refused(sessions.refresh(idle.refresh, BROWSER)) is RefusalReason.REVOKED
        tokens = await login(made, name)
        for _ in range(3):
            world.clock.advance(2_000)
            tokens = await sessions.refresh(tokens.refresh, BROWSER)
        assert tokens.refresh_expires_in_s == 1_200
        world.clock.advance(1_200)
        assert await refused(sessions.refresh(tokens.refresh, BROWSER)) is RefusalReason.REVOKED


async def test_too_many_sessions_of_a_user_end_the_oldest(made: Identity, world: World, name: str) -> None:
    await world.user(name=name)
    all_ = []
    for _ in range(MAX_PER_USER + 1):
        all_.append(await login(made, name))
        world.clock.advance(0.001)
    assert await refused(sessions_of(made).refresh(all_[0].refresh, BROWSER)) is RefusalReason.REVOKED
    await sessions_of(made).refresh(all_[1].refresh, BROWSER)


async def test_a_login_renews_a_hash_of_old_parameters(made: Identity, world: World, name: str) -> None:
    user = await world.user(name=name)
    weaker = Passwords(HashCost(memory_kib=32, passes=1, lanes=1))
    old = await weaker.hash(PASSWORD, "alice")
    await world.db["users"].update_one({"_id": user.id}, {"$set": {"password": old}})
    tokens = await login(made, name)
    account = await world.users.account(ACME, name)
    assert account is not None
    assert not world.passwords.outdated(account.password)
    await login(made, name)
    await bearer(made, tokens.access)  # the same password in another hash ends no session
    weaker.close()


async def test_redis_that_is_away_changes_nothing_but_the_store_that_is_asked(world: World, name: str) -> None:
    await world.user(name=name)
    async with running(world) as made:
        tokens = await login(made, name)
        await bearer(made, tokens.access)
        tokens = await sessions_of(made).refresh(tokens.refresh, BROWSER)
        await sessions_of(made).logout(sessions_of(made).session_of(tokens.refresh), tokens.user.id, BROWSER)
        world.clock.advance(TTL_S)
        assert await refused(bearer(made, tokens.access)) is RefusalReason.REVOKED


async def test_redis_that_lost_everything_brings_no_session_back(
    made: Identity, world: World, redis_url: str, name: str
) -> None:
    await world.user(name=name)
    tokens = await login(made, name)
    session = sessions_of(made).session_of(tokens.refresh)
    await sessions_of(made).logout(session, tokens.user.id, BROWSER)
    async with Redis.from_url(redis_url) as redis:
        assert await redis.delete(f"vigie:_identity:session:{session}") == 1
        assert await refused(bearer(made, tokens.access)) is RefusalReason.REVOKED
        assert await redis.get(f"vigie:_identity:session:{session}") is None


async def test_what_redis_believes_of_a_live_session_is_forgotten_soon(
    made: Identity, world: World, redis_url: str, name: str
) -> None:
    await world.user(name=name)
    tokens = await login(made, name)
    session = sessions_of(made).session_of(tokens.refresh)
    await bearer(made, tokens.access)
    key = f"vigie:_identity:session:{session}"
    async with Redis.from_url(redis_url) as redis:
        assert 0 < await redis.ttl(key) <= ALIVE_S
        await sessions_of(made).logout(session, tokens.user.id, BROWSER)
        assert await redis.get(key) == b"0"
        assert 600 < await redis.ttl(key) <= 600 + 30 + 60


async def test_when_neither_store_answers_nobody_new_is_let_in(
    world: World, name: str, mongo_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.user(name=name)
    async with running(world) as made:
        tokens = await login(made, name)
        monkeypatch.setattr("vigie_storage.mongo.TIMEOUT_S", 0.3)
        data = {"failCommands": ["find"], "closeConnection": True, "appName": "vigie"}
        try:
            await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
            with pytest.raises(StoreUnavailable):
                await bearer(made, tokens.access)
            with pytest.raises(StoreUnavailable):
                await sessions_of(made).refresh(tokens.refresh, BROWSER)
            with pytest.raises(StoreUnavailable):
                await login(made, name)
        finally:
            await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        await bearer(made, tokens.access)
