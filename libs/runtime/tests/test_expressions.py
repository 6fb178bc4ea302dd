"""No expression of a user holds the event loop, or a thread beyond its time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import parse, predicate
from vigie_runtime.errors import Busy
from vigie_runtime.expressions import Check, Expressions, ExpressionTooSlow

from tests.kit import eventually

TENANT = TenantId("one")


class Pauses:
    """How long the loop was held up at most, seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._next = asyncio.get_running_loop().call_later(0.002, self._tick)

    def stop(self) -> float:
        self._next.cancel()
        return self.longest


def busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_a_nasty_expression_over_many_values_is_given_up_while_the_loop_goes_on() -> None:
    values = [f"{i:06}" + "ab" * 500 for i in range(20_000)]
    pauses = Pauses()

    def match(check: Check) -> list[str]:
        accepts = predicate(parse(["a=~.*(a.{0,200}y).*(b.{0,100}z)", "a!~(?:.*b){60}c"]), check)
        return [value for value in values if accepts({"a": value})]

    began = time.perf_counter()
    with pytest.raises(ExpressionTooSlow, match=r"^match: .*label=value"):
        await Expressions(0.1).question("match", TENANT).run(match)
    assert time.perf_counter() - began < 3
    assert pauses.stop() < 0.5


async def test_the_time_is_for_all_that_a_question_runs() -> None:
    thinking = Expressions(0.2).question("query", TENANT)

    def work(check: Check) -> int:
        busy(0.09)
        check()
        return threading.get_ident()

    assert await thinking.run(work) != threading.get_ident()
    assert await thinking.run(work)
    with pytest.raises(ExpressionTooSlow, match=r"^query: "):
        await thinking.run(work)


async def test_too_many_at_the_same_time_are_refused_and_leave_no_trace() -> None:
    expressions = Expressions()
    release = threading.Event()

    def ask(tenant: TenantId) -> asyncio.Future[bool]:
        return asyncio.ensure_future(expressions.question("q", tenant).run(lambda _: release.wait(10)))

    running = [ask(TENANT) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):  # the tenant has its share
        await ask(TENANT)
    running += [ask(TenantId(f"other-{number}")) for number in range(18)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):  # all is taken
        await ask(TenantId("last"))
    release.set()
    assert all(await asyncio.gather(*running))
    assert await ask(TENANT)
    await eventually(lambda: not expressions._admitted)


async def test_nobody_waits_long_for_those_that_think() -> None:
    expressions = Expressions(wait_s=0.05)
    release = threading.Event()
    slow = [asyncio.ensure_future(expressions.question("q", TENANT).run(lambda _: release.wait(10))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        async with asyncio.timeout(5):
            await expressions.question("q", TenantId("two")).run(lambda _: True)
    release.set()
    assert all(await asyncio.gather(*slow))
    assert await expressions.question("q", TenantId("two")).run(lambda _: True)


async def test_who_goes_away_leaves_its_place_when_its_thread_is_free() -> None:
    expressions = Expressions()
    release, begun = threading.Event(), threading.Event()

    def work(_: Check) -> bool:
        begun.set()
        return release.wait(10)

    gone = asyncio.ensure_future(expressions.question("q", TENANT).run(work))
    await asyncio.to_thread(begun.wait, 10)
    gone.cancel()
    await asyncio.wait([gone])
    assert expressions._admitted[TENANT] == 1
    release.set()
    await eventually(lambda: not expressions._admitted)


async def test_what_nobody_waits_for_any_more_ends_soon() -> None:
    expressions = Expressions(60)
    begun = threading.Event()

    def work(check: Check) -> None:
        begun.set()
        while True:
            check()

    gone = asyncio.ensure_future(expressions.question("q", TENANT).run(work))
    await asyncio.to_thread(begun.wait, 10)
    gone.cancel()
    await eventually(lambda: not expressions._admitted)
