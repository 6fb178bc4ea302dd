"""States, incidents, checks and beats in the real MongoDB: one incident for an outage, whatever is repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.recording import Found, Gone, StateRecorder
from vigie_healthcheck.state import Change
from vigie_runtime.clock import SystemClock
from vigie_storage.health.beats import Beats, new_token
from vigie_storage.health.checks import Checks
from vigie_storage.health.sightings import Sighting, Sightings
from vigie_storage.health.states import EVERY, HealthStates, StateFilter, TargetState, order
from vigie_storage.mongo import transaction
from vigie_storage.partitions.owners import Owners

pytestmark = pytest.mark.connected

ACME, RIVAL = TenantId("acme"), TenantId("rival")
NOW = 1_790_000_000_000
UP, DOWN, DEGRADED = Verdict.UP, Verdict.DOWN, Verdict.DEGRADED


def state(number: int, state: Verdict = UP, at: int = 1, **more: Any) -> TargetState:
    name = f"shop {number}"
    return TargetState(
        target=f"t{number}", tenant=more.pop("tenant", "acme"), name=name, state=state, checked_ms=NOW + at, **more
    )


def found(number: int, *became: Verdict, at: int = 1) -> Found:
    """After these changes, a millisecond each."""
    changes = [Change(a, b, NOW + at + n, b.value) for n, (a, b) in enumerate(zip((UP, *became), became, strict=False))]
    return Found(state(number, became[-1], at + len(became)), changes)


@pytest.fixture
async def recorder(database: Any) -> AsyncIterator[StateRecorder]:
    made = StateRecorder(database, "targets", SystemClock())
    await made.prepare()
    yield made
    await made.close()


async def incidents(recorder: StateRecorder, tenant: TenantId = ACME) -> list[tuple[str, int, int | None, str]]:
    return [
        (one.target, one.started_ms - NOW, None if one.ended_ms is None else one.ended_ms - NOW, one.reason)
        for one in await recorder.incidents.page(tenant, 100)
    ]


async def test_an_outage_is_one_incident_also_when_it_is_written_twice(recorder: StateRecorder) -> None:
    outage = found(1, DOWN, UP, DOWN)
    for _ in range(3):  # nobody knew whether the first was committed
        assert await recorder.write([outage]) == set()
    assert await incidents(recorder) == [("t1", 3, None, "down"), ("t1", 1, 2, "down")]
    await recorder.write([found(1, DOWN, at=10)])  # another owner, that did not know
    assert len(await incidents(recorder)) == 2
    ends = Found(state(1, DEGRADED, 20), [Change(DOWN, DEGRADED, NOW + 20, "slow")])
    await recorder.write([ends])
    await recorder.write([ends])
    assert await incidents(recorder) == [("t1", 3, 20, "down"), ("t1", 1, 2, "down")]
    [kept] = await recorder.database.health_incidents.find({"ended": {"$exists": True}}).sort("started", -1).to_list(1)
    assert kept["expires"] - kept["ended"] == timedelta(days=400)


async def test_an_older_owner_changes_neither_state_nor_incidents(recorder: StateRecorder) -> None:
    await recorder.write([found(1, UP, at=50), found(2, UP, at=1)])
    stale = [found(1, DOWN, at=40), found(2, DOWN, at=40), Found(state(3, at=1))]
    assert await recorder.write(stale) == {"t1"}
    assert await recorder.write([Found(state(1, at=30))]) == {"t1"}
    assert await incidents(recorder) == [("t2", 40, None, "down")]
    stored = await recorder.states.some(["t1", "t2", "t3", "t4"])
    assert {target: (one.state, one.checked_ms - NOW) for target, one in stored.items()} == {
        "t1": (UP, 51), "t2": (DOWN, 41), "t3": (UP, 1)
    }  # fmt: skip


async def test_many_go_down_at_once(recorder: StateRecorder) -> None:
    assert await recorder.write([found(n, DOWN) for n in range(1_000)]) == set()
    assert (await recorder.states.counts(ACME))[DOWN] == 1_000
    assert len(await recorder.incidents.page(ACME, 1_001, open_only=True)) == 1_000


async def test_owners_that_write_the_same_at_the_same_time_make_one_incident(recorder: StateRecorder) -> None:
    both = [recorder.write([found(n, DOWN, at=at) for n in range(50)]) for at in (1, 2)]
    await asyncio.gather(*both)
    assert len(await incidents(recorder)) == 50
    assert {one.checked_ms for one in (await recorder.states.some([f"t{n}" for n in range(50)])).values()} == {NOW + 3}


async def test_what_a_killed_owner_left_open_holds_up_nobody_who_takes_its_targets_over(
    recorder: StateRecorder, mongo_uri: str
) -> None:
    async with AsyncMongoClient(mongo_uri) as other, other.start_session() as dead:
        database: Any = other[recorder.database.name]
        await Owners(database, "targets", SystemClock()).take_over(3, dead)
        await dead.start_transaction()
        await HealthStates(database).write([state(1, DOWN)], dead)  # and here it is killed
        begun = time.monotonic()
        await recorder.take_over(3)
        assert await recorder.write([found(1, DOWN, at=5)]) == set()
        assert time.monotonic() - begun < 5, "MongoDB itself would end it after a minute"
    assert await incidents(recorder) == [("t1", 5, None, "down")]


async def test_what_is_gone_is_forgotten_and_its_incident_ends(recorder: StateRecorder) -> None:
    await recorder.write([found(1, DOWN), found(2, DOWN)])
    for _ in range(2):
        await recorder.remove([Gone(ACME, "t1", NOW + 9)])
    assert set(await recorder.states.some(["t1", "t2"])) == {"t2"}
    assert sorted(await incidents(recorder)) == [("t1", 1, 9, "down"), ("t2", 1, None, "down")]
    assert [one.target for one in await recorder.states.page(ACME, EVERY, 9)] == ["t2"]
    written = await recorder.states.since(ACME, datetime.fromtimestamp(0, UTC), 9)
    assert [(one.target, one.state is None) for one in written] == [("t2", False), ("t1", True)]
    await recorder.write([Found(state(1, at=20))])
    assert set(await recorder.states.some(["t1"])) == {"t1"}
    assert await recorder.database.health_states.count_documents({"expires": {"$exists": True}}) == 0


async def test_incidents_are_found_by_target_and_time(recorder: StateRecorder) -> None:
    await recorder.write([found(1, DOWN, UP, at=100), found(2, DOWN, at=200)])
    between = recorder.incidents.between

    async def during(start: int, end: int, targets: Sequence[str] = ("t1", "t2")) -> list[str]:
        return [one.target for one in await between(ACME, targets, NOW + start, NOW + end, 10)]

    assert await during(0, 100) == []
    assert await during(0, 101) == ["t1"]
    assert await during(101, 900) == ["t2"]
    assert await during(100, 900) == ["t2", "t1"]
    assert await during(100, 900, ["t1"]) == ["t1"]
    assert await recorder.incidents.page(RIVAL, 10) == []
    first, second = await recorder.incidents.page(ACME, 10)
    assert await recorder.incidents.page(ACME, 10, (first.started_ms, first.id)) == [second]
    assert await recorder.incidents.page(ACME, 10, targets=["t1"]) == [second]


async def test_states_are_paged_by_name_and_filtered(recorder: StateRecorder) -> None:
    states, some = recorder.states, [state(n, DOWN if n % 2 else UP, group=f"g{n % 3}", kind="tcp") for n in range(9)]
    await states.write([*some, state(100, tenant="rival")])
    first = await states.page(ACME, EVERY, 5)
    rest = await states.page(ACME, EVERY, 5, order(first[-1]))
    assert [*first, *rest] == some
    assert await states.page(ACME, StateFilter(states=[DOWN], groups=["g0"]), 9) == [some[3]]
    assert await states.page(ACME, StateFilter(text="SHOP 4", kinds=["tcp"]), 9) == [some[4]]
    assert await states.page(ACME, StateFilter(text=".*"), 9) == []
    assert await states.page(ACME, StateFilter(ids=["t1", "t100"]), 9) == [some[1]]
    labelled = state(3, DOWN, 2, labels={"site": "paris"})
    await states.write([labelled])
    assert await states.page(ACME, StateFilter(places=["site=lyon", "site=paris"], names=["shop 3"]), 9) == [labelled]
    assert await states.page(ACME, StateFilter(places=[]), 9) == []
    assert await states.counts(ACME) == {UP: 5, DOWN: 4, DEGRADED: 0, Verdict.UNKNOWN: 0}
    assert (await states.counts(RIVAL))[UP] == 1


async def test_a_check_that_is_asked_for_is_answered_by_one_that_is_not_older(database: Any) -> None:
    states = HealthStates(database)
    await states.prepare()
    await states.write([state(1, at=1)])
    await states.ask(ACME, ["t1", "t2"], NOW + 5)
    await states.ask(ACME, ["t1"], NOW + 3)  # never less
    assert await states.asked() == {"t1": NOW + 5, "t2": NOW + 5}
    assert await states.page(ACME, EVERY, 9) == [state(1, at=1)], "what was never checked is nothing yet"
    await states.write([state(1, at=4), state(2, at=5)])
    assert await states.asked() == {"t1": NOW + 5}
    await states.write([state(1, at=6, reason="$name")])
    assert await states.asked() == {}
    assert (await states.some(["t1"]))["t1"].reason == "$name"


async def test_checks_are_stored_once_and_read_newest_first(database: Any) -> None:
    checks = Checks(database)
    await checks.prepare(timedelta(days=30))
    some = [
        Check(f"c{n}", "acme", "t1", "http", NOW + n, DOWN if n % 2 else UP, 1.0, reason="$odd", phases={"tls": 1.5})
        for n in range(6)
    ]
    assert await checks.write(some[:4]) == 4
    assert await checks.write([*some, some[0]]) == 2
    assert await checks.page(ACME, "t1", 10) == some[::-1]
    assert await checks.page(ACME, "t1", 2, (NOW + 4, "c4")) == [some[3], some[2]]
    assert await checks.page(ACME, "t1", 9, from_ms=NOW + 2, to_ms=NOW + 4, verdicts=[DOWN]) == [some[3]]
    assert await checks.page(RIVAL, "t1", 10) == []
    await checks.prepare(timedelta(days=7))
    indexes = await database.health_checks.index_information()
    assert indexes["at_1"]["expireAfterSeconds"] == 7 * 86_400


async def test_the_newest_sighting_of_each_region_is_kept(database: Any) -> None:
    sightings = Sightings(database)
    await sightings.prepare()

    def seen(region: str, at: int, verdict: Verdict = UP, target: str = "t1") -> Sighting:
        return Sighting(target=target, tenant="acme", region=region, at_ms=NOW + at, verdict=verdict, reason="$odd")

    await sightings.write([seen("us", 5), seen("eu", 5, DOWN), seen("us", 5, target="t2")])
    await sightings.write([seen("us", 4, DOWN), seen("eu", 6)])
    assert await sightings.of("t1") == [seen("eu", 6), seen("us", 5)]
    assert await sightings.of("t3") == []


async def test_a_beat_is_heard_by_its_token_only(database: Any) -> None:
    beats, token, other = Beats(database), new_token(), new_token()
    await beats.prepare()
    await transaction(database, lambda session: beats.expect(ACME, "t1", token, NOW, session))
    expected = await beats.last("t1")
    assert expected is not None
    assert (expected.at_ms, expected.since_ms) == (0, NOW)
    assert await beats.hear(other, NOW + 1) is None
    heard = await beats.hear(token, NOW + 2, failed=True, code=3)
    assert heard == await beats.last("t1")
    assert heard is not None
    assert (heard.target, heard.tenant, heard.at_ms, heard.failed, heard.code) == ("t1", ACME, NOW + 2, True, 3)
    await beats.hear(token, NOW + 3_600_000)  # by a clock that is ahead
    heard = await beats.hear(token, NOW + 3)
    assert heard is not None
    assert (heard.at_ms, heard.failed) == (NOW + 3, False)
    assert token not in str(await database.health_beats.find().to_list())
    await transaction(database, lambda session: beats.expect(ACME, "t1", other, NOW + 3, session))
    assert await beats.hear(token, NOW + 4) is None, "a new token takes the place of the old one"
    assert await beats.hear(other, NOW + 4) is not None
    await transaction(database, lambda session: beats.remove(ACME, "t1", session))
    assert await beats.last("t1") is None
