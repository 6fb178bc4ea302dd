"""Guessing passwords: bounded per account and per address, with Redis and without, and the same for unknown names."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from vigie_contracts.tenants import TenantId
from vigie_identity import throttle as module
from vigie_identity.errors import TooManyAttempts, WrongLogin
from vigie_identity.sessions import ClientInfo
from vigie_identity.throttle import (
    PER_ACCOUNT,
    PER_ACCOUNT_AND_ADDRESS,
    PER_ADDRESS,
    WINDOW_S,
    LoginThrottle,
    _network,
)
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy

from .conftest import ACME, BY, PASSWORD, World, running, sessions_of, settings_for


@pytest.fixture(params=["redis", "away"])
async def throttle(request: pytest.FixtureRequest, redis_url: str, clock: ManualClock) -> AsyncIterator[LoginThrottle]:
    """The same behaviour, counted in Redis and by the process alone; on a busy machine too Redis is not away."""
    client = clients.redis(settings_for(redis_url) if request.param == "redis" else settings_for())
    made = LoginThrottle(client, clock)
    made._breaker._wait_s = 10.0
    yield made
    await client.aclose()


@pytest.fixture
def network(unique: Any) -> str:
    """The first half of an IPv6 address that nobody else has."""
    digits = unique("").lstrip("-")
    return f"2001:{digits[:4]}:{digits[4:8]}:{digits[8:12]}"


async def attempts(throttle: LoginThrottle, n: int, name: str, address: str = "") -> int:
    """How many of `n` attempts pass."""
    passed = 0
    for _ in range(n):
        try:
            await throttle.attempt(ACME, name, address)
            passed += 1
        except TooManyAttempts:
            continue
    return passed


async def test_a_few_failures_from_one_address_close_the_account_to_it_only(
    throttle: LoginThrottle, unique: Any, network: str
) -> None:
    name = unique("alice")
    assert await attempts(throttle, 20, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
    with pytest.raises(TooManyAttempts) as caught:
        await throttle.attempt(ACME, name.upper(), network + "::2")  # the same /64, the same name
    assert caught.value.status == 429
    assert 1 <= int(caught.value.headers()["retry-after"]) <= WINDOW_S
    await throttle.attempt(ACME, name, "192.0.2.1")
    await throttle.attempt(ACME, unique("bob"), network + "::1")


async def test_an_account_and_an_address_have_limits_of_their_own(
    throttle: LoginThrottle, unique: Any, network: str
) -> None:
    name = unique("alice")
    assert await attempts(throttle, PER_ACCOUNT + 10, name) == PER_ACCOUNT
    passed = [await attempts(throttle, 1, unique("other"), network + "::1") for _ in range(PER_ADDRESS + 10)]
    assert sum(passed) == PER_ADDRESS


async def test_many_attempts_at_once_do_not_pass_together(throttle: LoginThrottle, unique: Any, network: str) -> None:
    name = unique("alice")
    passed = await asyncio.gather(*(attempts(throttle, 1, name, network + "::1") for _ in range(40)))
    assert sum(passed) == PER_ACCOUNT_AND_ADDRESS


async def test_good_attempts_do_not_count(throttle: LoginThrottle, unique: Any, network: str) -> None:
    name = unique("alice")
    for _ in range(30):
        await throttle.take_back(await throttle.attempt(ACME, name, network + "::1"))
    assert await attempts(throttle, 20, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS


async def test_counts_in_redis_are_forgotten_and_hold_no_names(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name = unique("alice")
    async with Redis.from_url(redis_url) as redis:
        before = {key async for key in redis.scan_iter("vigie:_identity:login:*")}
        await attempts(LoginThrottle(redis, clock), 10, name, network + "::1")
        new = {key async for key in redis.scan_iter("vigie:_identity:login:*")} - before
        assert len(new) == 2
        assert all([0 < await redis.pttl(key) <= WINDOW_S * 1000 for key in new])
        assert name.encode() not in b"".join(new)


async def test_one_address_closes_no_account_to_others(throttle: LoginThrottle, unique: Any, network: str) -> None:
    name = unique("alice")
    assert await attempts(throttle, 3 * PER_ACCOUNT, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
    for i in range(2 * PER_ADDRESS):  # and when the address is closed itself, it adds nothing to any account
        await attempts(throttle, 1, f"{name}-{i}", network + "::1")
    assert await attempts(throttle, 3, f"{name}-{2 * PER_ADDRESS - 1}", "192.0.2.1") == 3
    others = [await attempts(throttle, 1, name, f"198.51.100.{i}") for i in range(PER_ACCOUNT)]
    assert sum(others) == PER_ACCOUNT - PER_ACCOUNT_AND_ADDRESS


async def test_an_account_that_an_operator_opens_again_is_open_from_everywhere(
    throttle: LoginThrottle, unique: Any, network: str
) -> None:
    name, other = unique("alice"), unique("bob")
    assert await attempts(throttle, PER_ACCOUNT_AND_ADDRESS, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
    assert await attempts(throttle, PER_ACCOUNT, name) == PER_ACCOUNT - PER_ACCOUNT_AND_ADDRESS
    assert await attempts(throttle, PER_ACCOUNT_AND_ADDRESS, other, network + "::1") == PER_ACCOUNT_AND_ADDRESS
    await throttle.clear(ACME, name.upper())
    assert await attempts(throttle, 1, name, network + "::1") == 1
    assert await attempts(throttle, 1, other, network + "::1") == 0


async def test_an_attempt_of_an_earlier_window_is_not_taken_back_from_a_later_one(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name, address = unique("alice"), network + "::1"
    async with Redis.from_url(redis_url) as redis:
        in_redis = LoginThrottle(redis, clock)
        early = await in_redis.attempt(ACME, name, address)
        await redis.delete(*early.keys)  # as time does
        clock.advance(WINDOW_S)
        assert await attempts(in_redis, PER_ACCOUNT_AND_ADDRESS, name, address) == PER_ACCOUNT_AND_ADDRESS
        await in_redis.take_back(early)
        assert await attempts(in_redis, 1, name, address) == 0
    async with clients.redis(settings_for()) as away:
        alone = LoginThrottle(away, clock)
        early = await alone.attempt(ACME, name, address)
        clock.advance(WINDOW_S)
        assert await attempts(alone, PER_ACCOUNT_AND_ADDRESS, name, address) == PER_ACCOUNT_AND_ADDRESS
        await alone.take_back(early)
        assert await attempts(alone, 1, name, address) == 0


async def test_a_redis_that_forgets_lets_nobody_guess_more(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name = unique("alice")
    async with Redis.from_url(redis_url) as redis:
        throttle = LoginThrottle(redis, clock)
        throttle._breaker._wait_s = 10.0
        passed = 0
        for _ in range(20):
            passed += await attempts(throttle, 1, name, network + "::1")
            names = [name async for name in redis.scan_iter("vigie:_identity:login:*")]
            await redis.delete("none", *names)  # as a full memory does
        assert passed == PER_ACCOUNT_AND_ADDRESS
        clock.advance(WINDOW_S)
        assert await attempts(throttle, 1, name, network + "::1") == 1


async def test_what_redis_refuses_is_not_counted_by_the_process(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name = unique("alice")
    async with Redis.from_url(redis_url) as redis:
        one, other = LoginThrottle(redis, clock), LoginThrottle(redis, clock)
        one._breaker._wait_s = other._breaker._wait_s = 10.0
        assert await attempts(one, PER_ACCOUNT_AND_ADDRESS, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
        assert await attempts(other, 10, name, network + "::1") == 0
        assert len(other._local._windows) == 0


async def test_an_operator_opens_an_account_in_every_process_once(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name = unique("alice")
    async with Redis.from_url(redis_url) as redis:
        serving, operator = LoginThrottle(redis, clock), LoginThrottle(redis, clock)
        serving._breaker._wait_s = operator._breaker._wait_s = 10.0
        assert await attempts(serving, 9, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
        await operator.clear(ACME, name)
        assert await attempts(serving, 9, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS
        await operator.clear(ACME, name)
        assert await attempts(serving, 9, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS


async def test_an_attempt_is_taken_back_where_it_was_counted(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name, address = unique("alice"), network + "::1"
    async with Redis.from_url(redis_url) as redis, clients.redis(settings_for()) as away:
        throttle = LoginThrottle(redis, clock)
        good = await throttle.attempt(ACME, name, address)
        throttle._redis = away
        assert await attempts(throttle, 9, name, address) == PER_ACCOUNT_AND_ADDRESS - 1
        await throttle.take_back(good)
        clock.advance(2)
        assert await attempts(throttle, 9, name, address) == 1


async def test_counts_of_the_process_are_forgotten_and_bounded(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOCAL", 6)
    redis = clients.redis(settings_for())
    throttle = LoginThrottle(redis, clock)
    assert await attempts(throttle, 10, "alice", "192.0.2.1") == PER_ACCOUNT_AND_ADDRESS
    clock.advance(WINDOW_S)
    assert await attempts(throttle, 1, "alice", "192.0.2.1") == 1
    assert len(throttle._local._windows) == 2
    for i in range(20):
        assert await attempts(throttle, 1, f"name-{i}") == 1
    assert len(throttle._local._windows) == 6
    await redis.aclose()


async def test_refused_attempts_and_those_taken_back_push_out_no_count_of_the_process(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOCAL", 6)
    redis = clients.redis(settings_for())
    throttle = LoginThrottle(redis, clock)
    assert await attempts(throttle, PER_ACCOUNT, "alice") == PER_ACCOUNT
    for i in range(100):
        assert await attempts(throttle, 1, "alice", f"2001:db8:0:{i}::1") == 0
        await throttle.take_back(await throttle.attempt(ACME, f"name-{i}", f"2001:db8:0:{i}::1"))
    assert await attempts(throttle, 1, "alice") == 0
    assert len(throttle._local._windows) == 1
    await redis.aclose()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("64:ff9b::c000:201%eth0", "192.0.2.1"),
        ("64:ff9b:1::192.0.2.1", "0064:ff9b:0001:0000"),
        ("2001:db8:0:5:1:2:3:4", "2001:0db8:0000:0005"),
        ("192.0.2.1:4711", "?"),
        ("unix:", "?"),
        ("\udc80", "?"),
    ],
)
def test_an_address_stands_for_whoever_can_have_it(address: str, network: str) -> None:
    assert _network(address) == network


async def test_a_login_is_closed_also_for_the_right_password_and_for_names_that_do_not_exist(
    world: World, redis_url: str, unique: Any, network: str
) -> None:
    name = unique("alice")
    await world.user(name=name)
    async with running(world, redis_url) as made:
        for who in (name, unique("nobody")):
            client = ClientInfo(network + "::1")
            answers = []
            for _ in range(PER_ACCOUNT_AND_ADDRESS + 1):
                with pytest.raises((WrongLogin, TooManyAttempts)) as caught:
                    await sessions_of(made).login(who, "wrong password", client, ACME)
                answers.append(type(caught.value))
            assert answers == [WrongLogin] * PER_ACCOUNT_AND_ADDRESS + [TooManyAttempts]
        with pytest.raises(TooManyAttempts):
            await sessions_of(made).login(name, PASSWORD, client, ACME)
        await sessions_of(made).login(name, PASSWORD, ClientInfo("192.0.2.9"), ACME)


async def test_every_spelling_of_a_tenant_is_one_count(world: World, redis_url: str, unique: Any, network: str) -> None:
    home, name, client = TenantId(str(uuid4())), unique("alice"), ClientInfo(network + "::1")
    await world.tenants.create(home, "a UUID", BY)
    await world.user(home, name=name)
    async with running(world, redis_url) as made:
        for n in range(PER_ACCOUNT_AND_ADDRESS):
            with pytest.raises(WrongLogin):
                await sessions_of(made).login(name, "wrong password", client, home.upper() if n % 2 else home)
        for spelling in (home, home.upper(), home.title()):
            with pytest.raises(TooManyAttempts):
                await sessions_of(made).login(name, PASSWORD, client, spelling)


async def test_more_passwords_than_can_be_checked_are_refused_and_not_queued(world: World, redis_url: str) -> None:
    async with running(world, redis_url) as made:
        sessions = sessions_of(made)
        sessions._passwords._hashes.room = 0
        with pytest.raises(Busy) as caught:
            await sessions.login("alice", PASSWORD, ClientInfo(), ACME)
        assert caught.value.status == 503


async def test_an_attempt_whose_password_nobody_looked_at_does_not_count(
    world: World, redis_url: str, unique: Any, network: str
) -> None:
    name, client = unique("alice"), ClientInfo(network + "::1")
    await world.user(name=name)
    async with running(world, redis_url) as made:
        sessions = sessions_of(made)
        room, sessions._passwords._hashes.room = sessions._passwords._hashes.room, 0
        for _ in range(2 * PER_ACCOUNT_AND_ADDRESS):
            with pytest.raises(Busy):
                await sessions.login(name, PASSWORD, client, ACME)
        sessions._passwords._hashes.room = room
        await sessions.login(name, PASSWORD, client, ACME)


async def test_a_login_that_meets_a_change_of_the_account_fails_and_counts(
    world: World, redis_url: str, unique: Any, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, client = unique("alice"), ClientInfo(network + "::1")
    user = await world.user(name=name)
    async with running(world, redis_url) as made:
        sessions = sessions_of(made)
        verify = sessions._passwords.verify

        async def meanwhile(stored: str | None, password: str) -> bool:
            good = await verify(stored, password)
            await world.users.set_password(ACME, user.id, "another password", BY)
            return good

        monkeypatch.setattr(sessions._passwords, "verify", meanwhile)
        for _ in range(PER_ACCOUNT_AND_ADDRESS):
            with pytest.raises(WrongLogin):
                await sessions.login(name, PASSWORD, client, ACME)
            await world.users.set_password(ACME, user.id, PASSWORD, BY)
        assert await world.db["sessions"].count_documents({}) == 0
        with pytest.raises(TooManyAttempts):
            await sessions.login(name, PASSWORD, client, ACME)
