"""The engine at work on stores in memory: nothing is lost or told twice, whatever happens between."""

from __future__ import annotations

import asyncio
import threading

import pytest
from vigie_alerting import alert as alerts
from vigie_alerting.commands import acknowledge
from vigie_alerting.dispatch import MAX_TRANSITIONS
from vigie_alerting.engine import runner as running
from vigie_alerting.engine.active_rule import SLOW_MS, ActiveRule, Attempt
from vigie_alerting.engine.engine import Evaluated, run
from vigie_alerting.engine.runner import ClockWentBackError
from vigie_alerting.lifecycle import step
from vigie_alerting.rules.compiling import compiled
from vigie_contracts.alerts import AlertState, NoData, Reason, Rule, RuleKind, Transition
from vigie_contracts.series import Kind, series_key
from vigie_query.series import Series
from vigie_runtime.clock import SystemClock

from services.alerting.tests.desk import DEADLINE_S, TENANT, Desk, Store, desk, rule
from tests.kit import eventually


def firing(made: Rule, **labels: str) -> tuple[alerts.Alert, list[Transition]]:
    own = compiled(made)
    after, told = step(None, own.observe(tuple(sorted(labels.items())), 95.0), own, SystemClock().now_ms() - 20_000)
    assert after is not None
    return after, told


F, R = AlertState.FIRING, AlertState.RESOLVED


async def test_more_alerts_at_once_than_a_transaction_holds_are_all_told() -> None:
    many = MAX_TRANSITIONS + 200
    async with desk(None, rule(limit=5_000)) as one:
        await one.seen("r1")
        await one.send_all([95.0] * many, [{"host": f"h{i}"} for i in range(many)])
        await eventually(lambda: len(one.store.told) == many, DEADLINE_S)


async def test_what_happens_while_the_store_is_away_is_told_in_its_order() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        one.store.away = True
        for value, state in ((95, F), (10, R), (95, F)):
            await one.send(value)
            active = one.engine.rules["r1"]
            await eventually(
                lambda: [alert.state for alert in active.alerts.values()] == [state],  # noqa: B023
                DEADLINE_S,
            )
        assert one.store.told == []
        one.store.away = False
        assert [made.sequence for made in await one.told(F, R, F)] == [1, 2, 3]


async def test_rules_are_evaluated_while_the_store_does_not_answer() -> None:
    async with desk(None, rule(), rule("r2", "mem")) as one:
        await one.seen("r1", "r2")
        one.store.answers.clear()
        for name, rule_id in (("cpu", "r1"), ("mem", "r2")):
            await one.send(95, name)
            await eventually(lambda: one.engine.rules[rule_id].alerts, DEADLINE_S)  # noqa: B023
        assert one.store.told == []
        one.store.answers.set()
        assert {made.rule_id for made in await one.told(F, F)} == {"r1", "r2"}


async def test_a_rule_that_changes_waits_for_what_is_to_be_stored_before() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        one.store.answers.clear()
        await one.send(95)
        await eventually(lambda: one.engine.rules["r1"].alerts, DEADLINE_S)
        await one.put("r1")
        one.store.answers.set()
        _, last = await one.told(F, R)
        assert last.reason == "rule_removed"


async def test_rules_that_are_read_anew_are_not_taken_for_removed_ones() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        await one.rules.assigned(0)
        await eventually(lambda: not one.engine.rules, DEADLINE_S)
        await one.put(rule())
        await one.seen("r1")
        await one.send(96)
        await one.turns()
        await one.told(F)
        assert len(one.engine.rules["r1"].alerts) == 1


@pytest.mark.parametrize("switched_off", [True, False])
async def test_a_rule_that_ended_while_nobody_had_it_ends_its_alerts(switched_off: bool) -> None:
    store = Store()
    alert, told = firing(rule(), host="a")
    store.move(alert)
    store.told += told
    async with desk(store) as one:
        await one.put(rule(enabled=False) if switched_off else "r1")
        _, last = await one.told(F, R)
    assert (last.reason, last.sequence, last.labels) == ("rule_removed", 2, told[0].labels)
    assert store.alerts[alert.fingerprint].state == "resolved", "and is shown for some days"


