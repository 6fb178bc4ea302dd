"""Guessing passwords: bounded per account and per address, with Redis and without, and the same for unknown names."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from vigie_identity.errors import Busy, TooManyAttempts, WrongLogin
from vigie_identity.sessions import Client
from vigie_identity.throttle import (
    MAX_LOCAL,
    PER_ACCOUNT,
    PER_ACCOUNT_AND_ADDRESS,
    PER_ADDRESS,
    WINDOW_S,
    LoginThrottle,
)
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock

from .conftest import ACME, PASSWORD, World, running, sessions_of, settings_for


@pytest.fixture(params=["redis", "away"])
async def throttle(request: pytest.FixtureRequest, redis_url: str, clock: ManualClock) -> AsyncIterator[LoginThrottle]:
    """The same behaviour, counted in Redis and by the process alone."""
    client = clients.redis(settings_for(redis_url) if request.param == "redis" else settings_for())
    yield LoginThrottle(client, clock)
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
        await throttle.attempt(ACME, name, network + "::1")
        await throttle.good(ACME, name, network + "::1")
    assert await attempts(throttle, 20, name, network + "::1") == PER_ACCOUNT_AND_ADDRESS


async def test_counts_in_redis_are_forgotten_and_hold_no_names(
    redis_url: str, clock: ManualClock, unique: Any, network: str
) -> None:
    name = unique("alice")
    async with Redis.from_url(redis_url) as redis:
        before = set(await redis.keys("vigie:_identity:login:*"))
        await attempts(LoginThrottle(redis, clock), 10, name, network + "::1")
        new = set(await redis.keys("vigie:_identity:login:*")) - before
        assert len(new) == 3
        assert all([0 < await redis.pttl(key) <= WINDOW_S * 1000 for key in new])
        assert name.encode() not in b"".join(new)


async def test_counts_of_the_process_are_forgotten_and_bounded(clock: ManualClock) -> None:
    redis = clients.redis(settings_for())
    throttle = LoginThrottle(redis, clock)
    assert await attempts(throttle, 10, "alice", "192.0.2.1") == PER_ACCOUNT_AND_ADDRESS
    clock.advance(WINDOW_S)
    assert await attempts(throttle, 1, "alice", "192.0.2.1") == 1
    for i in range(MAX_LOCAL + 100):
        throttle._local.add(str(i))
    assert len(throttle._local._counts) == MAX_LOCAL
    await redis.aclose()


async def test_a_login_is_closed_also_for_the_right_password_and_for_names_that_do_not_exist(
    world: World, redis_url: str, unique: Any, network: str
) -> None:
    name = unique("alice")
    await world.user(name=name)
    async with running(world, redis_url) as made:
        for who in (name, unique("nobody")):
            client = Client(network + "::1")
            answers = []
            for _ in range(PER_ACCOUNT_AND_ADDRESS + 1):
                with pytest.raises((WrongLogin, TooManyAttempts)) as caught:
                    await sessions_of(made).login(who, "wrong password", client, ACME)
                answers.append(type(caught.value))
            assert answers == [WrongLogin] * PER_ACCOUNT_AND_ADDRESS + [TooManyAttempts]
        with pytest.raises(TooManyAttempts):
            await sessions_of(made).login(name, PASSWORD, client, ACME)
        await sessions_of(made).login(name, PASSWORD, Client("192.0.2.9"), ACME)


async def test_more_passwords_than_can_be_checked_are_refused_and_not_queued(world: World, redis_url: str) -> None:
    async with running(world, redis_url) as made:
        sessions = sessions_of(made)
        sessions._passwords._room = 0
        with pytest.raises(Busy) as caught:
            await sessions.login("alice", PASSWORD, Client(), ACME)
        assert caught.value.status == 503
