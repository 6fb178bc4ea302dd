"""Whoever comes on call is told, once, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import pytest_asyncio
from vigie_alerting.escalation.chain import Kind
from vigie_alerting.escalation.errors import InvalidOnCall, OnCallInUse, OnCallNotFound
from vigie_alerting.schedules.model import Override, Schedule
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_storage.mongo import Session

from services.alerting.tests.oncall import BY, MINUTE, Rota, daily, step
from services.alerting.tests.stage import ACME, RIVAL, Crash, Stage

pytestmark = pytest.mark.connected

HOUR = 60 * MINUTE


@pytest_asyncio.fixture(loop_scope="session")
async def rota(stage: Stage) -> AsyncIterator[Rota]:
    """With a schedule of ana and ben, who hand over in an hour."""
    made = Rota(stage)
    await made.prepare()
    await made.person("ana", "ben", "cleo")
    await made.book.put_schedule(ACME, "db", in_an_hour(made), BY, None)
    yield made


def in_an_hour(rota: Rota) -> Schedule:
    at = datetime.fromtimestamp((rota.clock.now_ms() + HOUR) / 1000, UTC)
    days = (at.date() - date(2020, 1, 1)).days
    people = ("ana", "ben") if days % 2 else ("ben", "ana")
    return daily(*people, start=date(2020, 1, 1), handoff=at.hour * 60 + at.minute)


async def test_who_is_on_call_is_told_and_then_who_comes_after(rota: Rota) -> None:
    assert await rota.handovers().once()
    assert not await rota.handovers().once()
    assert await rota.to() == ["ana"]
    rota.later(61)
    await rota.handovers().once()
    assert await rota.to() == ["ana", "ben"]
    first, second = [one.transitions[0].annotations["summary"] for one in await rota.told()]
    assert first.startswith("ana, you are on call in 'db' until ")
    assert "Next: ben, from" in first
    assert "Before you: ana." in second


async def test_replicas_tell_it_once_and_after_an_outage_only_who_is_on_call_now(rota: Rota) -> None:
    await asyncio.gather(*(rota.handovers().once() for _ in range(4)))
    assert await rota.to() == ["ana"]
    rota.later(61 + 24 * 60)  # ben had his day meanwhile
    await rota.handovers().once()
    assert await rota.to() == ["ana"], "she has it, as far as she was told"


async def test_an_override_is_told_when_it_begins_and_the_layers_again_when_it_ends(rota: Rota) -> None:
    await rota.handovers().once()
    now = rota.clock.now_ms()
    override = Override(id="", person="cleo", start=now + 10 * MINUTE, end=now + 20 * MINUTE)
    made = await rota.book.add_override(ACME, "db", override, BY)
    assert made.id
    assert await rota.handovers().once(), "the schedule was changed"
    assert await rota.to() == ["ana"]
    for _ in range(2):
        rota.later(11)
        await rota.handovers().once()
    assert await rota.to() == ["ana", "cleo", "ana"]


async def test_a_schedule_that_is_deleted_tells_nobody(rota: Rota) -> None:
    await rota.book.delete_schedule(ACME, "db", BY, None)
    await rota.handovers().once()
    assert await rota.to() == []
    assert not await rota.handovers().once()


async def test_what_names_what_there_is_not_is_refused_and_what_is_named_is_not_deleted(rota: Rota) -> None:
    with pytest.raises(InvalidOnCall, match="nobody knows how 'dan' is reached"):
        await rota.book.put_schedule(ACME, "x", daily("ana", "dan", start=date(2026, 1, 1)), BY, None)
    wrong = Schedule(timezone="../etc/passwd", layers=daily("ana", start=date(2026, 1, 1)).layers)
    with pytest.raises(InvalidOnCall, match="must be the name of a time zone"):
        await rota.book.put_schedule(ACME, "x", wrong, BY, None)
    await rota.chain(step(Kind.SCHEDULE, "db"), step(Kind.PERSON, "cleo"))
    with pytest.raises(OnCallInUse, match="the schedule 'db' is used by chain 'db'"):
        await rota.book.delete_schedule(ACME, "db", BY, None)
    with pytest.raises(OnCallInUse, match="the person 'ana' is used by schedule 'db'"):
        await rota.book.delete_person(ACME, "ana", BY, None)
    with pytest.raises(OnCallInUse, match="the person 'cleo' is used by chain 'db'"):
        await rota.book.delete_person(ACME, "cleo", BY, None)


async def test_a_calendar_is_read_by_who_knows_its_newest_address(rota: Rota) -> None:
    old = (await rota.book.share_calendar(ACME, "db", BY)).partition(".")[2]
    token = await rota.book.share_calendar(ACME, "db", BY)
    tenant, _, secret = token.partition(".")
    assert tenant == ACME
    assert (await rota.book.shared(ACME, "db", secret)).people == {"ana", "ben"}
    for wrong in ((ACME, "db", old), (ACME, "db", ""), (RIVAL, "db", secret), (ACME, "x", secret)):
        with pytest.raises(OnCallNotFound):
            await rota.book.shared(*wrong)
    await rota.book.close_calendar(ACME, "db", BY)
    with pytest.raises(OnCallNotFound):
        await rota.book.shared(ACME, "db", secret)


async def test_a_calendar_ends_with_its_schedule_or_neither_does(rota: Rota, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = (await rota.book.share_calendar(ACME, "db", BY)).partition(".")[2]
    add = rota.stage.audit.add

    async def failing(
        session: Session, tenant: TenantId, by: Actor, action: Action, *rest: Any, **changes: Any
    ) -> None:
        if action is Action.CALENDAR_CLOSED:
            raise Crash
        await add(session, tenant, by, action, *rest, **changes)

    with monkeypatch.context() as broken:
        broken.setattr(rota.stage.audit, "add", failing)
        with pytest.raises(Crash):
            await rota.book.delete_schedule(ACME, "db", BY, None)
    assert (await rota.book.shared(ACME, "db", secret)).people == {"ana", "ben"}
    await rota.book.delete_schedule(ACME, "db", BY, None)
    await rota.book.put_schedule(ACME, "db", in_an_hour(rota), BY, None)
    with pytest.raises(OnCallNotFound):
        await rota.book.shared(ACME, "db", secret)
