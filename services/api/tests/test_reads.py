"""Everything that was written is read back exactly, over real MongoDB and Redis."""

import json
import re
import threading
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from vigie_api.query.schemas import RangeResult
from vigie_contracts import names
from vigie_contracts.latest import hash_key
from vigie_contracts.series import Kind
from vigie_contracts.tiers import HOUR as HOURS
from vigie_contracts.tiers import MINUTE as MINUTES
from vigie_query.evaluation import Evaluation
from vigie_query.functions import Function
from vigie_storage.collections import windows
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter, query

pytestmark = pytest.mark.connected

HOUR, MINUTE = 3_600_000, 60_000
NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * MINUTE + 5_000


def values(answer: dict[str, Any]) -> list[list[float]]:
    """Of each series, the numbers that are not null."""
    RangeResult.model_validate(answer)
    return [[value for _, value in series["points"] if value is not None] for series in answer["series"]]


async def test_nothing_sent_yet_gives_empty_answers(client: Any) -> None:
    for path in ("metrics/summary", "metrics/system", "metrics/application", "metrics/business", "dashboard/summary"):
        body = await client.get(f"/api/{path}")
        assert body["timestamp"].endswith("Z")
        assert body["from"] < body["to"]
    body = await client.get("/api/metrics/business")
    assert body["period"] == "24h"
    assert body["bookings"]["created"] is None
    assert body["revenue"] == body["funnel"] == body["other"] == []
    assert (await client.get("/api/dashboard/realtime"))["newestSampleAt"] is None
    assert (await client.get("/api/dashboard/charts/bookings"))["series"] == []
    assert (await client.get("/api/series"))["series"] == []
    answer = await client.get("/api/query_range", metric="nothing", function="p99")
    assert (answer["series"], answer["errorBound"]) == ([], None)
    assert (await client.http.get("/metrics")).text == ""


async def test_a_posted_custom_counter_is_visible_everywhere(client: Any, world: Any) -> None:
    key = world.key("custom_counter", service="booking", endpoint="/api/bookings")
    await world.send([(key, NOW - 3_000, 1.0), (key, NOW - 2_000, 1.0)])
    summary = await client.get("/api/metrics/summary")
    (custom,) = summary["custom"]
    assert (custom["name"], custom["value"], custom["series"]) == ("custom_counter", 2.0, 1)
    assert summary["series"]["counter"] == summary["series"]["live"] == 1
    text = (await client.http.get("/metrics")).text
    assert 'custom_counter{endpoint="/api/bookings",service="booking",vigie_type="counter"} 2.0' in text
    (found,) = (await client.get("/api/series", name="custom_counter"))["series"]
    assert found["fingerprint"] == f"{key.fingerprint:016x}"
    assert found["latest"]["sum"] == 2
    assert found["labels"] == {"service": "booking", "endpoint": "/api/bookings"}
    answer = await client.get("/api/query_range", metric="custom_counter", function="increase")
    assert values(answer) == [[2.0]]


