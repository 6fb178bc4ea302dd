"""The stage: what it mutes, until when, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences.active import Phase, Timing, phase
from vigie_alerting.silences.muting import Held, TimedMuting, index_of
from vigie_alerting.silences.silencebook import new_id
from vigie_alerting.snapshots import Snapshots
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_query.times import HOUR

from services.alerting.tests.silences.test_preview import NOW, step

ACME = TenantId("acme")


def item(host: str = "a", receiver: str = "") -> Item:
    one = step(host)
    return Item(one, labels_of(one), receiver)


def held(name: str, timing: Timing, text: str = 'host="a"', comment: str = "disks") -> tuple[Any, Held]:
    return parse(text).all, Held(name, timing, "silenced by anna", comment)


def stage(*all_: tuple[Any, Held], now_ms: int = NOW) -> TimedMuting:
    async def load(_: TenantId) -> Any:
        return index_of(all_, now_ms)

    return TimedMuting(Snapshots(load, "silences"), Why.SILENCED)


async def asked(muter: TimedMuting, items: Sequence[Item], at_ms: int = NOW) -> list[tuple[str, int | None] | None]:
    return [one and (one.by, one.until_ms) for one in await muter(ACME, items, at_ms)]


async def test_an_alert_is_muted_while_its_silence_is_active() -> None:
    muter = stage(held("s1", Timing(NOW, NOW + HOUR)))
    items = [item("a"), item("b"), item("a", "ops")]
    assert await asked(muter, items) == [("s1", NOW + HOUR), None, ("s1", NOW + HOUR)]
    assert await asked(muter, items, NOW - 1) == [None] * 3
    assert await asked(muter, items, NOW + HOUR) == [None] * 3
    (mute,) = await muter(ACME, [item()], NOW)
    assert mute is not None
    assert mute.why is Why.SILENCED
    assert mute.detail == "silenced by anna until 2026-09-21T15:15:00.000Z: disks"


async def test_of_several_the_one_that_ends_last_is_told() -> None:
    muter = stage(
        held("s1", Timing(NOW, NOW + HOUR)),
        held("s2", Timing(NOW, NOW + 3 * HOUR)),
        held("s3", Timing(NOW + HOUR, NOW + 9 * HOUR)),
    )
    assert await asked(muter, [item()]) == [("s2", NOW + 3 * HOUR)]
    assert await asked(muter, [item()], NOW + 2 * HOUR) == [("s3", NOW + 9 * HOUR)]


async def test_what_recurs_mutes_in_each_of_its_times() -> None:
    muter = stage(held("s1", Timing(NOW, None, "FREQ=DAILY", "UTC", HOUR)))
    begins = NOW - NOW % 1_000
    assert await asked(muter, [item()]) == [("s1", begins + HOUR)]
    assert await asked(muter, [item()], begins + 2 * HOUR) == [None]
    assert await asked(muter, [item()], begins + 25 * HOUR - 1) == [("s1", begins + 25 * HOUR)]


async def test_who_asks_about_the_past_changes_nothing_for_those_who_ask_about_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[int] = []

    def counting(timing: Timing, at_ms: int) -> Phase:
        looked_up.append(at_ms)
        return phase(timing, at_ms)

    monkeypatch.setattr("vigie_alerting.silences.muting.phase", counting)
    muter = stage(held("s1", Timing(NOW - 9 * HOUR, None, "FREQ=DAILY", "UTC", HOUR)))
    assert await asked(muter, [item()]) == [None]
    judge = await muter.of_the_past(ACME)
    found = [judge(item(), NOW - hours * HOUR) for hours in (10, 9, 9, 8)]
    assert [one and one.by for one in found] == [None, "s1", "s1", None]
    before = len(looked_up)
    assert await asked(muter, [item()], NOW + 1) == [None]
    assert len(looked_up) == before, "what it knows of now still holds"


async def test_a_tenant_without_silences_is_asked_nothing() -> None:
    assert await asked(stage(), [item()]) == [None]
    assert await asked(stage(held("s1", Timing(NOW - HOUR, NOW))), [item()]) == [None]


def test_ids_are_uuids_that_sort_by_time() -> None:
    made = [new_id(NOW + at) for at in range(100)]
    assert made == sorted(made)
    assert all((one[14], one[19] in "89ab", len(one)) == ("7", True, 36) for one in made)
