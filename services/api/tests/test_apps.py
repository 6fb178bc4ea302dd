"""GET /api/apps and below: history, pages, numbers over time, and that only those see an app who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from vigie_aggregator.reports.reading import read
from vigie_aggregator.reports.storing import ReportStore
from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_identity.permissions import Role, Scope
from vigie_publishing import apps
from vigie_publishing.apps import AppMetrics
from vigie_runtime.clients import Database
from vigie_runtime.clock import SystemClock

from .conftest import NOW, Client, Office, World

pytestmark = pytest.mark.connected

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Record:
    """A record of the topic of reports."""

    partition, offset, key = 0, 0, b""
    headers: tuple[()] = ()

    def __init__(self, value: bytes, at_ms: int) -> None:
        self.value, self.timestamp = value, at_ms


class Keeper:
    """Stores reports as the aggregator does."""

    def __init__(self, database: Database, now_ms: int) -> None:
        self.now_ms = now_ms
        self.store = ReportStore(database, "reports", SystemClock(), zones=("UTC",), retention=timedelta(days=90))

    async def keep(self, tenant: str, app: str, *said: tuple[int, float], user: str = "u") -> list[str]:
        """One report of each (time, CPU usage), in that order; their ids."""
        made: list[Any] = []
        for at_ms, usage in said:
            body = {"userId": user, "metrics": {"cpu": {"usage": usage}}, "timestamp": at_ms}
            judged = apps.judge(body, app, self.now_ms)
            assert isinstance(judged, AppMetrics)
            report = judged.report(tenant, apps.key_of(tenant, judged, None, repr((user, at_ms, usage)).encode()))
            record: Any = Record(report.message(), at_ms)
            made.append(read(record))
        await self.store.store(made)
        return [one.id for one in made]


@pytest_asyncio.fixture(loop_scope="session")
async def keeper(database: Database) -> Keeper:
    kept = Keeper(database, NOW)
    await kept.store.prepare()
    return kept


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_history_is_what_was_sent_newest_first(client: Client, world: World, keeper: Keeper) -> None:
    ids = await keeper.keep(world.tenant, "shop", (NOW - 3 * MINUTE, 1), (NOW - MINUTE, 3), (NOW - 2 * MINUTE, 2))
    await keeper.keep(world.tenant, "desk", (NOW - MINUTE, 9))
    await keeper.keep("another", "shop", (NOW - MINUTE, 9))
    answer = await client.get("/api/apps/shop/metrics")
    assert answer["appId"] == "shop"
    assert answer["period"] == "hour"
    assert answer["nextCursor"] is None
    assert [one["id"] for one in answer["data"]] == [ids[1], ids[2], ids[0]]
    assert answer["data"][0] == {
        "id": ids[1], "userId": "u", "metrics": {"cpu": {"usage": 3}}, "timestamp": iso(NOW - MINUTE),
    }  # fmt: skip


async def test_periods_and_bounds_say_what_time_is_meant(client: Client, world: World, keeper: Keeper) -> None:
    times = [NOW - MINUTE, NOW - 2 * HOUR, NOW - 3 * DAY, NOW - 8 * DAY]
    await keeper.keep(world.tenant, "shop", *((at, i) for i, at in enumerate(times)))

    async def count(**parameters: Any) -> int:
        return len((await client.get("/api/apps/shop/metrics", **parameters))["data"])

    assert [await count(period=one) for one in ("hour", "day", "week")] == [1, 2, 3]
    assert await count(from_=NOW - 9 * DAY) == 4
    assert await count(from_=NOW - 9 * DAY, to=NOW - DAY) == 2
    for parameters, field in (
        ({"period": "month"}, "period"), ({"period": "day", "from_": "now-1h"}, "period"),
        ({"from_": "now", "to": "now-1h"}, "from"), ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"), ({"cursor": "kgoh"}, "cursor"),
    ):  # fmt: skip
        body = await client.get("/api/apps/shop/metrics", 422, **parameters)
        assert body["errors"][0]["field"] == field, parameters


async def test_pages_together_are_all_reports_also_those_of_one_time(
    client: Client, world: World, keeper: Keeper
) -> None:
    same = [(NOW - MINUTE, float(i)) for i in range(5)]
    ids = await keeper.keep(world.tenant, "shop", *same, *((NOW - i * MINUTE, i) for i in range(2, 8)))
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(10):
        page = await client.get("/api/apps/shop/metrics", limit=3, **cursor)
        found += [one["id"] for one in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert len(found) == len(set(found)) == len(ids)
    assert set(found) == set(ids)


async def test_one_users_reports_can_be_asked_for(client: Client, world: World, keeper: Keeper) -> None:
    await keeper.keep(world.tenant, "shop", (NOW - MINUTE, 1), user="ann")
    await keeper.keep(world.tenant, "shop", (NOW - MINUTE, 2), (NOW - 2 * MINUTE, 3), user="bob")
    answer = await client.get("/api/apps/shop/metrics", userId="bob")
    assert [one["userId"] for one in answer["data"]] == ["bob", "bob"]
    assert (await client.get("/api/apps/shop/metrics", userId="$ne"))["data"] == []


async def test_apps_are_listed_with_their_first_and_newest_report(client: Client, world: World, keeper: Keeper) -> None:
    await keeper.keep(world.tenant, "shop", (NOW - 5 * MINUTE, 1), (NOW - MINUTE, 2))
    await keeper.keep(world.tenant, "shop", (NOW - 9 * MINUTE, 3))
    await keeper.keep(world.tenant, "desk/eu", (NOW, 1))
    await keeper.keep("another", "secret", (NOW, 1))
    first = await client.get("/api/apps", limit=1)
    assert [one["appId"] for one in first["apps"]] == ["desk/eu"]
    rest = await client.get("/api/apps", limit=1, cursor=first["nextCursor"])
    assert rest == {
        "apps": [
            {
                "appId": "shop", "firstReport": iso(NOW - 9 * MINUTE), "lastReport": iso(NOW - MINUTE), "reports": 3,
            }
        ],
        "nextCursor": None,
    }  # fmt: skip
    assert len((await client.get("/api/apps/desk/eu/metrics", from_="now-1h", to="now+1m"))["data"]) == 1


async def test_a_repeated_report_is_stored_and_counted_once(client: Client, world: World, keeper: Keeper) -> None:
    for _ in range(3):
        await keeper.keep(world.tenant, "shop", (NOW - MINUTE, 1))
    assert len((await client.get("/api/apps/shop/metrics"))["data"]) == 1
    assert (await client.get("/api/apps"))["apps"][0]["reports"] == 1


async def test_numbers_over_time_are_those_of_the_samples(client: Client, world: World) -> None:
    cpu = world.key(names.APP_CPU_USAGE, Kind.GAUGE, app="shop")
    other = world.key(names.APP_METRIC, Kind.GAUGE, app="shop", key="net.up")
    foreign = world.key(names.APP_CPU_USAGE, Kind.GAUGE, app="desk")
    own = world.key(names.APP_CPU_USAGE, Kind.GAUGE, app="shop", host="a")
    start = NOW - 10 * MINUTE - NOW % MINUTE
    values = [float(i) for i in range(1, 101)]
    await world.send(
        [
            *((cpu, start + i * 1_000, value) for i, value in enumerate(values)),
            *((other, start + i * 10_000, 5.0) for i in range(6)),
            (foreign, start, 1e9),
            (own, start, 1e9),
        ]
    )
    path = "/api/apps/shop/metrics/aggregated"
    answer = await client.get(path, from_=start, to=start + 2 * MINUTE, step="2m")
    assert (answer["step"], answer["from"], answer["to"]) == (120, iso(start), iso(start + 2 * MINUTE))
    assert answer["errorBound"] <= 0.011
    assert [(one["path"], one["metric"]) for one in answer["data"]] == [
        ("cpu.usage", names.APP_CPU_USAGE), ("net.up", names.APP_METRIC),
    ]  # fmt: skip
    first = answer["data"][0]
    assert (first["count"], first["min"], first["max"], first["avg"]) == (100, 1, 100, 50.5)
    [step] = first["steps"]
    assert (step["at"], step["count"], step["min"], step["max"], step["avg"], step["last"]) == (
        start, 100, 1, 100, 50.5, 100,
    )  # fmt: skip
    for name, exact in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert step[name] == pytest.approx(exact, rel=0.011)
    minutes = await client.get(path, from_=start, to=start + 5 * MINUTE, step="1m", metric="cpu.usage")
    assert [(one["at"], one["count"]) for one in minutes["data"][0]["steps"]] == [(start, 60), (start + MINUTE, 40)]
    assert len(minutes["data"]) == 1
    assert minutes["data"][0]["avg"] == 50.5
    assert (await client.get("/api/apps/nobody/metrics/aggregated", period="day"))["data"] == []


async def test_more_numbers_than_an_answer_holds_are_refused_with_what_to_do(client: Client, world: World) -> None:
    keys = [world.key(names.APP_METRIC, Kind.GAUGE, app="shop", key=f"n{i}") for i in range(32)]
    await world.send([(key, NOW - MINUTE, 1.0) for key in keys])
    body = await client.get("/api/apps/shop/metrics/aggregated", 422, period="day", step="1m")
    assert "name at most" in body["message"]


async def test_users_see_the_apps_that_they_are_assigned_to_and_tenants_never_each_others(
    office: Office, database: Database
) -> None:
    now = office.clock.now_ms()
    keeper = Keeper(database, now)
    await keeper.store.prepare()
    acme, rival = await office.tenant("acme"), await office.tenant("rival")
    for tenant in (acme, rival):
        for app in ("shop", "desk"):
            await keeper.keep(tenant, app, (now - MINUTE, 1))
    admin, user = await office.user(acme, Role.ADMIN), await office.user(acme, Role.USER)
    readonly, stranger = await office.user(acme, Role.READONLY), await office.user(rival, Role.USER)
    reader, writer = await office.key(acme, Scope.READ), await office.key(acme, Scope.WRITE)
    me = await office.call("GET", "/auth/me", user)
    path = f"/admin/tenants/{acme}/users/{me['id']}"
    await office.call("PATCH", path, admin, apps=["shop"])
    office.clock.advance(10)

    async def seen(who: Any) -> list[str]:
        return [one["appId"] for one in (await office.call("GET", "/api/apps", who))["apps"]]

    assert await seen(admin) == await seen(reader) == ["desk", "shop"]
    assert await seen(user) == ["shop"]
    assert await seen(readonly) == await seen(stranger) == []
    for rest in ("", "/aggregated"):
        await office.call("GET", f"/api/apps/shop/metrics{rest}", user)
        await office.call("GET", f"/api/apps/shop/metrics{rest}", reader)
        for who, status in ((user, 404), (stranger, 404), (readonly, 404), (writer, 403), (None, 401)):
            await office.call("GET", f"/api/apps/desk/metrics{rest}", who, status)
    await office.call("GET", "/api/apps/shop/metrics", {**user, "x-scope-orgid": rival}, 404)
    await office.call("PATCH", path, admin, apps=[])
    office.clock.advance(10)
    assert await seen(user) == []
    await office.call("GET", "/api/apps/shop/metrics", user, 404)