@pytest.mark.parametrize("asks_for_else", [True, False])
async def test_a_rule_that_changed_while_nobody_had_it_has_other_alerts(asks_for_else: bool) -> None:
    store = Store()
    alert, told = firing(rule(), host="a")
    store.move(alert)
    store.told += told
    async with desk(store) as one:
        await one.put(rule(threshold=90.0 if asks_for_else else 80.0, version=2, updated_at=alert.starts_at + 10_000))
        await one.seen("r1")
        await one.send(96, host="a")
        if asks_for_else:
            _, last, _ = await one.told(F, R, F)
            assert (last.reason, last.sequence) == ("rule_changed", 2)
        else:
            await one.turns()
            await one.told(F)


@pytest.mark.parametrize("expression", [None, "max by (host) (cpu) > 80"])
async def test_an_episode_of_a_short_restart_is_told(expression: str | None) -> None:
    made = rule(interval_ms=1_000)
    if expression:
        made = Rule(
            id="r1", tenant=TENANT, name="cpu", kind=RuleKind.EXPRESSION, expression=expression, interval_ms=1_000
        )
    one = Desk(Store())
    one.store.checkpoint = one.clock.now_ms() - 40_000
    key = series_key(TENANT, "cpu", Kind.GAUGE, {"host": "a"})
    one.opening.series = [Series(key.fingerprint, "cpu", Kind.GAUGE, key.labels, 0, 0, 0)]
    sent = ((50_000, 1), (30_000, 95), (9_000, 1))
    one.opening.past = [(key.fingerprint, one.clock.now_ms() - ago_ms, value) for ago_ms, value in sent]
    await one.rules.assigned(0)
    await one.put(made, rule("r2", "mem", interval_ms=1_000))
    task = asyncio.create_task(one.runner.run())
    fired, resolved = await one.told(F, R)
    assert 20_000 < resolved.timestamp - fired.timestamp < 25_000
    await one.seen("r2")
    one.runner.stop()
    await asyncio.wait_for(task, DEADLINE_S)


async def test_what_had_values_before_a_restart_and_has_none_after_it_is_told() -> None:
    silent = rule(no_data=NoData.ALERT, interval_ms=1_000)
    async with desk(None, silent) as one:
        await one.seen("r1")
        await one.send(10, host="a")
        await eventually(lambda: one.engine.rules["r1"].known, DEADLINE_S)
    again = Desk(one.store)
    again.opening.series, again.opening.past = one.opening.series, one.opening.past
    again.clock.ahead_ms = 40_000
    again.store.checkpoint = one.clock.now_ms()
    await again.rules.assigned(0)
    await again.put(silent)
    task = asyncio.create_task(again.runner.run())
    await eventually(lambda: again.engine.rules["r1"].known if "r1" in again.engine.rules else None, DEADLINE_S)
    again.clock.ahead_ms = 310_000
    (told,) = await again.told(F)
    assert told.reason == "no_data"
    again.runner.stop()
    await asyncio.wait_for(task, DEADLINE_S)


async def test_a_rule_that_is_removed_while_somebody_acknowledges_ends_its_alert() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)

        def first() -> None:
            one.store.before_write = lambda: None
            (alert,) = one.engine.rules["r1"].alerts.values()
            after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms())
            assert after is not None
            one.store.move(after)

        one.store.before_write = first
        await one.put("r1")
        _, last = await one.told(F, R)
        assert last.sequence == 3


async def test_what_recovers_right_after_it_was_acknowledged_is_told() -> None:
    """Both steps are the second one of the alert, for whoever makes it."""
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        (alert,) = one.engine.rules["r1"].alerts.values()
        after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms())
        assert after is not None
        one.store.move(after)
        await one.send(10)
        _, last = await one.told(F, R)
        assert (last.sequence, last.from_state) == (3, AlertState.ACKNOWLEDGED)
        await one.send(95)
        assert [made.sequence for made in await one.told(F, R, F)] == [1, 3, 4]


async def test_what_was_built_on_a_step_that_could_not_be_taken_is_taken_back() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        (alert,) = one.engine.rules["r1"].alerts.values()
        after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms())
        assert after is not None
        one.store.answers.clear()
        for value, state in ((10, R), (95, F), (10, R)):
            await one.send(value)
            active = one.engine.rules["r1"]
            await eventually(lambda: [one.state for one in active.alerts.values()] == [state], DEADLINE_S)  # noqa: B023
        one.store.move(after)
        one.store.answers.set()
        _, last = await one.told(F, R)
        assert (last.sequence, last.from_state) == (3, AlertState.ACKNOWLEDGED)