async def test_the_business_answer_adds_up(client: Any, world: Any) -> None:
    at = NOW - 5 * HOUR
    samples = []
    for service, count in (("paris", 5), ("rome", 3)):
        samples += [(world.key(names.BOOKINGS_CREATED, service=service), at + i, 1.0) for i in range(count)]
        samples += [(world.key(names.BOOKINGS_COMPLETED, service=service), at + 10, 2.0)]
        samples += [(world.key(names.REVENUE, service=service, currency="EUR"), at + i, 19.99) for i in range(3)]
        samples += [(world.key(names.ACTIVE_USERS, Kind.GAUGE, service=service), NOW - 9_000, 10.0 * count)]
    samples += [
        (world.key(names.BOOKINGS_CANCELLED, service="rome"), at, 1.0),
        (world.key(names.REVENUE, service="rome", currency="USD"), at, 100.0),
        (world.key(names.REFUNDS, service="rome", currency="USD"), at, 40.0),
        (world.key(names.FUNNEL_STEPS, service="web", step="zzz"), at, 1.0),
        (world.key(names.FUNNEL_STEPS, service="web", step="cart"), at, 25.0),
        (world.key(names.FUNNEL_STEPS, service="web", step="visit"), at, 100.0),
        (world.key(names.SATISFACTION, Kind.HISTOGRAM, service="web"), at, 4.0),
        (world.key(names.SATISFACTION, Kind.HISTOGRAM, service="web"), at + 1, 5.0),
        (world.key(names.SATISFACTION, Kind.HISTOGRAM, service="web"), at + 2, 5.0),
        (world.key(names.PAYMENTS, status="succeeded", method="card"), at, 9.0),
        (world.key(names.PAYMENTS, status="failed", method="card"), at, 1.0),
        (world.key("bookings_imported"), at, 7.0),
    ]
    await world.send(samples)
    body = await client.get("/api/metrics/business")
    bookings = body["bookings"]
    assert (bookings["created"], bookings["completed"], bookings["cancelled"]) == (8, 4, 1)
    assert (bookings["completionRatePercent"], bookings["cancellationRatePercent"]) == (50, 12.5)
    assert [one["service"] for one in body["bookingsByService"]] == ["paris", "rome"]
    assert body["revenue"] == [
        {"currency": "EUR", "revenue": 119.94, "refunds": None, "net": 119.94},
        {"currency": "USD", "revenue": 100, "refunds": 40, "net": 60},
    ]
    assert body["activeUsers"] == {"current": 80, "avg": 80, "peak": 80}
    assert [(s["step"], s["count"], s["rateFromPreviousPercent"]) for s in body["funnel"]] == [
        ("visit", 100, None), ("cart", 25, 25), ("zzz", 1, 4),
    ]  # fmt: skip
    assert body["satisfaction"]["count"] == 3
    assert body["satisfaction"]["avg"] == pytest.approx(14 / 3)
    assert body["satisfaction"]["p50"] == pytest.approx(5, rel=0.01)
    assert body["payments"]["successRatePercent"] == 90
    assert [one["name"] for one in body["other"]] == ["bookings_imported"]
    assert (await client.get("/api/metrics/business", period="1h"))["bookings"]["created"] is None
    assert (await client.get("/api/metrics/business", from_=at + 3, to=at + 4))["from"] is not None
    chart = await client.get("/api/dashboard/charts/revenue", period="7d", step="1d", timezone="Europe/Paris")
    assert [(line["name"], sum(v or 0 for _, v in line["points"])) for line in chart["series"]] == [
        ("EUR", pytest.approx(119.94)), ("USD", 100),
    ]  # fmt: skip


async def test_the_application_answer_has_rates_and_percentiles(client: Any, world: Any) -> None:
    at = NOW - 10 * MINUTE
    samples = []
    for status, count in (("200", 89), ("404", 6), ("503", 4)):
        key = world.key(names.HTTP_REQUESTS, service="web", method="GET", endpoint="/", status=status)
        samples += [(key, at + i, 1.0) for i in range(count)]
    duration = world.key(names.HTTP_DURATION, Kind.HISTOGRAM, service="web", endpoint="/")
    samples += [(duration, at + i * 1_000, (i + 1) / 100) for i in range(100)]
    samples += [
        (world.key(names.HTTP_REQUESTS, service="old", status_code="302"), at, 1.0),
        (world.key(names.ACTIVE_CONNECTIONS, Kind.GAUGE, service="web"), at, 12.0),
        (world.key(names.DB_QUERY_DURATION, Kind.HISTOGRAM, service="db", operation="find"), at, 0.5),
    ]
    await world.send(samples)
    body = await client.get("/api/metrics/application")
    requests = body["overall"]["requests"]
    assert (requests["total"], requests["clientErrors"], requests["serverErrors"]) == (100, 6, 4)
    assert (requests["clientErrorRatePercent"], requests["errorRatePercent"]) == (6, 10)
    assert requests["byStatus"] == {"200": 89, "302": 1, "404": 6, "503": 4}
    assert [(one["service"], one["requests"]["byStatus"]) for one in body["services"] if one["service"] != "db"] == [
        ("old", {"302": 1}), ("web", {"200": 89, "404": 6, "503": 4}),
    ]  # fmt: skip
    assert requests["perSecond"] == pytest.approx(100 / 3605, rel=0.01)
    latency = body["overall"]["latency"]
    for name, exact in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        assert latency[f"{name}Seconds"] == pytest.approx(exact, rel=0.0101)
    assert [one["service"] for one in body["services"]] == ["db", "old", "web"]
    assert body["services"][2]["requests"]["total"] == 99
    assert body["services"][0]["requests"]["total"] is None
    assert body["queries"][0]["operation"] == "find"
    assert body["overall"]["activeConnections"]["avg"] == 12


