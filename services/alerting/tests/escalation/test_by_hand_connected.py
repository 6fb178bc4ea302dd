"""Escalating by hand on a real store: the next step is told at once, once, or a sentence says why not."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from vigie_alerting.escalation.by_hand import ByHand, told_in
from vigie_alerting.escalation.chain import Kind
from vigie_alerting.escalation.errors import NotEscalated
from vigie_contracts.alerts import AlertState
from vigie_contracts.decisions import Why
from vigie_identity.audit import Action, Actor

from services.alerting.tests.oncall import Rota, step
from services.alerting.tests.stage import ACME, Stage

pytestmark = pytest.mark.connected

FIRING, ACKNOWLEDGED, RESOLVED = AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.RESOLVED
ALICE, BOB = Actor("u-alice", "alice"), Actor("u-bob", "bob")


@pytest_asyncio.fixture(loop_scope="session")
async def rota(stage: Stage) -> Rota:
    """ana, then ben after 15 minutes, then cleo after an hour."""
    made = Rota(stage)
    await made.prepare()
    await made.person("ana", "ben", "cleo")
    await made.chain(step(Kind.PERSON, "ana"), step(Kind.PERSON, "ben", 15), step(Kind.PERSON, "cleo", 60))
    return made


def by_hand(rota: Rota) -> ByHand:
    return ByHand(rota.db, rota.store, rota.stage.audit, lambda: None, rota.clock)


async def audited(rota: Rota) -> list[tuple[str, list[str]]]:
    rows = rota.db["audit"].find({"action": Action.ALERT_ESCALATED.value}).sort("_id", 1)
    return [(row["actor"]["name"], row["changes"]["chains"]) async for row in rows]


async def test_the_next_step_is_told_at_once_and_the_history_says_who_wanted_it(rota: Rota) -> None:
    await rota.fires()
    await rota.escalator().once()
    [made] = await by_hand(rota).escalate(rota.alert(), ALICE)
    assert (made.chain, made.step) == ("db", 2)
    await rota.escalator().once()
    assert await rota.to() == ["ana", "ben"]
    verdict = (await rota.verdicts())[-1]
    assert (verdict.why, verdict.detail) == (
        Why.ESCALATED, "alice escalated it, step 2 of 3 of the chain 'db': told: ben",
    )  # fmt: skip
    rota.later(59)
    assert not await rota.escalator().once(), "the step after it has all of its time"
    rota.later(2)
    await rota.escalator().once()
    assert (await rota.verdicts())[-1].detail.startswith("nobody acknowledged it in time, step 3")
    assert await audited(rota) == [("alice", ["db"])]


async def test_two_who_ask_at_once_have_one_step_told(rota: Rota) -> None:
    await rota.fires()
    await rota.escalator().once()
    await asyncio.gather(*(by_hand(rota).escalate(rota.alert(), who) for who in (ALICE, BOB)))
    await rota.escalator().once()
    await rota.escalator().once()
    assert await rota.to() == ["ana", "ben"]
    assert len(await audited(rota)) == 1


async def test_who_looked_before_somebody_else_escalated_is_told_so(rota: Rota) -> None:
    await rota.fires()
    await rota.escalator().once()
    seen = told_in(await rota.store.of_alert(ACME, rota.alert().fingerprint), rota.alert().episode)
    await by_hand(rota).escalate(rota.alert(), ALICE, told=seen)
    await rota.escalator().once()
    with pytest.raises(NotEscalated, match="escalated meanwhile"):
        await by_hand(rota).escalate(rota.alert(), BOB, told=seen)
    assert await rota.to() == ["ana", "ben"]


async def test_what_cannot_be_escalated_is_refused_with_the_reason(rota: Rota) -> None:
    await rota.moves(2, FIRING)
    with pytest.raises(NotEscalated, match="no escalation chain"):
        await by_hand(rota).escalate(rota.alert(2), ALICE)
    await rota.fires()
    await rota.moves(1, ACKNOWLEDGED, actor="ana", acknowledged_by="ana")
    with pytest.raises(NotEscalated, match="take the acknowledgement back"):
        await by_hand(rota).escalate(rota.alert(), ALICE)
    await rota.moves(1, FIRING)
    for _ in range(3):
        await by_hand(rota).escalate(rota.alert(), ALICE)
        await rota.escalator().once()
    assert await rota.to() == ["ana", "ben", "cleo"]
    with pytest.raises(NotEscalated, match="'db' is done"):
        await by_hand(rota).escalate(rota.alert(), ALICE)
    await rota.moves(1, RESOLVED)
    with pytest.raises(NotEscalated, match="the alert is resolved"):
        await by_hand(rota).escalate(rota.alert(), ALICE)


async def test_an_acknowledgement_before_the_step_is_told_takes_the_wish_back(rota: Rota) -> None:
    await rota.fires()
    await rota.escalator().once()
    await by_hand(rota).escalate(rota.alert(), ALICE)
    await rota.moves(1, ACKNOWLEDGED, actor="ana", acknowledged_by="ana")
    assert not await rota.escalator().once()
    await rota.moves(1, FIRING)
    rota.later(16)
    await rota.escalator().once()
    assert (await rota.verdicts())[-1].detail.startswith("nobody acknowledged it in time")
