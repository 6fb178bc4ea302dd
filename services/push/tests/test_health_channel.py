"""What of the channel `health` needs no real store: filters, what leaves them, what is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_push.channels.health import HealthFeed, HealthParameters
from vigie_push.messages import type_of
from vigie_storage.health.live import LiveHealth, LiveState
from vigie_storage.health.states import StateFilter, Stored, TargetState

ACME = TenantId("acme")
NOW = 1_790_000_000_000
UP, DOWN = Verdict.UP, Verdict.DOWN


class Store:
    """MongoDB, as far as a feed asks it."""

    def __init__(self) -> None:
        self.rows: dict[str, Stored] = {}

    def put(self, target: str, state: TargetState | None, at_ms: int) -> None:
        self.rows[target] = Stored(datetime.fromtimestamp(at_ms / 1000, UTC), target, state)

    async def since(self, tenant: TenantId, since: datetime, limit: int) -> list[Stored]:
        found = sorted((one for one in self.rows.values() if one.at >= since), key=lambda one: one.at)
        return found[-limit:]

    async def page(self, tenant: TenantId, wanted: StateFilter, limit: int) -> list[TargetState]:
        return [one.state for one in self.rows.values() if one.state is not None][:limit]


def state(target: str = "t1", now: Verdict = UP, checked: int = 1, **more: Any) -> TargetState:
    fields: dict[str, Any] = {"name": "shop", "group": "web", "labels": {"site": "paris"}, "since_ms": NOW, **more}
    return TargetState(target=target, tenant=ACME, state=now, verdict=now, checked_ms=NOW + checked, **fields)


async def feed(store: Store | None = None, **asked: Any) -> HealthFeed:
    parameters = msgspec.convert(asked, HealthParameters, strict=False)
    made = HealthFeed(ACME, parameters, store or Store())  # type: ignore[arg-type]
    await made.begin()
    return made


def live(*states: TargetState, before: str = "", removed: tuple[str, ...] = ()) -> LiveHealth:
    return LiveHealth(NOW, [LiveState(one, before) for one in states], list(removed))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, True),
        ({"service": "shop"}, True),
        ({"service": ["till", "shop"], "group": "web"}, True),
        ({"service": "till"}, False),
        ({"group": "db"}, False),
        ({"state": "up"}, True),
        ({"state": ["down", "degraded"]}, False),
        ({"places": ["site=paris"]}, True),
        ({"places": ["site=lyon"]}, False),
        ({"places": []}, False),
    ],
)
async def test_all_filters_must_hold(asked: dict[str, Any], told: bool) -> None:
    assert bool((await feed(**asked)).updates(live(state()))) is told


async def test_a_target_that_leaves_the_states_asked_for_is_seen_leaving() -> None:
    made = await feed(state="down")
    [down] = made.updates(live(state(now=DOWN, checked=1), before="up"))
    [up] = made.updates(live(state(checked=2), before="down"))
    assert made.updates(live(state(checked=3))) == []
    told = msgspec.to_builtins(up.message)
    assert (type_of(up.message), told["data"][0]["state"], told["data"][0]["previousState"]) == ("health", "up", "down")
    assert up.key == down.key == "t1"


async def test_an_older_check_is_not_told_after_a_newer_one() -> None:
    made = await feed()
    assert made.updates(live(state(checked=2)))
    assert made.updates(live(state(checked=1), state(checked=2))) == []


async def test_what_redis_lost_is_read_once_also_what_is_gone_and_what_left() -> None:
    store = Store()
    store.put("t1", state(now=DOWN), NOW)
    store.put("t2", state("t2", DOWN), NOW)
    made = await feed(store, state="down")
    assert await made.poll() == []
    store.put("t1", state(checked=5, since_ms=NOW + 5), NOW + 5)
    store.put("t2", None, NOW + 6)
    left, gone = await made.poll()
    assert msgspec.to_builtins(left.message)["data"][0]["state"] == "up"
    assert msgspec.to_builtins(gone.message)["removed"] == ["t2"]
    assert await made.poll() == []
    assert made.updates(live(state(checked=5))) == []


async def test_who_comes_back_is_told_what_is_gone_and_not_what_they_know() -> None:
    store = Store()
    store.put("t1", state(), NOW)
    store.put("t2", state("t2"), NOW)
    made = await feed(store)
    [first] = (await made.snapshot(None)).updates
    assert msgspec.to_builtins(first.message)["complete"] is True
    [gone] = made.updates(live(removed=("t2",)))
    assert msgspec.to_builtins(gone.message) == {
        "type": "health", "data": [], "complete": False, "truncated": False, "removed": ["t2"]
    }  # fmt: skip
    store.put("t2", None, NOW + 1)
    assert (await (await feed(store)).snapshot(gone.cursor)).updates == []
    [again] = (await (await feed(store)).snapshot(first.cursor)).updates
    assert msgspec.to_builtins(again.message)["removed"] == ["t2"]
