"""The runner and its targets on doubles: who is asked when, and what of the answers counts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from vigie_contracts.targets import Maintenance
from vigie_healthcheck.muting import DEPENDENCY, MAINTENANCE, Muting
from vigie_healthcheck.roster import READ_S
from vigie_runtime.clock import ManualClock
from vigie_storage.health.states import TargetState

from services.healthcheck.tests.rig import (
    DOWN,
    UNKNOWN,
    UP,
    Rig,
    S,
    States,
    eventually,
    running,
    settled,
    target,
)


async def test_a_new_target_is_checked_at_once_and_then_in_its_interval() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a"))
        await rig.pass_(1)
        assert len(rig.added) == 1
        [first] = rig.added
        assert (first.step.state.state, first.step.change is not None) == (UP, True)
        assert rig.clock.now_ms() < first.step.state.due_ms <= first.at_ms + 30 * S
        await rig.pass_(60)
        assert len(rig.added) == 3
        assert rig.added[1].at_ms == first.step.state.due_ms


async def test_a_slow_target_holds_one_slot_and_delays_nobody() -> None:
    async with running(Rig(slots=2)) as rig:
        rig.gates["slow"] = asyncio.Event()
        await rig.say(target("slow"), *(target(f"t{n}") for n in range(20)))
        await rig.pass_(5)
        assert set(rig.verdicts()) == {f"t{n}" for n in range(20)}
        await rig.pass_(60)
        assert rig.begun.count("slow") == 1
        assert min(rig.begun.count(f"t{n}") for n in range(20)) >= 2


async def test_what_finds_no_slot_waits_the_earliest_first_and_is_counted() -> None:
    async with running(Rig(slots=1)) as rig:
        rig.gates["a"] = asyncio.Event()
        await rig.say(target("a"), target("b"), target("c"))
        await rig.pass_(2)
        assert rig.begun == ["a"]
        assert rig.metrics.registry.get_sample_value("vigie_healthcheck_waiting_checks") == 2
        assert rig.metrics.registry.get_sample_value("vigie_healthcheck_checks_in_flight") == 1
        rig.gates["a"].set()
        await settled()
        assert rig.begun[:3] == ["a", "b", "c"]
        assert (rig.metrics.registry.get_sample_value("vigie_healthcheck_scheduling_delay_seconds_sum") or 0) >= 2


@pytest.mark.parametrize("how", ["removed", "changed", "left", "switched off"])
async def test_what_is_found_of_a_target_that_is_another_by_then_is_dropped(how: str) -> None:
    async with running(Rig()) as rig:
        rig.gates["a"] = asyncio.Event()
        await rig.say(target("a"))
        await rig.pass_(1)
        assert rig.begun == ["a"]
        if how == "removed":
            await rig.say(removed="a")
        elif how == "left":
            await rig.log.revoked([0])
        else:
            await rig.say(target("a", 2, enabled=how == "changed"))
        await settled()
        rig.gates["a"].set()
        await settled()
        assert [one.target.version for one in rig.added if one.target.version == 1] == []
        assert rig.metrics.registry.get_sample_value("vigie_healthcheck_dropped_checks_total") == 1
        await rig.pass_(1)
        assert (len(rig.added) == 1) is (how == "changed")
        assert (rig.forgotten == ["a"]) is (how in ("removed", "switched off"))


async def test_a_fault_of_one_probe_says_nothing_of_its_target_and_stops_no_other() -> None:
    async with running(Rig()) as rig:
        rig.answers = {"a": KeyError("x"), "b": RecursionError()}
        await rig.say(target("a"), target("b"), target("c"))
        await rig.pass_(1)
        assert rig.verdicts() == {"a": UNKNOWN, "b": UNKNOWN, "c": UP}
        assert "fault of the prober" in rig.added[0].step.state.reason
        await rig.pass_(40)
        assert rig.begun.count("a") >= 2


async def test_secrets_that_cannot_be_read_are_no_fault_of_the_target() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a", sealed="gAAAA-of-another-key"))
        await rig.pass_(1)
        assert (rig.begun, rig.verdicts()) == ([], {"a": UNKNOWN})


async def test_an_asked_check_is_made_at_once_and_of_after_the_question_whatever_the_clock_of_who_asks() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a", interval_ms=3_600 * S))
        await rig.pass_(1)
        asked_ms = rig.clock.now_ms() + 5 * S
        rig.asked_for = {"a": asked_ms, "somebody else's": asked_ms}
        await rig.pass_(2)
        assert len(rig.added) == 2
        assert rig.added[1].step.state.checked_ms >= asked_ms
        await rig.pass_(3)
        assert len(rig.added) == 2


async def test_a_check_under_way_is_no_answer_to_a_later_question() -> None:
    async with running(Rig()) as rig:
        rig.gates["a"] = asyncio.Event()
        await rig.say(target("a"))
        await rig.pass_(1)
        rig.asked_for = {"a": rig.clock.now_ms()}
        await rig.pass_(2)
        assert rig.begun == ["a"]
        rig.gates["a"].set()
        await settled()
        assert rig.begun == ["a", "a"]
        assert rig.added[0].at_ms < rig.asked_for["a"] <= rig.added[1].at_ms


async def test_the_clock_that_is_set_back_stops_nothing() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a"))
        await rig.pass_(1)
        rig.clock._start_ms -= 3_600 * S
        await rig.pass_(60)
        assert len(rig.added) == 3
        assert [
            b.step.state.checked_ms > a.step.state.checked_ms for a, b in zip(rig.added, rig.added[1:], strict=False)
        ]


async def test_at_the_stop_checks_under_way_are_ended_and_their_results_told() -> None:
    rig = Rig()
    async with running(rig):
        rig.gates["a"] = asyncio.Event()
        await rig.say(target("a"))
        await rig.pass_(1)
        assert rig.added == []
    assert rig.verdicts() == {"a": UP}


async def test_an_overdue_target_of_another_process_is_checked_soon_and_its_counts_go_on() -> None:
    rig = Rig()
    now = rig.clock.now_ms()
    before = TargetState(
        target="a", tenant="acme", state=UP, failures=1, version=1, checked_ms=now - 90 * S, due_ms=now - 60 * S
    )
    rig.states.stored = {"a": before, "b": msgspec.structs.replace(before, target="b", due_ms=now + 20 * S)}
    rig.answers = {"a": DOWN}
    async with running(rig):
        await rig.say(target("a", failure_threshold=2), target("b", interval_ms=3_600 * S))
        await rig.pass_(1)
        assert {one.target.id: one.step.state.state for one in rig.added} == {"a": DOWN}


async def test_nothing_is_checked_before_its_state_is_read() -> None:
    async with running(Rig()) as rig:
        rig.states.away = True
        await rig.say(target("a"))
        await rig.pass_(5)
        assert (rig.begun, rig.states.reads >= 1) == ([], True)


async def test_an_old_version_in_the_log_is_never_asked() -> None:
    async with running(Rig()) as rig:
        rig.read = False
        await rig.say(target("a", 1))
        await rig.pass_(2)
        await rig.say(target("a", 2))
        rig.read = True
        await eventually(rig, lambda: bool(rig.added))
        assert [one.target.version for one in rig.added] == [2]


async def test_a_partition_that_cannot_be_read_to_its_end_does_not_hold_up_the_others_for_ever() -> None:
    async with running(Rig()) as rig:
        rig.read = False
        await rig.say(target("a"))
        await rig.pass_(READ_S + 2)
        await eventually(rig, lambda: bool(rig.added))


async def test_a_tombstone_of_a_target_that_was_known_ends_what_is_known_of_it() -> None:
    rig = Rig()
    rig.states.stored = {"gone": TargetState(target="gone", tenant="acme", state=DOWN)}
    async with running(rig):
        await rig.say(removed="gone")
        await rig.say(removed="never checked")
        assert rig.forgotten == ["gone"]


async def test_a_target_that_comes_back_goes_on_from_the_newest_that_anybody_knows() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a", failure_threshold=3))
        rig.answers = {"a": DOWN}
        await rig.pass_(1)
        mine = rig.added[-1].step.state
        rig.states.stored = {"a": msgspec.structs.replace(mine, failures=2, checked_ms=mine.checked_ms + 30 * S)}
        await rig.log.revoked([0])
        await rig.log.assigned(0)
        await rig.say(target("a", failure_threshold=3))
        await rig.pass_(31)
        assert rig.added[-1].step.state.state is DOWN


async def test_when_others_may_have_a_target_nothing_of_it_is_under_way_any_more() -> None:
    async with running(Rig()) as rig:
        rig.gates["a"] = asyncio.Event()
        await rig.say(target("a"), target("b"))
        await rig.pass_(1)
        rig.states.away = True  # the roster waits, and takes no changes
        await rig.say(target("a", 2))
        await rig.log.revoked([0])
        assert (rig.roster.watched, sorted(rig.handed_over)) == ({}, ["a", "b"])
        added = len(rig.added)
        rig.gates["a"].set()
        await settled()
        assert len(rig.added) == added
        rig.states.away = False
        await rig.pass_(120)
        assert (rig.roster.watched, len(rig.added)) == ({}, added), "what was read before they left does not bring back"


async def test_what_is_read_anew_is_handed_over_as_to_another() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a"))
        await rig.pass_(1)
        await rig.log.assigned(0)
        assert rig.handed_over == ["a"]


async def test_a_partition_is_taken_over_before_its_states_are_read_and_each_time_it_comes() -> None:
    async with running(Rig()) as rig:
        await rig.say(target("a"))
        await rig.say(target("b"))
        assert rig.taken_over == [(0, 0)]
        await rig.log.revoked([0])
        await settled()
        reads = rig.states.reads
        await rig.log.assigned(0)
        rig.states.away = True
        await rig.say(target("a"))
        assert (len(rig.taken_over), rig.roster.watched) == (1, {})
        rig.states.away = False
        await eventually(rig, lambda: "a" in rig.roster.watched)
        assert rig.taken_over[1:] == [(0, reads + 1)], "after the question that was not answered"


async def test_nobody_is_alerted_while_it_is_maintained_or_what_it_needs_is_down() -> None:
    rig = Rig()
    now = rig.clock.now_ms()
    rig.states.stored = {"elsewhere": TargetState(target="elsewhere", tenant="acme", state=DOWN, version=1)}
    async with running(rig):
        await rig.say(
            target("plain"),
            target("kept", maintenance=[Maintenance(starts_at=now - S, ends_at=now + 60 * S)]),
            target("child", depends_on=["plain", "elsewhere"]),
            target("grown", depends_on=["plain"]),
        )
        await rig.pass_(1)
        muted = {one.target.id: one.step.state.muted for one in rig.added}
        assert muted == {"plain": "", "kept": MAINTENANCE, "child": DEPENDENCY, "grown": ""}
        rig.answers = {"plain": DOWN}
        await rig.pass_(90)
        assert [one.step.state.muted for one in rig.added if one.target.id == "grown"][-1] == DEPENDENCY
        assert [one.step.state.muted for one in rig.added if one.target.id == "kept"][-1] == ""


async def test_the_state_of_what_others_have_is_read_once_for_all_and_outlives_the_store() -> None:
    states, clock = States({"p": TargetState(target="p", tenant="acme", state=DOWN)}), ManualClock()
    muting = Muting(states, lambda _: None, clock)  # type: ignore[arg-type]
    children = [target(f"c{n}", depends_on=["p"]) for n in range(100)]
    assert set(await asyncio.gather(*(muting.reason(one, 0) for one in children))) == {DEPENDENCY}
    assert states.reads == 1
    clock.advance(2)
    states.away = True
    assert await muting.reason(children[0], 0) == DEPENDENCY
    assert states.reads == 2