async def test_an_acknowledgement_is_known_to_the_engine_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "KEEP_S", 0.1)
    async with desk(None, rule()) as one:
        await one.seen("r1")
        await one.send(95)
        await one.told(F)
        (alert,) = one.engine.rules["r1"].alerts.values()
        after, _ = acknowledge(alert, compiled(rule()), "ann", one.clock.now_ms(), until=one.clock.now_ms() + 1_000)
        assert after is not None
        one.store.move(after)
        await one.send(96)
        _, last = await one.told(F, F)
        assert last.reason == "acknowledgement_expired"


async def test_alerts_that_are_over_do_not_fill_the_limit() -> None:
    async with desk(None, rule(limit=2)) as one:
        await one.seen("r1")
        for host in "abc":
            await one.send(95, host=host)
            await eventually(lambda: one.store.states()[-1:] == [F], DEADLINE_S)
            await one.send(10, host=host)
            await eventually(lambda: one.store.states()[-1:] == [R], DEADLINE_S)
        await one.told(F, R, F, R, F, R)


async def test_a_resolved_alert_stays_stored_when_the_engine_forgets_it() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        for value, states in ((95, (F,)), (10, (F, R))):
            await one.send(value, host="a")
            await one.told(*states)
        one.clock.ahead_ms = 6 * 60_000
        await one.send_all([95.0], [{"host": "b"}])
        await one.told(F, R, F)
        assert sorted(alert.state for alert in one.store.alerts.values()) == ["firing", "resolved"]


async def test_a_recording_rule_fires_nothing() -> None:
    recording = Rule(id="r2", tenant=TENANT, name="x", kind=RuleKind.RECORDING, record="y", expression="cpu")
    async with desk(None, rule(), recording) as one:
        await one.seen("r1")
        await one.send(95)
        assert [made.rule_id for made in await one.told(F)] == ["r1"]


async def test_a_rule_that_cannot_be_opened_is_refused_and_the_others_go_on() -> None:
    async with desk() as one:
        one.opening.refused = {"all"}
        await one.put(rule(), rule("r2", "all"))
        await one.seen("r1")
        await eventually(lambda: one.roster.refused == {"r2": "too many"}, DEADLINE_S)
        await one.send(95)
        await one.told(F)


async def test_rules_are_evaluated_while_the_past_of_others_is_read() -> None:
    async with desk(None, rule()) as one:
        await one.seen("r1")
        never = asyncio.Event()

        async def hang(*_: object) -> dict[int, str]:
            await never.wait()
            return {}

        one.opening.open = hang  # type: ignore[method-assign]
        await one.put(rule("r2", "mem"))
        await eventually(lambda: "r2" in one.engine.rules, DEADLINE_S)
        await one.send(95)
        await one.told(F)


async def test_a_rule_that_takes_long_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Rule(id="slow", tenant=TENANT, name="slow", kind=RuleKind.EXPRESSION, expression="sum(mem) > 100")
    gate = threading.Event()
    compute = Attempt.compute

    def held(attempt: Attempt) -> None:
        if attempt.rule.id == "slow":
            gate.wait(DEADLINE_S)
        compute(attempt)

    async with desk(None, rule(), slow) as one:
        await one.seen("r1", "slow")
        one.engine.rules["slow"].took_ms = 2 * SLOW_MS
        monkeypatch.setattr(Attempt, "compute", held)
        await one.send(95, "mem")
        await eventually(lambda: one.engine.rules["slow"].running, DEADLINE_S)
        await one.send(95, host="a")
        await one.told(F)
        await one.send(95, "mem", host="later")
        gate.set()
        assert [told.rule_id for told in await one.told(F, F)] == ["r1", "slow"], "what came meanwhile counts too"