async def test_the_system_answer_is_by_host_and_overall(client: Any, world: Any) -> None:
    at = NOW - 10 * MINUTE
    samples = []
    for host, load in (("a", 20.0), ("b", 60.0)):
        samples += [(world.key(names.CPU_USAGE, Kind.GAUGE, host=host), at + i * 10_000, load + i) for i in range(3)]
        samples += [(world.key(names.LOAD_AVERAGE, Kind.GAUGE, host=host, period="5m"), at, load / 10)]
        samples += [(world.key(names.MEMORY_USED, Kind.GAUGE, host=host), at, load * 1e9)]
        samples += [(world.key(names.CPU_USAGE, Kind.GAUGE, host=host, core="10"), at, 99.0)]
        samples += [(world.key(names.CPU_USAGE, Kind.GAUGE, host=host, core="2"), at, 1.0)]
        samples += [(world.key(names.DISK_READS, host=host), at, 7210.0)]
        received = world.key(names.NETWORK_RECEIVED, Kind.CUMULATIVE, host=host)
        samples += [(received, at + i * 30_000, 1e6 + 360_500.0 * i) for i in range(3)]
    await world.send(samples)
    body = await client.get("/api/metrics/system")
    assert body["overall"]["cpuUsagePercent"] == {"min": 20, "avg": 41, "max": 62, "last": 62}
    assert [host["host"] for host in body["hosts"]] == ["a", "b"]
    assert body["hosts"][0]["cpuUsagePercent"]["avg"] == 21
    assert body["hosts"][1]["loadAverage"] == {"oneMinute": None, "fiveMinutes": 6, "fifteenMinutes": None}
    assert [(one["core"], one["usagePercent"]["avg"]) for one in body["hosts"][0]["cpuCores"]] == [("2", 1), ("10", 99)]
    assert body["hosts"][0]["memoryUsedBytes"]["last"] == 20e9
    assert body["hosts"][0]["diskReadsPerSecond"] == pytest.approx(2, rel=0.01)
    assert body["other"] == []
    rate = body["hosts"][0]["networkReceivedBytesPerSecond"]
    assert rate == pytest.approx(721_000 / 3605, rel=0.01)
    assert body["overall"]["networkReceivedBytesPerSecond"] == pytest.approx(2 * rate)
    chart = await client.get("/api/dashboard/charts/cpu", period="1h", step="1m")
    assert [line["labels"] for line in chart["series"]] == [{"host": "a"}, {"host": "b"}]
    assert max(value for line in chart["series"] for _, value in line["points"] if value is not None) == 61
    chart = await client.get("/api/dashboard/charts/cores", period="1h", step="1m")
    assert len(chart["series"]) == 4
    chart = await client.get("/api/dashboard/charts/system", period="1h", step="1m")
    assert [line["name"] for line in chart["series"]] == ["cpu"]


async def test_realtime_has_the_last_minute_and_latest_values(client: Any, world: Any) -> None:
    samples = [(world.key(names.BOOKINGS_CREATED, service="web"), NOW - i * 10_000, 7.0) for i in range(7)]
    samples += [(world.key(names.ACTIVE_USERS, Kind.GAUGE, service=s), NOW - 1_000, 5.0) for s in ("a", "b")]
    await world.send(samples)
    body = await client.get("/api/dashboard/realtime")
    assert body["bookingsPerMinute"] == pytest.approx(42, rel=0.2)
    assert body["activeUsers"] == 10
    assert body["liveSeries"] == 3


