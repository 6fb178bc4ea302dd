"""The channels of reports over doubles of store and log."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_push.channels import app_metrics as app
from vigie_push.channels import telemetry
from vigie_push.channels.base import Update
from vigie_push.channels.report_feed import MAX_MISSED, ReportFeed, ReportSources
from vigie_push.errors import InvalidCursor

ACME = TenantId("acme")
NOW = 1_790_000_000_000


def report(number: int, at: int | None = None, subject: str = "shop", kind: str = "app") -> Report:
    return Report(f"id-{number:04d}", ACME, kind, subject, NOW + (number if at is None else at), {"metrics": number})


@dataclass
class World:
    stored: list[Report] = field(default_factory=list)
    log: list[Report] = field(default_factory=list)

    async def of(self, _t: TenantId, _k: str, _s: str, limit: int, since_ms: int | None = None) -> list[Report]:
        found = [one for one in self.stored if since_ms is None or one.timestamp >= since_ms]
        return sorted(found, key=lambda one: (one.timestamp, one.id))[-limit:]

    def feed(self) -> ReportFeed:
        stored: Any = self
        recent: Any = _Log(self)
        return ReportFeed(ACME, "app", "shop", ReportSources(stored, recent), app.message)


class _Log:
    def __init__(self, world: World) -> None:
        self._world = world

    def of(self, _tenant: TenantId, _kind: str, _subject: str) -> list[Report]:
        return self._world.log


def told(updates: Any) -> list[int]:
    return [update.message.payload.metrics for update in updates]


async def opened(world: World) -> ReportFeed:
    feed = world.feed()
    await feed.begin()
    return feed


async def test_the_newest_report_then_each_one_once() -> None:
    world = World(stored=[report(1), report(2)], log=[report(2), report(3)])
    feed = await opened(world)
    snapshot = await feed.snapshot(None)
    assert told(snapshot.updates) == [3], "the store does not have it yet, the log has"
    assert feed.updates(report(3)) == []
    (update,) = feed.updates(report(4))
    assert told([update]) == [4]
    assert not snapshot.holds(update)
    assert feed.updates(report(4)) == []


async def test_reports_of_others_are_not_told() -> None:
    feed = await opened(World())
    assert feed.updates(report(1, subject="other")) == []
    assert feed.updates(report(1, kind="node")) == []


async def test_who_comes_back_gets_what_came_since_on_another_replica() -> None:
    here = await opened(World(stored=[report(1)]))
    (last,) = here.updates(report(2))
    there = await opened(World(stored=[report(1), report(2), report(3)], log=[report(3), report(4)]))
    snapshot = await there.snapshot(last.cursor)
    assert told(snapshot.updates) == [3, 4]
    (again,) = (await opened(World(stored=[report(1)]))).updates(report(2))
    assert snapshot.holds(again), "seen before the cursor"
    assert told((await there.snapshot(snapshot.updates[-1].cursor)).updates) == []


async def test_of_very_many_missed_the_last_come() -> None:
    world = World(stored=[report(number) for number in range(500)])
    feed = await opened(world)
    (first,) = (await opened(World())).updates(report(0))
    missed = told((await feed.snapshot(first.cursor)).updates)
    assert (len(missed), missed[-1]) == (MAX_MISSED, 499)


async def test_a_late_report_takes_no_newer_ones_place() -> None:
    feed = await opened(World())
    (newest,) = feed.updates(report(5))
    (late,) = feed.updates(report(4))
    (next_one,) = feed.updates(report(6))
    assert newest.key == next_one.key != late.key
    assert late.cursor == newest.cursor


async def test_a_poll_tells_what_the_log_did_not() -> None:
    world = World(stored=[report(1)])
    feed = await opened(world)
    world.stored += [report(2), report(3)]
    updates: list[Update] = list(await feed.poll())
    assert told(updates) == [2, 3]
    assert await feed.poll() == []
    assert feed.updates(report(3)) == []


@pytest.mark.parametrize("cursor", ["?", "Aw", "AwAAAAAAAAAA", "A_________-YQ"])
async def test_a_cursor_that_nobody_made_is_refused(cursor: str) -> None:
    feed = await opened(World())
    with pytest.raises(InvalidCursor):
        await feed.snapshot(cursor)


def test_an_app_is_told_as_its_clients_know_it() -> None:
    body = {"userId": "u", "appId": "shop", "metrics": {"cpu": {"usage": 4}}, "timestamp": "2026-09-21T14:13:20Z"}
    said = Report("x", ACME, "app", "shop", NOW, body)
    assert msgspec.to_builtins(app.message(said)) == {
        "type": "metrics",
        "payload": {"appId": "shop", "metrics": {"cpu": {"usage": 4}}, "timestamp": "2026-09-21T14:13:20Z"},
    }
    silent = app.message(Report("x", ACME, "app", "shop", NOW, {"metrics": {}}))
    assert silent.payload.timestamp == "2026-09-21T14:13:20.000Z"


def test_telemetry_is_told_whole() -> None:
    said = Report("x", ACME, "node", "node", NOW, {"uptime": 5, "additionalData": {"cpuUsage": 1}})
    assert msgspec.to_builtins(telemetry.message(said)) == {
        "type": "telemetry",
        "data": {
            "uptime": 5,
            "additionalData": {"cpuUsage": 1},
            "tenantId": "acme",
            "timestamp": "2026-09-21T14:13:20.000Z",
        },
    }