async def test_nothing_is_evaluated_before_the_log_is_read() -> None:
    store = Store()
    alert, told = firing(rule(), host="a")
    store.move(alert)
    store.told += told
    made = Desk(store)
    made.samples_are_read = False
    await made.rules.assigned(0)
    await made.put(rule())
    task = asyncio.create_task(made.runner.run())
    await eventually(made.runner.opened.is_set, DEADLINE_S)
    await made.turns()
    assert store.states() == [F], "that no value is in memory yet means nothing"
    await made.send(96, host="a")
    made.samples_are_read = True
    await eventually(lambda: made.runner.live, DEADLINE_S)
    await made.turns()
    assert store.states() == [F]
    made.runner.stop()
    await asyncio.wait_for(task, DEADLINE_S)


async def test_a_stop_while_the_past_is_read_is_soon() -> None:
    made = Desk(Store())
    made.samples_are_read = False
    await made.rules.assigned(0)
    task = asyncio.create_task(made.runner.run())
    await eventually(made.runner.opened.is_set, DEADLINE_S)
    made.runner.stop()
    await asyncio.wait_for(task, 1.0)


async def test_a_clock_that_goes_back_far_ends_the_process() -> None:
    made = Desk(Store())
    made.clock.ahead_ms = 3_600_000
    await made.rules.assigned(0)
    task = asyncio.create_task(made.runner.run())
    await eventually(lambda: made.runner.live, DEADLINE_S)
    await made.turns()
    made.clock.ahead_ms = 0
    with pytest.raises(ClockWentBackError):
        await asyncio.wait_for(task, DEADLINE_S)


async def evaluated(one: Desk) -> tuple[ActiveRule, list[Evaluated]]:
    """A rule that fires, which nobody knows yet."""
    active = one.engine.put(compiled(rule()), [])
    for watch in (closed := one.engine.closed()):
        one.engine.memory.open(watch)
    one.engine.opened(closed, one.clock.now_ms())
    await one.send(95, host="a")
    return active, run(one.engine, one.clock.now_ms(), 1.0)


@pytest.mark.parametrize("version", [None, 2])
async def test_nothing_becomes_of_a_rule_that_was_changed_or_removed_while_it_was_evaluated(
    version: int | None,
) -> None:
    """Else an alert fires that no rule knows, and that nothing ends."""
    one = Desk(Store())
    _, done = await evaluated(one)
    if version:
        one.engine.put(compiled(rule(threshold=99.0, version=version)), [])
    else:
        one.engine.remove("r1")
    await one.storing.settle(done)
    await one.storing.store_unstored()
    assert one.store.told == []
    assert one.store.alerts == {}


async def test_what_is_not_stored_yet_of_a_rule_is_stored_before_its_alerts_are_ended() -> None:
    one = Desk(Store())
    active, done = await evaluated(one)
    await one.storing.settle(done)
    await one.storing.withdraw(active, Reason.RULE_REMOVED)
    await one.storing.store_unstored()
    assert one.store.states() == [F, R]
    assert [alert.state for alert in one.store.alerts.values()] == ["resolved"]


async def test_nothing_becomes_of_a_rule_whose_alerts_are_being_ended() -> None:
    one = Desk(Store())
    active, done = await evaluated(one)
    await one.storing.withdraw(active, Reason.RULE_CHANGED)
    await one.storing.settle(done)
    await one.storing.store_unstored()
    assert one.store.told == []


async def test_a_changed_rule_has_the_alerts_of_what_was_evaluated_until_then() -> None:
    one = Desk(Store())
    active, done = await evaluated(one)
    async with one.lock:
        putting = asyncio.create_task(one.roster._put(compiled(rule(version=2)), active, [], 0))  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0)  # it waits for the lock now
        one.engine.accept(active, done[0].changes)
    await putting
    assert one.engine.rules["r1"] is not active
    assert [alert.state for alert in one.engine.rules["r1"].alerts.values()] == [F]


@pytest.mark.parametrize("settled", [False, True])
async def test_a_rule_is_not_said_to_be_evaluated_before_what_came_of_it_is_stored(settled: bool) -> None:
    """Whoever has it after a crash looks back to then: an episode that began and ended meanwhile would be lost."""
    one = Desk(Store())
    active, done = await evaluated(one)
    if settled:
        await one.storing.settle(done)
    await one.storing.keep({"r1": 0})
    assert not one.store.checkpoint
    if not settled:
        await one.storing.settle(done)
    await one.storing.store_unstored()
    await one.storing.keep({"r1": 0})
    assert one.store.checkpoint == active.evaluated_ms