async def test_points_stitch_the_tiers_without_gap_or_double(client: Any, world: Any) -> None:
    """One sample a second for three hours, the coarse tiers behind: every step has exactly its samples."""
    key = world.key("beats", Kind.COUNTER)
    begin = NOW // HOUR * HOUR - 3 * HOUR
    await world.send([(key, at, 1.0) for at in range(begin, NOW, 1_000)], coarse_until=NOW - 7 * MINUTE)
    for step in ("10s", "1m", "5m", "1h"):
        seconds = {"10s": 10, "1m": 60, "5m": 300, "1h": 3600}[step]
        answer = await client.get("/api/query_range", metric="beats", function="increase", step=step, from_=begin)
        points = answer["series"][0]["points"]
        assert {value for _, value in points[:-1]} == {seconds}
        assert sum(value for _, value in points) == (NOW - begin) // 1_000
        assert points[0][0] == begin
    assert answer["tiers"] == ["10s", "1m", "1h"]
    assert answer["tier"] == "1h"
    # Coarse windows really are what is read, where they are complete.
    await world.database[windows(HOURS).name].delete_many({"_id.t": world.tenant, "_id.w": begin})
    answer = await client.get("/api/query_range", metric="beats", function="count", step="1h", from_=begin)
    assert answer["series"][0]["points"][0] == [begin, None]
    assert answer["series"][0]["points"][1][1] == 3600


async def test_functions_and_groups_say_what_they_mean(client: Any, world: Any) -> None:
    at = NOW // HOUR * HOUR
    gauges = [world.key("temperature", Kind.GAUGE, room=room, floor=floor) for room, floor in ("a1", "b1", "c2")]
    samples = [(gauge, at + i * 1_000, 10.0 * n + i) for n, gauge in enumerate(gauges) for i in range(5)]
    growing = world.key("requests", Kind.CUMULATIVE, pod="x")
    samples += [(growing, at - 1_000, 50.0), (growing, at + 1_000, 60.0), (growing, at + 61_000, 5.0)]
    await world.send(samples)

    async def ask(function: str, **more: Any) -> Any:
        return await client.get(
            "/api/query_range", metric="temperature", function=function, from_=at, step="1h", **more
        )

    assert values(await ask("avg")) == [[12]]
    assert values(await ask("min")) == [[0]]
    assert values(await ask("max")) == [[24]]
    assert values(await ask("last")) == [[24]]
    assert values(await ask("count")) == [[15]]
    assert values(await ask("sum")) == [[36]]
    by_floor = await ask("max", by="floor")
    assert [(one["labels"], one["points"][0][1]) for one in by_floor["series"]] == [
        ({"floor": "1"}, 14), ({"floor": "2"}, 24),
    ]  # fmt: skip
    assert len((await ask("max", by="*"))["series"]) == 3
    assert values(await ask("max", match=["room!=c", "floor=~1|2"])) == [[14]]
    assert values(await ask("max", **{"match[]": "room=b"})) == [[14]]
    assert values(await ask("max", match="room!~b|c")) == [[4]]
    limited = await ask("max", by="room", limit=2)
    assert (limited["truncated"], limited["seriesCount"], len(limited["series"])) == (True, 3, 2)
    p90 = await ask("p90")
    assert p90["errorBound"] == 0.01
    assert values(p90)[0][0] == pytest.approx(23, rel=0.0101)
    growth = await client.get("/api/query_range", metric="requests", function="increase", from_=at, step="1m")
    assert values(growth) == [[10, 5]]
    rate = await client.get("/api/query_range", metric="requests", function="rate", from_=at, step="1m")
    assert values(rate)[0][0] == pytest.approx(10 / 60)
    assert growth["errorBound"] == 0


