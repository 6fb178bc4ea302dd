"""What checks found gets where it belongs, whatever is away meanwhile, once or harmlessly twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from msgspec.structs import replace
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_healthcheck import results as module
from vigie_healthcheck.checking import Checked
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.samples import check_id
from vigie_healthcheck.state import step
from vigie_publishing.errors import BusAwayError, ItemError, Reason
from vigie_runtime.errors import BusUnavailable

from services.healthcheck.tests.around_results import DOWN, MUTED, NOW, UP, Bench, running
from tests.kit import eventually


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "FLUSH_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    return Bench()


async def test_a_check_is_published_stored_and_told_in_this_order(bench: Bench) -> None:
    results = bench.process()
    async with running(results):
        await bench.check(results, "a", 1, DOWN)
        await eventually(lambda: bench.live.targets == ["a"])
    assert not bench.store.unpublished
    [(tenant, live)] = bench.live.told
    assert (tenant, live.states[0].before, live.states[0].state.state) == ("acme", "unknown", DOWN)
    [check] = bench.log.checks.values()
    assert (check.id, check.state, check.verdict, check.reason) == (check_id("a", NOW + 1000), "down", DOWN, "refused")


async def test_many_checks_go_together_and_those_of_a_tenant_are_told_in_one_message(bench: Bench) -> None:
    results = bench.process()
    for number in range(150):
        await bench.check(results, f"t{number}", 1)
    await bench.check(results, "other", 1, tenant="rival")
    async with running(results):
        await eventually(lambda: len(bench.live.targets) == 151)
    assert bench.log.batches == [151]
    assert bench.store.writes == [151]
    assert [(tenant, len(live.states)) for tenant, live in bench.live.told] == [("acme", 150), ("rival", 1)]


async def test_while_kafka_is_away_states_are_stored_and_checks_come_later(bench: Bench) -> None:
    results = bench.process()
    bench.log.away = BusAwayError(keyed=True)
    async with running(results):
        for number in range(3):
            await bench.check(results, "a", number)
        await eventually(lambda: bench.store.states.get("a") is bench.states["a"])
        assert not bench.log.checks
        bench.log.away = None
        await eventually(lambda: len(bench.log.checks) == 3)
    assert bench.value("vigie_healthcheck_given_up_checks_total") == 0


async def test_a_kafka_that_hangs_holds_no_state_up(bench: Bench) -> None:
    results = bench.process()
    bench.log.hangs = asyncio.Event()
    async with running(results):
        await bench.check(results, "a", 1)
        await eventually(lambda: "a" in bench.store.states)
        assert not bench.log.checks
        bench.log.hangs.set()
    assert len(bench.log.checks) == 1


async def test_when_too_many_checks_wait_the_oldest_are_given_up_and_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    results = bench.process()
    bench.log.away = BusUnavailable("away")
    async with running(results):
        await bench.check(results, "a", 0)
        await eventually(lambda: "a" in bench.store.states)
        for number in range(1, 15):
            await bench.check(results, f"t{number}", number)
        await eventually(lambda: len(bench.store.states) == 15)
        bench.log.away = None
        await eventually(lambda: len(bench.log.checks) == 10)
    assert bench.value("vigie_healthcheck_given_up_checks_total") == 5
    assert {check.target for check in bench.log.checks.values()} == {f"t{number}" for number in range(5, 15)}


async def test_while_kafka_is_only_slow_checks_wait_to_be_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    results = bench.process()
    await bench.check(results, "a", 0)
    second = asyncio.create_task(bench.check(results, "b", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    async with running(results):
        await second
        await eventually(lambda: len(bench.log.checks) == 2)
    assert bench.value("vigie_healthcheck_given_up_checks_total") == 0


async def test_while_the_store_is_away_the_last_state_waits_with_everything_that_changed(bench: Bench) -> None:
    results = bench.process()
    bench.store.away = True
    async with running(results):
        for number, verdict in enumerate([UP, DOWN, UP, DOWN]):
            await bench.check(results, "a", number, verdict)
            await eventually(lambda sent=number + 1: len(bench.log.checks) == sent)
        bench.store.away = False
        await eventually(lambda: bench.store.states)
    assert bench.store.states["a"] is bench.states["a"]
    assert bench.store.changes == [
        ("a", Verdict.UNKNOWN, UP), ("a", UP, DOWN), ("a", DOWN, UP), ("a", UP, DOWN)
    ]  # fmt: skip
    assert bench.live.told[-1][1].states[0].before == "unknown"


async def test_what_a_target_became_is_bounded_and_ends_with_what_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHANGES", 4)
    results = bench.process()
    for number in range(21):
        await bench.check(results, "a", number, DOWN if number % 2 else UP)
    async with running(results):
        await eventually(lambda: bench.store.states)
    assert len(bench.store.changes) <= 4
    assert bench.store.changes[-1] == ("a", DOWN, UP)
    joined = [change[1:] for change in bench.store.changes]
    assert all(before[1] is after[0] for before, after in pairwise(joined))


async def test_an_older_owner_stores_and_tells_nothing_of_what_a_newer_one_stored(bench: Bench) -> None:
    old, new = bench.process(), bench.process()
    await bench.check(old, "a", 1, DOWN)
    bench.states.clear()
    await bench.check(new, "a", 2, UP)
    async with running(new):
        await eventually(lambda: bench.live.targets)
    async with running(old):
        await eventually(lambda: bench.value("vigie_healthcheck_fenced_states_total") == 1)
    assert bench.store.states["a"].state is UP
    assert len(bench.live.told) == 1
    assert len(bench.log.checks) == 2, "both checks were made"


async def test_a_check_whose_state_was_not_stored_is_made_again_and_is_the_same(bench: Bench) -> None:
    killed = bench.process()
    bench.store.away = True
    task = asyncio.create_task(killed.run())
    await bench.check(killed, "a", 1, DOWN)
    await eventually(lambda: bench.log.checks)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    bench.store.away, bench.states = False, {}
    again = bench.process()
    await bench.check(again, "a", 1, DOWN)
    async with running(again):
        await eventually(lambda: bench.store.states)
    assert len(bench.log.checks) == 1
    assert bench.store.changes == [("a", Verdict.UNKNOWN, DOWN)]


async def test_the_stop_stores_what_waits(bench: Bench) -> None:
    results = bench.process()
    async with running(results):
        await bench.check(results, "a", 1)
    assert "a" in bench.store.states
    assert len(bench.log.checks) == 1


async def test_a_flush_returns_when_what_was_found_before_is_stored(bench: Bench) -> None:
    results = bench.process()
    async with running(results):
        await bench.check(results, "a", 1)
        await results.flush()
        assert "a" in bench.store.states
        bench.store.away = True
        await bench.check(results, "a", 2)
        await results.flush(0.5)  # returns, whatever the store does
    assert bench.store.states["a"].checked_ms == NOW + 1000


async def test_what_is_handed_over_is_stored_or_never_will_be(bench: Bench) -> None:
    results = bench.process()
    async with running(results):
        await bench.check(results, "a", 1)
        await results.hand_over(["a"])
        assert bench.store.states["a"].checked_ms == NOW + 1000
        bench.store.away = True
        await bench.check(results, "a", 2, DOWN)
        await bench.check(results, "b", 2)
        await eventually(lambda: len(bench.log.checks) == 3)
        await results.hand_over(["a"])
        bench.store.away = False
        await eventually(lambda: "b" in bench.store.states)
    # Else who has it now, and found it up, would not know that an incident has begun.
    assert bench.store.states["a"].checked_ms == NOW + 1000
    assert ("a", UP, DOWN) not in bench.store.changes


async def test_a_target_that_is_gone_leaves_nothing(bench: Bench) -> None:
    results = bench.process()
    async with running(results):
        await bench.check(results, "a", 1, DOWN)
        await eventually(lambda: bench.live.targets)
        await bench.check(results, "a", 2, DOWN)
        await results.remove(Target(id="a", tenant="acme", name="a", kind="http"))
        await eventually(lambda: bench.live.told[-1][1].removed == ["a"])
    assert bench.store.gone == ["a"]
    assert bench.store.states == {}
    assert [{one.name: one.value for one in last.samples} for last in bench.log.last] == [MUTED]


async def test_a_target_is_not_forgotten_before_its_alerts_can_end(bench: Bench) -> None:
    results = bench.process()
    bench.log.away = BusUnavailable("away")
    async with running(results):
        await bench.check(results, "a", 1, DOWN)
        await eventually(lambda: "a" in bench.store.states)
        await results.remove(Target(id="a", tenant="acme", name="a", kind="http"))
        await bench.check(results, "b", 1)
        await eventually(lambda: "b" in bench.store.states)
        assert "a" in bench.store.states, "who has it after a crash still finds that there is something to end"
        bench.log.away = None
        await eventually(lambda: bench.store.gone == ["a"])
    assert len(bench.log.last) == 1


async def test_a_target_that_is_back_before_it_was_forgotten_is_not_forgotten_later(bench: Bench) -> None:
    results = bench.process()
    bench.log.away = BusUnavailable("away")
    async with running(results):
        await results.remove(Target(id="a", tenant="acme", name="a", kind="http"))
        await bench.check(results, "a", 1)
        await eventually(lambda: "a" in bench.store.states)
        bench.log.away = None
        await eventually(lambda: bench.log.last)
    assert (bench.store.gone, list(bench.store.states)) == ([], ["a"])


async def test_alerts_under_labels_that_a_target_has_no_more_can_end(bench: Bench) -> None:
    results = bench.process()
    bench.log.away = BusUnavailable()
    async with running(results):
        await bench.check(results, "a", 1, DOWN)
        await bench.check(results, "a", 2, DOWN)
        before = Target(id="a", tenant="acme", name="a", kind="http", labels={"site": "paris"})
        for target in (before, replace(before, retries=3), replace(before, labels={"site": "rome"})):
            outcome = Outcome(DOWN, "refused", 0.01, {}, {})
            at_ms = NOW + 3_000 + target.retries
            await results.add(target, step(None, target, outcome, at_ms), Checked(outcome), at_ms)
        bench.log.away = None
        await eventually(lambda: bench.log.last)
    assert [dict(last.samples[0].labels) for last in bench.log.last] == [
        {"kind": "http", "target": "a"},
        {"kind": "http", "site": "paris", "target": "a"},
    ]


async def test_a_redis_that_is_away_holds_nothing_up(bench: Bench) -> None:
    results = bench.process()
    bench.live.away = True
    async with running(results):
        await bench.check(results, "a", 1)
        await eventually(lambda: bench.value("vigie_healthcheck_unannounced_states_total") == 1)
    assert "a" in bench.store.states


async def test_samples_that_are_refused_are_counted_and_hold_nothing_up(bench: Bench) -> None:
    results = bench.process()
    bench.log.refused = [ItemError(Reason.LIMIT, "labels", "too many series")]
    async with running(results):
        await bench.check(results, "a", 1)
        await eventually(lambda: bench.store.states)
    assert bench.value("vigie_healthcheck_refused_samples_total", reason="limit") == 1


@pytest.mark.parametrize("where", ["log", "store"])
async def test_what_is_no_passing_trouble_ends_the_process(
    bench: Bench, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: object) -> None:
        raise KeyError("a bug")

    results = bench.process()
    monkeypatch.setattr(bench.log if where == "log" else bench.store, "publish" if where == "log" else "write", broken)
    await bench.check(results, "a", 1)
    with pytest.raises(KeyError):
        await asyncio.wait_for(results.run(), 10)
