"""A question about the past has an end: its time, and that of those who ask beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from vigie_alerting.backtest.backtester import Backtest, Backtester
from vigie_alerting.backtest.pages import Pages
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Judge, Mute
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import Rule, RuleKind
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock, SystemClock
from vigie_runtime.errors import Busy

from services.alerting.tests.backtest.test_pages import HOUR, life, tree
from services.alerting.tests.samples import START_MS

ACME = TenantId("acme")
RULE = compiled(Rule(id="r1", tenant="acme", name="hot", kind=RuleKind.EXPRESSION, expression="cpu > 80"))


def backtester_of(judge: Judge = lambda _item, _at_ms: None, deadline_s: float = 30.0, **more: Any) -> Backtester:
    async def routes(_: TenantId) -> Routes:
        return tree()

    async def judges(_: TenantId) -> Judge:
        return judge

    nothing: Any = None
    return Backtester(nothing, routes, [judges], more.get("clock", SystemClock()), deadline_s)


def knows(monkeypatch: pytest.MonkeyPatch, steps: list[Any], until_ms: int) -> None:
    """Rules did this."""

    async def run(_self: Backtester, one: Backtest, *_: Any) -> None:
        one.transitions, one.until_ms, one.whole = list(steps), until_ms, True

    monkeypatch.setattr(Backtester, "_run", run)


async def asked(of: Backtester, rules: int = 1) -> tuple[list[Backtest], Pages]:
    async with asyncio.timeout(10):
        return await of.run(ACME, [RULE] * rules, START_MS, START_MS + HOUR)


async def test_what_is_read_has_the_time_of_the_question_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def past(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("vigie_alerting.backtest.backtester.past", past)
    done, pages = await asked(backtester_of(deadline_s=0.3), rules=3)
    assert [(one.whole, one.until_ms) for one in done] == [(False, START_MS)] * 3
    assert (pages.total, pages.complete) == (0, True)


async def test_who_would_have_been_told_is_found_in_a_thread_and_within_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, threads = ManualClock(START_MS), set[int]()

    def judge(_: Item, _at_ms: int) -> Mute | None:
        threads.add(threading.get_ident())
        clock.advance(4.0)
        return None

    knows(monkeypatch, life(1, START_MS, None), START_MS + 400 * HOUR)
    _, pages = await asked(backtester_of(judge, clock=clock))
    assert not pages.complete
    assert 2 <= pages.total <= 8, "30 s, of which each look took 4"
    assert threading.get_ident() not in threads


async def test_a_tenant_has_two_at_the_same_time_and_leaves_room_for_others() -> None:
    slots = backtester_of().slots
    async with slots.slot(ACME), slots.slot(ACME):
        with pytest.raises(Busy):
            async with slots.slot(ACME):
                pass
        waiting = asyncio.ensure_future(_held(slots.slot, TenantId("other")))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def _held(slot: Callable[[TenantId], Any], tenant: TenantId) -> None:
    async with slot(tenant):
        pass