async def test_numbers_are_evaluated_while_the_event_loop_serves_others(
    client: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.send([(world.key(name, Kind.GAUGE, host="a"), NOW, 1.0) for name in (names.CPU_USAGE, "m")])
    threads: list[int] = []
    run = Evaluation.run

    def watched(self: Evaluation, function: Function) -> Any:
        threads.append(threading.get_ident())
        return run(self, function)

    monkeypatch.setattr(Evaluation, "run", watched)
    for path in ("metrics/system", "metrics/summary", "dashboard/summary", "dashboard/charts/cpu"):
        await client.get(f"/api/{path}")
    await client.get("/api/query_range", metric="m")
    assert len(threads) > 5
    assert threading.get_ident() not in threads


async def test_functions_without_meaning_are_refused(client: Any, world: Any) -> None:
    at = NOW - MINUTE
    await world.send([(world.key("c", Kind.COUNTER), at, 1.0), (world.key("g", Kind.GAUGE), at, 1.0)])
    body = await client.get("/api/query_range", 422, metric="c", function="p95")
    assert "a counter has no distribution" in body["detail"]
    body = await client.get("/api/query_range", 422, metric="g", function="rate")
    assert body["errors"][0]["field"] == "function"


async def test_questions_that_cost_too_much_say_what_to_ask_instead(client: Any, world: Any, settings: Any) -> None:
    keys = [world.key("m", Kind.GAUGE, i=str(i)) for i in range(10)]
    await world.send([(key, NOW - ago, 1.0) for key in keys for ago in range(MINUTE, HOUR - MINUTE, 10_000)])
    reader = client.app.state.service.resources.reader
    reader.limits = type(reader.limits)(series=9, documents=100, preferred_documents=50)
    body = await client.get("/api/query_range", 422, metric="m")
    assert "more than 9 series" in body["detail"]
    body = await client.get("/api/query_range", 422, metric="m", match="i=~[0-4]", step="10s")
    assert body["type"] == "/problems/limit-reached"
    step = re.search(r"use step=(\w+)", body["detail"])[1]
    body = await client.get("/api/query_range", metric="m", match="i=~[0-4]", step=step)
    assert body["step"] > 10
    # Without a step one is found that is cheap enough.
    body = await client.get("/api/query_range", metric="m", match="i=~[0-4]")
    assert body["step"] > 10
    body = await client.get("/api/query_range", 422, metric="m", match="i=1", from_="now-3d", to="now-71h", step=10)
    assert "multiple of 1m" in body["detail"]


async def test_windows_beyond_retention_are_ignored_though_they_still_exist(client: Any, world: Any) -> None:
    key = world.key("old", Kind.GAUGE)
    await world.send([(key, NOW - 31 * 24 * HOUR, 1.0)])
    assert await world.database[windows(MINUTES).name].count_documents({}) == 1
    answer = await client.get("/api/query_range", metric="old", from_="now-32d", function="count")
    assert values(answer) == [[1]]
    assert answer["tier"] == "1h"


async def test_series_are_paged_without_missing_or_repeating(client: Any, world: Any) -> None:
    keys = [world.key(f"page_{i % 4}", Kind.GAUGE, i=str(i)) for i in range(50)]
    await world.send([(key, NOW, 1.0) for key in keys])
    seen: list[str] = []
    cursor = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        body = await client.get("/api/series", limit=7, **more)
        seen += [one["fingerprint"] for one in body["series"]]
        assert (body["total"], body["totalIsExact"]) == (50, True)
        cursor = body["nextCursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(f"{key.fingerprint:016x}" for key in keys)
    assert len(seen) == 50


async def test_a_page_reads_the_index_in_order_and_sorts_nothing(client: Any, world: Any) -> None:
    await world.send([(world.key(f"m_{i % 4}", Kind.GAUGE, i=str(i)), NOW, 1.0) for i in range(200)])
    for wanted, after in ((Filter(), None), (Filter(), ("m_2", 0)), (Filter(prefix="m_"), None)):
        cursor = SeriesCatalogue(world.database)._find(world.tenant, query(wanted, after))
        cursor = cursor.sort([("name", 1), ("_id", 1)]).limit(5)
        explained = await cursor.explain()
        assert '"SORT"' not in json.dumps(explained["queryPlanner"]["winningPlan"], default=str)
        assert explained["executionStats"]["totalKeysExamined"] <= 10


async def test_series_are_found_by_name_labels_and_type(client: Any, world: Any) -> None:
    await world.send([(world.key("http_requests_total", service="a", region="eu"), NOW, 1.0),
                      (world.key("http_errors_total", service="b"), NOW, 1.0),
                      (world.key("users", Kind.GAUGE, service="a"), NOW, 1.0)])  # fmt: skip

    async def found(**parameters: Any) -> list[str]:
        return [one["name"] for one in (await client.get("/api/series", **parameters))["series"]]

    assert await found(name="users") == ["users"]
    assert await found(name="http_*") == ["http_errors_total", "http_requests_total"]
    assert await found(name="*") == ["http_errors_total", "http_requests_total", "users"]
    assert await found(nameRegex="http_(err|x).*") == ["http_errors_total"]
    assert await found(nameRegex="nothing") == []
    assert await found(type="gauge") == ["users"]
    assert await found(match=["service=a", "region=eu"]) == ["http_requests_total"]
    assert await found(match="region=") == ["http_errors_total", "users"]
    assert await found(match="service!=a") == ["http_errors_total"]
    assert await found(match="service=~a|b", name="http_*") == ["http_errors_total", "http_requests_total"]
    assert (await client.get("/api/series", match="service=~a"))["total"] is None


async def test_the_exposition_survives_redis(client: Any, world: Any) -> None:
    await world.send([(world.key("users", Kind.GAUGE, service="a"), NOW, 42.0)], redis=False)
    assert await world.redis.exists(hash_key(world.tenant)) == 0
    headers = {"accept": "application/openmetrics-text;version=1.0.0"}
    answer = await client.http.get("/metrics", headers=headers)
    (family,) = parse_openmetrics(answer.text)
    assert family.samples[0].value == 42
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    client.clock.advance(301)
    assert (await client.http.get("/metrics", headers=headers)).text == "# EOF\n"
    assert "users" in (await client.http.get("/metrics?stale=true")).text


async def test_chunks_that_redis_has_not_got_back_yet_come_from_mongodb(client: Any, world: Any) -> None:
    keys = [world.key("level", Kind.GAUGE, i=str(i)) for i in range(20)]
    await world.send([(key, NOW - 1_000, 1.0) for key in keys])
    fields = sorted(await world.redis.hkeys(hash_key(world.tenant)))
    assert len(fields) == 3
    await world.redis.hdel(hash_key(world.tenant), *fields[1:])
    found = (await client.get("/api/series", name="level"))["series"]
    assert [one["latest"]["value"] for one in found] == [1.0] * 20
    (custom,) = (await client.get("/api/metrics/summary"))["custom"]
    assert (custom["series"], custom["sum"]) == (20, 20)
    assert (await client.get("/api/dashboard/realtime"))["liveSeries"] == 20
    assert (await client.http.get("/metrics")).text.count("level{") == 20


async def test_other_tenants_are_never_seen(client: Any, world: Any) -> None:
    own, world.tenant = world.tenant, world.tenant + "-other"
    await world.send([(world.key("secret", Kind.GAUGE), NOW, 1.0)])
    await world.redis.delete(hash_key(world.tenant))
    world.tenant = own
    assert (await client.get("/api/series"))["series"] == []
    assert (await client.get("/api/query_range", metric="secret"))["series"] == []
    assert (await client.get("/api/metrics/summary"))["custom"] == []
    assert "secret" not in (await client.http.get("/metrics")).text


async def test_health_is_ready(client: Any) -> None:
    assert await client.get("/health/ready") == {
        "status": "ready", "not_ready": [], "mongodb": "ok", "whole": "ok", "start": "ok", "redis": "ok",
        "degraded": [], "checks": {"mongodb": True, "whole": True, "start": True, "redis": True},
    }  # fmt: skip
