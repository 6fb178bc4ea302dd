"""Targets that are asked from several regions: k of n must see them down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Secrets, Target
from vigie_healthcheck.checking import Checked
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.regions import Judge, agreed
from vigie_healthcheck.samples import samples_of
from vigie_healthcheck.sighted import Sighted
from vigie_healthcheck.state import step
from vigie_healthcheck.targets import form
from vigie_healthcheck.targets.problems import InvalidTargetError
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.sightings import Sighting

from tests.kit import eventually

NOW = 1_790_000_000_000
UP, DEGRADED, DOWN, UNKNOWN = Verdict.UP, Verdict.DEGRADED, Verdict.DOWN, Verdict.UNKNOWN
REFUSED = "the connection was refused"


def target(*regions: str, quorum: int = 0, **more: Any) -> Target:
    fields: dict[str, Any] = {"interval_ms": 30_000, "timeout_ms": 5_000, **more}
    return Target(id="t", tenant="acme", name="shop", kind="tcp", regions=list(regions), quorum=quorum, **fields)


def outcome(verdict: Verdict) -> Outcome:
    return Outcome(verdict, REFUSED if verdict is DOWN else "slow" if verdict is DEGRADED else "", 0.1, {}, {})


def sighting(region: str, verdict: Verdict, ago_s: float = 10.0) -> Sighting:
    at_ms = NOW - round(ago_s * 1000)
    reason = "no connection" if verdict is DOWN else ""
    return Sighting(target="t", tenant="acme", region=region, at_ms=at_ms, verdict=verdict, reason=reason)


def together(own: Verdict, quorum: int = 0, **others: Verdict) -> tuple[Verdict, str]:
    seen = [sighting(region, verdict) for region, verdict in others.items()]
    found = agreed(target("us", "ap", quorum=quorum), outcome(own), seen, NOW)
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("own", "us", "ap", "verdict"),
    [
        (UP, UP, UP, UP),
        (UP, UP, UNKNOWN, UP),
        (DOWN, UP, UP, DEGRADED),
        (UP, DOWN, UP, DEGRADED),
        (UP, DOWN, DOWN, DOWN),
        (DOWN, DOWN, UP, DOWN),
        (DOWN, DOWN, DOWN, DOWN),
        (DOWN, DOWN, UNKNOWN, DOWN),
        (UNKNOWN, UP, UP, UP),
        (UNKNOWN, DOWN, UP, DEGRADED),
        (UNKNOWN, DOWN, DOWN, DOWN),
        (UNKNOWN, DOWN, UNKNOWN, DOWN),
        (DOWN, UNKNOWN, UNKNOWN, DOWN),
        (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_more_than_half_of_those_that_know_must_see_it_down(
    own: Verdict, us: Verdict, ap: Verdict, verdict: Verdict
) -> None:
    assert together(own, us=us, ap=ap)[0] is verdict


def test_how_many_is_for_the_target_to_say() -> None:
    assert together(UP, 1, us=UP, ap=DOWN)[0] is DOWN
    assert together(UP, 3, us=DOWN, ap=DOWN)[0] is DEGRADED
    assert together(DOWN, 3, us=DOWN, ap=DOWN)[0] is DOWN
    for others in ({}, {"us": UNKNOWN}):
        assert together(DOWN, 2, **others)[0] is UNKNOWN, "one that is missing is no vote"
    assert together(UP, 2)[0] is UP
    assert [target().needed(known) for known in range(6)] == [1, 1, 2, 2, 3, 3]


def test_the_reason_says_who_sees_it_down_and_why() -> None:
    assert together(DOWN, us=DOWN, ap=UP)[1] == (
        f"2 of 3 regions see it down: here: {REFUSED}; us: no connection"
    )  # fmt: skip
    assert together(DOWN, us=UP, ap=UP)[1] == f"1 of 3 regions see it down: here: {REFUSED}"
    assert together(DOWN, 2)[1] == f"too few regions know: 1 of 3 regions see it down: here: {REFUSED}"
    assert together(DEGRADED, us=UP, ap=UP) == (DEGRADED, "slow")
    assert together(UP, us=DEGRADED, ap=UP) == (UP, "")


def test_what_is_too_old_or_of_a_region_that_is_not_asked_does_not_count() -> None:
    one = target("us", "ap")
    late = [sighting("us", DOWN, 69), sighting("ap", DOWN, 71), sighting("eu", DOWN)]
    found = agreed(one, outcome(UP), late, NOW)
    assert (found.verdict, dict(found.regions)) == (DEGRADED, {"here": True, "us": False})


async def test_without_regions_and_without_the_store_only_this_place_is_known() -> None:
    asked: list[str] = []

    async def check(_: Target, __: Secrets) -> Checked:
        return Checked(outcome(DOWN))

    async def seen(id_: str) -> list[Sighting]:
        asked.append(id_)
        raise StoreUnavailable

    judge = Judge(check, seen, ManualClock(NOW))
    assert (await judge.check(target(), Secrets())).outcome.verdict is DOWN
    assert asked == []
    assert (await judge.check(target("us", quorum=2), Secrets())).outcome.verdict is UNKNOWN
    assert (await judge.check(target("us"), Secrets())).outcome.verdict is DOWN


def test_each_region_is_a_series() -> None:
    one = target("us", "ap")
    found = agreed(one, outcome(UP), [sighting("us", DOWN)], NOW)
    made = samples_of(one, step(None, one, found, NOW), Checked(found), NOW)
    values = {dict(s.labels)["region"]: s.value for s in made.samples if s.name == "probe_region_success"}
    assert values == {"here": 1.0, "us": 0.0}


def test_regions_are_names_and_the_quorum_can_be_reached() -> None:
    form.read({"name": "a", "url": "tcp://a:1", "regions": ["us-east-1"], "quorum": 2}, "acme")
    for wrong, field in (
        ({"regions": ["us", "us"]}, "regions"),
        ({"regions": ["here"]}, "regions[0]"),
        ({"regions": ["a b"]}, "regions[0]"),
        ({"regions": ["us"], "quorum": 3}, "quorum"),
        ({"quorum": -1}, "quorum"),
    ):
        with pytest.raises(InvalidTargetError) as refused:
            form.read({"name": "a", "url": "tcp://a:1", **wrong}, "acme")
        assert [one.field for one in refused.value.problems] == [field]


class Store:
    def __init__(self) -> None:
        self.written: list[Sighting] = []
        self.away = False

    async def write(self, sightings: list[Sighting]) -> None:
        if self.away:
            raise StoreUnavailable
        self.written += sightings


async def test_a_region_tells_the_newest_of_each_target_when_the_store_is_there_again() -> None:
    store = Store()
    sighted, one = Sighted("us", store), target("us")  # type: ignore[arg-type]
    running = asyncio.create_task(sighted.run())

    async def check(verdict: Verdict, at_ms: int, which: Target) -> None:
        found = outcome(verdict)
        await sighted.add(which, step(None, which, found, at_ms), Checked(found), at_ms)

    store.away = True
    for n, verdict in enumerate((UP, DOWN)):
        await check(verdict, NOW + n, one)
    left = target("us")
    left.id = "left"
    await check(DOWN, NOW, left)
    await asyncio.sleep(0)
    await sighted.leave(["left"])
    store.away = False
    await eventually(lambda: store.written)
    sighted.stop()
    await running
    [told] = store.written
    assert (told.region, told.verdict, told.at_ms, told.reason) == ("us", DOWN, NOW + 1, REFUSED)
