"""Nothing is lost, little is doubled, nothing overtakes: the outbox and its senders on a real MongoDB."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from vigie_alerting.channels.model import Channel as Ready
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.message import Message
from vigie_alerting.sender import sender as sending
from vigie_alerting.sender.failpoints import Point
from vigie_contracts.alerts import AlertState, Channel, Transition
from vigie_runtime import tasks
from vigie_storage.alerts.document import State
from vigie_storage.alerts.outbox import LEASE_S

from services.alerting.tests.samples import FINGERPRINT, START_MS, resolved, transition
from services.alerting.tests.stage import ACME, RIVAL, Crash, Stage, crash_at
from tests.kit.wait import eventually

HOOK = Channel("webhook", "https://hooks.example.com/one")
OTHER = Channel("webhook", "https://hooks.example.com/two")


def firing(number: int = 0, *channels: Channel, **more: object) -> Transition:
    return transition(
        id=f"e{number}-2", fingerprint=f"{number:016x}", episode=f"e{number}", channels=list(channels or [HOOK]), **more
    )


def over(number: int = 0, *channels: Channel) -> Transition:
    return resolved(
        id=f"e{number}-3", fingerprint=f"{number:016x}", episode=f"e{number}", channels=list(channels or [HOOK])
    )


async def test_repeated_transition_is_stored_and_sent_once(stage: Stage) -> None:
    first = await stage.dispatch(firing())
    assert await stage.dispatch(firing()) == first
    async with stage.sending():
        await eventually(lambda: stage.recording.told)
        assert await stage.dispatch(firing()) == first
    assert await stage.states() == ["sent"]
    assert [told.id for _, told in stage.recording.told] == first
    assert len(await stage.ledger.history(ACME, f"{0:016x}")) == 1
    assert await stage.ledger.history(RIVAL, f"{0:016x}") == []


async def test_what_goes_with_the_transitions_is_stored_with_them_or_not_at_all(stage: Stage) -> None:
    async def fails(_: object) -> None:
        raise Crash

    with pytest.raises(Crash):
        await stage.ledger.store([firing()], [], fails)
    assert await stage.ledger.history(ACME, f"{0:016x}") == []


async def test_only_firing_and_its_end_are_told(stage: Stage) -> None:
    steps = [AlertState.PENDING, AlertState.ACKNOWLEDGED, AlertState.INACTIVE]
    told = await stage.dispatch(
        *(transition(id=f"x{i}", to_state=state, channels=[HOOK]) for i, state in enumerate(steps))
    )
    assert told == []
    assert len(await stage.ledger.history(ACME, FINGERPRINT)) == 3


@pytest.mark.parametrize("point", [Point.AFTER_CLAIM, Point.BEFORE_SEND, Point.AFTER_SEND, Point.AFTER_CONFIRM])
async def test_a_crash_loses_nothing_and_doubles_at_most_what_was_on_its_way(stage: Stage, point: Point) -> None:
    await stage.dispatch(firing(), over())
    crashing = stage.sender(crash_at(point))
    task = asyncio.create_task(crashing.run())

    async def crashed() -> bool:
        return task.done() or (not crashing._tasks and await stage.rows.find_one({"attempts": {"$gt": 0}}) is not None)

    await eventually(crashed)
    await tasks.end([task])
    stage.clock.ahead_s += LEASE_S + 1
    async with stage.sending():
        await eventually(lambda: _all_sent(stage))
    statuses = stage.recording.statuses()
    assert statuses in ([["firing", "firing", "resolved"]] if point is Point.AFTER_SEND else [["firing", "resolved"]])


async def _all_sent(stage: Stage) -> bool:
    return set(await stage.states()) == {"sent"}


async def test_until_the_lease_ends_nobody_else_sends(stage: Stage) -> None:
    await stage.dispatch(firing())
    assert len(await stage.outbox.claim("one", 10, {}, 10)) == 1
    assert await stage.outbox.claim("two", 10, {}, 10) == []
    stage.clock.ahead_s += LEASE_S + 1
    (again,) = await stage.outbox.claim("three", 10, {}, 10)
    assert again.attempts == 2


async def test_a_lease_is_renewed_for_as_long_as_sending_takes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "RENEW_S", 0.02)
    gate = asyncio.Event()

    async def hold(_: Ready, __: Message) -> None:
        await gate.wait()

    stage.recording.behave = hold
    await stage.dispatch(firing())

    async def leased() -> bool:
        row = await stage.rows.find_one({"owner": {"$exists": True}})
        return row is not None and row["due"].timestamp() > stage.clock.now_ms() / 1000 + LEASE_S / 2

    async with stage.sending():
        await eventually(leased)
        for _ in range(6):
            stage.clock.ahead_s += LEASE_S * 0.6
            await eventually(leased)
            assert await stage.outbox.claim("other", 10, {}, 10) == []
        gate.set()
        await eventually(lambda: _all_sent(stage))
    assert stage.recording.statuses() == ["firing"]


async def test_what_a_dead_process_had_is_told_within_ten_seconds(stage: Stage) -> None:
    await stage.dispatch(firing())
    assert len(await stage.outbox.claim("dead", 10, {}, 10)) == 1
    async with stage.sending():
        stage.clock.ahead_s += 10 - 2 * sending.POLL_S
        await eventually(lambda: _all_sent(stage))
    assert stage.recording.statuses() == ["firing"]


async def test_who_holds_a_lease_may_renew_it_first_after_the_store_was_away(stage: Stage) -> None:
    await stage.dispatch(firing(0), firing(1))
    (mine,) = await stage.outbox.claim("one", 1, {}, 10)
    stage.clock.ahead_s += LEASE_S + 1
    (other,) = await stage.outbox.claim("two", 10, {}, 10, abandoned=False)
    assert other.id != mine.id
    assert await stage.outbox.renew([mine]) == {mine.id}
    assert await stage.outbox.claim("two", 10, {}, 10) == []


async def test_what_somebody_else_claimed_meanwhile_is_not_renewed(stage: Stage) -> None:
    await stage.dispatch(firing(0))
    (lost,) = await stage.outbox.claim("one", 10, {}, 10)
    stage.clock.ahead_s += LEASE_S + 1
    theirs = await stage.outbox.claim("two", 10, {}, 10)
    await stage.dispatch(firing(1))
    (mine,) = await stage.outbox.claim("one", 10, {}, 10)
    assert await stage.outbox.renew([lost, mine]) == {mine.id}
    assert await stage.outbox.renew(theirs) == {lost.id}


async def test_whose_lease_was_taken_over_settles_nothing(stage: Stage) -> None:
    await stage.dispatch(firing())
    (mine,) = await stage.outbox.claim("one", 10, {}, 10)
    stage.clock.ahead_s += LEASE_S + 1
    (theirs,) = await stage.outbox.claim("two", 10, {}, 10)
    assert not await stage.outbox.dead(mine, "timeout", "too late")
    assert await stage.outbox.sent(theirs)


async def test_two_senders_share_the_work_and_send_each_once_in_order(stage: Stage) -> None:
    transitions = [step for number in range(60) for step in (firing(number, HOOK, OTHER), over(number, HOOK, OTHER))]
    await stage.dispatch(*transitions)
    async with stage.sending(), stage.sending():
        await eventually(lambda: _all_sent(stage))
    told = stage.recording.told
    assert set(Counter((where, message.id) for where, message in told).values()) == {1}
    assert len(told) == 240
    for where in (HOOK.destination, OTHER.destination):
        for number in range(60):
            mine = [m.status.value for to, m in told if to == where and m.alerts[0].fingerprint == f"{number:016x}"]
            assert mine == ["firing", "resolved"]


async def test_resolved_waits_until_firing_is_settled(stage: Stage) -> None:
    def fail_first(_: Ready, message: Message) -> None:
        if not stage.recording.told and message.status.value == "firing" and not failed:
            failed.append(message.id)
            raise Temporary(Failure.SERVER_ERROR, "the receiver answered 503", retry_after_s=0.2)

    failed: list[str] = []
    stage.recording.behave = fail_first
    await stage.dispatch(firing(), over())
    async with stage.sending():
        await eventually(lambda: _all_sent(stage))
    assert len(failed) == 1
    assert stage.recording.statuses() == ["firing", "resolved"]


async def test_another_alert_and_another_channel_do_not_wait(stage: Stage) -> None:
    gate = asyncio.Event()

    async def hold(channel: Ready, message: Message) -> None:
        if channel.destination == HOOK.destination and message.alerts[0].fingerprint == f"{0:016x}":
            await gate.wait()

    stage.recording.behave = hold
    async with stage.sending() as sender:
        await stage.dispatch(firing(0, HOOK, OTHER), firing(1, HOOK), over(0, HOOK, OTHER), wake=sender.wake)
        await eventually(lambda: len(stage.recording.told) == 3)
        gate.set()
        await eventually(lambda: len(stage.recording.told) == 5)


async def test_retry_after_is_honoured_for_the_whole_channel(stage: Stage) -> None:
    called: list[float] = []

    def limited(_: Ready, __: Message) -> None:
        called.append(time.monotonic())
        if len(called) == 1:
            raise Temporary(Failure.RATE_LIMITED, "the receiver answered 429", retry_after_s=1.5)

    stage.recording.behave = limited
    async with stage.sending() as sender:
        await stage.dispatch(firing(0), wake=sender.wake)
        await eventually(lambda: called)
        await stage.dispatch(firing(1), firing(2), wake=sender.wake)
        await eventually(lambda: len(stage.recording.told) == 3)
    assert min(called[1:]) - called[0] >= 1.5


async def test_an_hour_without_the_channel_is_survived_and_asks_little(stage: Stage) -> None:
    calls: list[str] = []
    away = True

    def behave(_: Ready, message: Message) -> None:
        calls.append(message.id)
        if away:
            raise Temporary(Failure.UNREACHABLE, "no connection to the receiver")

    stage.recording.behave = behave
    await stage.dispatch(*(firing(number) for number in range(40)))
    async with stage.sending():
        await eventually(lambda: len(calls) >= 3)
        stage.clock.ahead_s += 3_600
        await asyncio.sleep(1.0)  # time in which forty that try for themselves would call hundreds of times
        assert len(calls) < 40
        assert "dead" not in await stage.states()
        away = False
        stage.clock.ahead_s += 200
        await eventually(lambda: _all_sent(stage), 50)
    assert len(stage.recording.told) == 40


async def test_refused_for_ever_is_a_dead_letter_that_can_be_replayed(stage: Stage) -> None:
    def refuse(_: Ready, __: Message) -> None:
        raise Permanent(Failure.REJECTED, "the receiver answered 404")

    stage.recording.behave = refuse
    (id_,) = await stage.dispatch(firing())
    async with stage.sending() as sender:
        await eventually(lambda: _is(stage, ["dead"]))
        (dead,) = await stage.outbox.listed(ACME, State.DEAD)
        assert dead.last
        assert (dead.id, dead.last.failure, dead.last.detail) == (id_, "rejected", "the receiver answered 404")
        assert await stage.outbox.listed(RIVAL, State.DEAD) == []
        assert not await stage.outbox.replay(RIVAL, id_)
        stage.recording.behave = lambda _channel, _message: None
        assert await stage.outbox.replay(ACME, id_)
        sender.wake()
        await eventually(lambda: _all_sent(stage))
    assert stage.recording.statuses() == ["firing"]


async def test_a_dead_firing_is_not_replayed_after_its_resolved_was_told(stage: Stage) -> None:
    def refuse(_: Ready, message: Message) -> None:
        if message.status.value == "firing":
            raise Permanent(Failure.REJECTED, "no")

    stage.recording.behave = refuse
    first, _ = await stage.dispatch(firing(), over())
    async with stage.sending():
        await eventually(lambda: _is(stage, ["dead", "sent"]))
    assert not await stage.outbox.replay(ACME, first)


async def _is(stage: Stage, states: list[str]) -> bool:
    return await stage.states() == states


async def test_what_failed_for_too_long_is_given_up_with_its_reason(stage: Stage) -> None:
    def refuse(_: Ready, __: Message) -> None:
        raise Temporary(Failure.UNREACHABLE, "no connection to the receiver")

    stage.recording.behave = refuse
    await stage.dispatch(firing())
    stage.clock.ahead_s += 2 * 3_600
    async with stage.sending():
        await eventually(lambda: _is(stage, ["dead"]))
    (dead,) = await stage.outbox.listed(ACME, State.DEAD)
    assert dead.last
    assert dead.last.detail == "no connection to the receiver; given up after 1 attempts"


async def test_a_bug_of_a_notifier_stops_nobody_else(stage: Stage) -> None:
    def behave(channel: Ready, _: Message) -> None:
        if channel.destination == HOOK.destination:
            raise ZeroDivisionError("hunter2")

    stage.recording.behave = behave
    await stage.dispatch(firing(0, HOOK, OTHER))
    async with stage.sending():
        await eventually(lambda: stage.recording.told)
        row = await eventually(lambda: stage.rows.find_one({"last": {"$exists": True}}))
    assert row["last"]["failure"] == "bug"
    assert "hunter2" not in str(row)


async def test_unknown_channel_is_a_dead_letter(stage: Stage) -> None:
    await stage.dispatch(firing(0, Channel("channel", "nobody"), Channel("pigeon", "coop")))
    async with stage.sending():
        await eventually(lambda: _is(stage, ["dead", "dead"]))
    dead = await stage.outbox.listed(ACME, State.DEAD)
    assert {one.last.failure for one in dead if one.last} == {"unknown_channel", "misconfigured"}


async def test_only_who_has_not_got_it_is_told_again(stage: Stage) -> None:
    tried: list[str] = []

    def partly(channel: Ready, _: Message) -> None:
        tried.append(channel.destination)
        if len(tried) == 1:
            raise Temporary(Failure.SERVER_ERROR, "one was refused", retry_after_s=0.1, remaining="two@example.com")

    stage.recording.behave = partly
    stage.notifiers["email"] = stage.recording
    await stage.dispatch(firing(0, Channel("email", "one@example.com,two@example.com")))
    async with stage.sending():
        await eventually(lambda: _all_sent(stage))
    assert tried == ["one@example.com,two@example.com", "two@example.com"]


async def test_stop_waits_for_what_is_on_its_way(stage: Stage) -> None:
    gate = asyncio.Event()

    async def hold(_: Ready, __: Message) -> None:
        await gate.wait()

    stage.recording.behave = hold
    await stage.dispatch(firing())
    sender = stage.sender()
    task = asyncio.create_task(sender.run())
    await eventually(lambda: sender._tasks)
    sender.stop()
    gate.set()
    await task
    assert await stage.states() == ["sent"]


async def test_a_thousand_at_once_are_sent_within_ten_seconds_and_bounded(stage: Stage) -> None:
    now, most = 0, 0

    async def slow(_: Ready, __: Message) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1

    stage.recording.behave = slow
    transitions = [firing(number) for number in range(1_000)]
    async with stage.sending() as sender:
        await stage.dispatch(*transitions, wake=sender.wake)
        started = time.monotonic()  # they are stored; what that takes is not the sender's
        await eventually(lambda: len(stage.recording.told) == 1_000, 30)
        assert time.monotonic() - started < 10
    assert most <= 16
    assert START_MS


async def test_sending_adds_little_to_storing(stage: Stage) -> None:
    """Printed for who measures; the bound only catches a poll in the way."""
    delays: list[float] = []
    async with stage.sending() as sender:
        for number in range(20):
            before = len(stage.recording.told)
            await stage.dispatch(firing(number), wake=sender.wake)
            stored = time.monotonic()
            await eventually(lambda before=before: len(stage.recording.told) > before, interval=0.0005)
            delays.append(time.monotonic() - stored)
    print(f"stored to sent: median {sorted(delays)[10] * 1000:.1f} ms, worst {max(delays) * 1000:.1f} ms")
    assert sorted(delays)[10] < 0.1
