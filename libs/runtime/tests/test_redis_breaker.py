"""When Redis is asked, when nobody waits for it, and how often that is said."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisDownError
from structlog.testing import capture_logs
from vigie_runtime.clock import ManualClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S, REDIS_AWAY, RedisAway, RedisBreaker, RedisUse


class Server:
    """Answers, refuses, or lets callers wait."""

    def __init__(self) -> None:
        self.away = False
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self) -> str:
        self.calls += 1
        away = self.away
        await self.gate.wait()
        if away:
            raise RedisDownError("refused")
        return "value"


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> MetricSet:
    return MetricSet([REDIS_AWAY])


@pytest.fixture
def breaker(clock: ManualClock, metrics: MetricSet) -> RedisBreaker:
    return RedisBreaker(clock, RedisUse.SESSIONS, metrics)


async def test_answers_pass_through(breaker: RedisBreaker, server: Server) -> None:
    assert [await breaker.call(server.get) for _ in range(3)] == ["value"] * 3
    assert not breaker.open


async def test_after_a_failure_one_call_per_pause_asks_and_the_others_fail_at_once(
    breaker: RedisBreaker, server: Server, clock: ManualClock
) -> None:
    server.away = True
    for _ in range(3):
        for _ in range(20):
            with pytest.raises(RedisAway):
                await breaker.call(server.get)
        clock.advance(PAUSE_S)
    assert server.calls == 3


async def test_while_one_call_finds_out_others_do_not_wait(
    breaker: RedisBreaker, server: Server, clock: ManualClock
) -> None:
    server.away = True
    with pytest.raises(RedisAway):
        await breaker.call(server.get)
    server.away = False
    clock.advance(PAUSE_S)
    server.gate.clear()
    asking = asyncio.create_task(breaker.call(server.get))
    await asyncio.sleep(0)
    with pytest.raises(RedisAway):
        await breaker.call(server.get)
    server.gate.set()
    assert await asking == "value"
    assert not breaker.open


async def test_what_must_be_tried_is_tried_at_any_time_and_closes_the_breaker(
    breaker: RedisBreaker, server: Server
) -> None:
    server.away = True
    for _ in range(2):
        with pytest.raises(RedisAway):
            await breaker.call(server.get, always=True)
    assert server.calls == 2
    server.away = False
    assert await breaker.call(server.get, always=True) == "value"
    assert await breaker.call(server.get) == "value"


async def test_an_answer_that_does_not_come_is_given_up(clock: ManualClock, server: Server) -> None:
    breaker = RedisBreaker(clock, RedisUse.SESSIONS, wait_s=0.01)
    server.gate.clear()
    with pytest.raises(RedisAway):
        await breaker.call(server.get)
    assert breaker.open


async def test_what_was_asked_before_neither_closes_nor_holds_it_open(
    breaker: RedisBreaker, server: Server, clock: ManualClock
) -> None:
    server.gate.clear()
    early_good = asyncio.create_task(breaker.call(server.get))
    await asyncio.sleep(0)
    server.away = True
    early_bad = [asyncio.create_task(breaker.call(server.get)) for _ in range(2)]
    await asyncio.sleep(0)
    early_bad[0].cancel()
    server.gate.set()
    with pytest.raises(RedisAway):
        await breaker.call(server.get)
    assert await early_good == "value"
    with pytest.raises(RedisAway):
        await early_bad[1]
    clock.advance(PAUSE_S / 2)
    server.away = False
    with pytest.raises(RedisAway):
        await breaker.call(server.get)
    clock.advance(PAUSE_S / 2)
    assert await breaker.call(server.get) == "value"


async def test_other_errors_are_none_of_its_business(breaker: RedisBreaker) -> None:
    async def bug() -> None:
        raise KeyError("k")

    with pytest.raises(KeyError):
        await breaker.call(bug)
    assert not breaker.open


async def test_an_outage_is_said_twice_and_shown_while_it_lasts(
    breaker: RedisBreaker, server: Server, clock: ManualClock, metrics: MetricSet
) -> None:
    gauge = metrics.gauge(REDIS_AWAY, use=RedisUse.SESSIONS)
    server.away = True
    with capture_logs() as logs:
        for _ in range(10):
            with pytest.raises(RedisAway):
                await breaker.call(server.get)
            clock.advance(PAUSE_S)
        assert gauge._value.get() == 1
        server.away = False
        await breaker.call(server.get)
    assert gauge._value.get() == 0
    assert [(line["log_level"], line["use"]) for line in logs] == [("warning", "sessions"), ("info", "sessions")]
    assert "refused" in logs[0]["reason"]
