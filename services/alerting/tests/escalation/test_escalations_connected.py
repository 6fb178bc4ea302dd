"""Steps of chains on a real store: told in time and once, by whoever is left; paused, resumed, ended with alerts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date

import pytest
import pytest_asyncio
from vigie_alerting.escalation.chain import Kind
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.sender.failpoints import Point
from vigie_contracts.alerts import AlertState, Channel
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_storage.mongo import transaction

from services.alerting.tests.oncall import BY, Rota, daily, step
from services.alerting.tests.stage import ACME, Crash, Stage, crash_at

pytestmark = pytest.mark.connected

FIRING, ACKNOWLEDGED, RESOLVED = AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.RESOLVED


@pytest_asyncio.fixture(loop_scope="session")
async def rota(stage: Stage) -> AsyncIterator[Rota]:
    """ana, ben and cleo, and a chain of the first two."""
    made = Rota(stage)
    await made.prepare()
    await made.person("ana", "ben", "cleo")
    await made.chain(step(Kind.PERSON, "ana"), step(Kind.PERSON, "ben", 15))
    yield made


async def test_steps_are_told_in_their_time_until_all_were(rota: Rota) -> None:
    escalator = rota.escalator()
    await rota.fires()
    assert await escalator.once()
    assert await rota.to() == ["ana"]
    rota.later(14)
    assert not await escalator.once()
    rota.later(2)
    assert await escalator.once()
    assert await rota.to() == ["ana", "ben"]
    rota.later(600)
    assert not await escalator.once()
    verdicts = await rota.verdicts()
    assert [one.why for one in verdicts] == [Why.ESCALATED, Why.ESCALATED]
    assert verdicts[0].detail == "it fires, step 1 of 2 of the chain 'db': told: ana"
    assert verdicts[1].detail == "nobody acknowledged it in time, step 2 of 2 of the chain 'db': told: ben"
    message = (await rota.told())[1].transitions[0]
    assert message.annotations["escalation"] == verdicts[1].detail


async def test_an_acknowledgement_pauses_it_and_who_gives_the_alert_back_has_it_go_on(rota: Rota) -> None:
    escalator = rota.escalator()
    await rota.fires()
    await escalator.once()
    await rota.moves(1, ACKNOWLEDGED, actor="ana", acknowledged_by="ana")
    rota.later(60)
    assert not await escalator.once()
    verdict = (await rota.verdicts())[-1]
    assert (verdict.why, verdict.by) == (Why.ACKNOWLEDGED, "ana")
    await rota.moves(1, FIRING)
    rota.later(14)
    assert not await escalator.once()
    rota.later(2)
    await escalator.once()
    assert await rota.to() == ["ana", "ben"]


async def test_the_end_is_told_to_whom_it_was_told_that_it_fires_and_to_nobody_else(rota: Rota) -> None:
    escalator = rota.escalator()
    await rota.fires()
    await escalator.once()
    await rota.moves(1, RESOLVED)
    rota.later(60)
    assert not await escalator.once()
    told = await rota.told()
    assert [(one.address.destination, one.transitions[0].to_state) for one in told] == [
        ("ana@example.com", FIRING),
        ("ana@example.com", RESOLVED),
    ]
    assert told[0].queue == told[1].queue
    assert told[0].order < told[1].order


async def test_an_episode_that_goes_on_begins_its_chain_again(rota: Rota) -> None:
    escalator = rota.escalator()
    await rota.fires()
    await escalator.once()
    await rota.moves(1, RESOLVED)
    rota.later(1)
    await rota.fires()
    await escalator.once()
    assert await rota.to() == ["ana", "ana", "ana"]


@pytest.mark.parametrize("point", [Point.BEFORE_ESCALATION, Point.AFTER_ESCALATION])
async def test_who_dies_in_a_step_loses_nothing_and_doubles_nothing(rota: Rota, point: Point) -> None:
    await rota.fires()
    for wanted in (["ana"], ["ana", "ben"]):
        with pytest.raises(Crash):
            await rota.escalator(crash_at(point)).once()
        await rota.escalator().once()
        assert await rota.to() == wanted
        rota.later(16)


async def test_of_replicas_that_tell_one_step_one_does(rota: Rota) -> None:
    for number in range(1, 6):
        await rota.fires(number)
    await asyncio.gather(*(rota.escalator().once() for _ in range(4)))
    told = await rota.told()
    assert [len(one.transitions) for one in told] == [5], "what is due together is one message"


async def test_beginning_it_again_changes_nothing(rota: Rota) -> None:
    fired = await rota.fires()
    await rota.escalator().once()
    await transaction(rota.db, lambda session: rota.escalations.begin(ACME, "db", [fired], session))
    assert not await rota.escalator().once()


async def test_a_chain_that_is_named_and_not_there_tells_the_default_channel_and_later_that_it_is_over(
    rota: Rota,
) -> None:
    rota.default = [Channel("email", "ops@example.com")]
    await rota.book.delete_chain(ACME, "db", BY, None)
    assert not await rota.held.of(ACME), "it holds that nobody escalates"
    await rota.fires()
    await rota.escalator().once()
    assert await rota.to() == ["ops"]
    [verdict] = await rota.verdicts()
    assert (verdict.why, verdict.detail) == (
        Why.ESCALATED, "there is no chain 'db' any more: nobody else is told, but the default channel",
    )  # fmt: skip
    assert not await rota.escalator().once()
    await rota.moves(1, RESOLVED)
    assert await rota.to() == ["ops", "ops"]


async def test_whoever_is_on_call_at_that_moment_is_told_and_an_empty_schedule_is_passed_over(rota: Rota) -> None:
    await rota.book.put_schedule(ACME, "later", daily("ana", start=date(2099, 1, 1)), BY, None)
    await rota.book.put_schedule(ACME, "now", daily("cleo", start=date(2020, 1, 1)), BY, None)
    await rota.chain(step(Kind.SCHEDULE, "later"), step(Kind.SCHEDULE, "now", 30))
    await rota.fires()
    await rota.escalator().once()
    await rota.escalator().once()  # at once: nobody waits for an answer of nobody
    assert await rota.to() == ["cleo"]
    verdicts = await rota.verdicts()
    assert verdicts[0].why is Why.UNROUTED
    assert "nobody is on call in 'later'" in verdicts[0].detail
    assert "told: cleo, on call in 'now'" in verdicts[1].detail


async def test_when_nobody_of_a_chain_is_reached_the_default_channel_is(rota: Rota) -> None:
    rota.default = [Channel("email", "ops@example.com")]
    await rota.chain(step(Kind.PERSON, "nobody"), step(Kind.CHANNEL, "deleted", 30))
    await rota.fires()
    await rota.escalator().once()
    await rota.escalator().once()
    assert await rota.to() == ["ops"]
    assert "told: the default channel" in (await rota.verdicts())[-1].detail


async def test_a_chain_that_was_deleted_tells_the_default_channel_what_nobody_was_told(rota: Rota) -> None:
    rota.default = [Channel("email", "ops@example.com")]
    await rota.fires()
    await rota.book.delete_chain(ACME, "db", BY, None)
    await rota.escalator().once()
    assert await rota.to() == ["ops"]
    assert not await rota.escalator().once()
    await rota.moves(1, RESOLVED)
    assert await rota.to() == ["ops", "ops"], "who was told that it fires is told that it is over"


async def test_what_is_muted_is_told_when_that_ends(rota: Rota) -> None:
    silent = True

    async def muter(_tenant: TenantId, items: Sequence[Item], now_ms: int) -> list[Mute | None]:
        return [Mute(Why.SILENCED, "s1", "silenced by ben", now_ms + 10_000) if silent else None for _ in items]

    await rota.fires()
    escalator = rota.escalator(muters=[muter])
    for _ in range(2):
        await escalator.once()
        rota.later(0.25)
    assert await rota.to() == []
    silent = False
    await escalator.once()
    assert await rota.to() == ["ana"]
    assert [one.why for one in await rota.verdicts()] == [Why.SILENCED, Why.ESCALATED]


async def test_an_alert_that_moved_unseen_is_not_told(rota: Rota) -> None:
    """The store says what the alert is, whatever the escalation waits for."""
    await rota.fires()
    await rota.db["alert_transitions"].delete_many({})
    await rota.escalator().once()
    assert await rota.to() == []
    assert (await rota.document())["open"] is False
