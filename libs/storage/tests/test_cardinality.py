"""Which label makes a tenant's series so many, asked of a real MongoDB."""

import asyncio
from typing import Any

import pytest
from vigie_contracts.series import Kind, series_key
from vigie_runtime.clock import ManualClock
from vigie_storage.series import cardinality as module
from vigie_storage.series.cardinality import KEPT_S, Cardinality
from vigie_storage.series.writer import SeriesWriter


async def register(database: Any, tenant: str, name: str, labels: list[dict[str, object]]) -> None:
    catalogue = SeriesWriter(database, 4)
    await catalogue.ensure_indexes()
    await catalogue.register([series_key(tenant, name, Kind.COUNTER, one) for one in labels])


def requests(users: int) -> list[dict[str, object]]:
    return [{"user_id": n, "endpoint": f"/{n % 7}", "query": f"a=b={n % 3}"} for n in range(users)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_the_label_with_the_most_values_is_named(database: Any, clock: ManualClock) -> None:
    await register(database, "acme", "http_requests_total", requests(1_214))
    found = await Cardinality(database, clock).explain("acme", "http_requests_total")
    assert str(found) == "label user_id of http_requests_total has 1,214 different values"


async def test_of_a_small_metric_the_large_one_beside_it_is_named(database: Any, clock: ManualClock) -> None:
    await register(database, "acme", "http_requests_total", requests(300))
    await register(database, "acme", "queue_length", [{"queue": "a"}, {"queue": "b"}])
    cardinality = Cardinality(database, clock)
    for metric in ("queue_length", "never_seen"):
        assert str(await cardinality.explain("acme", metric)).startswith("label user_id of http_requests_total")


async def test_of_two_large_metrics_the_refused_one_is_named(database: Any, clock: ManualClock) -> None:
    await register(database, "acme", "http_requests_total", requests(300))
    await register(database, "acme", "jobs_total", [{"job": n} for n in range(100)])
    assert str(await Cardinality(database, clock).explain("acme", "jobs_total")) == (
        "label job of jobs_total has 100 different values"
    )


async def test_other_tenants_do_not_show(database: Any, clock: ManualClock) -> None:
    await register(database, "rival", "http_requests_total", requests(50))
    assert await Cardinality(database, clock).explain("acme", "http_requests_total") is None


async def test_a_metric_without_labels_explains_nothing(database: Any, clock: ManualClock) -> None:
    await register(database, "acme", "up", [{}])
    assert await Cardinality(database, clock).explain("acme", "up") is None


async def test_no_more_series_are_looked_at_than_may_be(
    database: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 20)
    await register(database, "acme", "http_requests_total", requests(50))
    assert str(await Cardinality(database, clock).explain("acme", "http_requests_total")) == (
        "label user_id of http_requests_total has at least 20 different values"
    )


async def test_an_answer_is_kept_for_a_while(database: Any, clock: ManualClock) -> None:
    cardinality = Cardinality(database, clock)
    assert await cardinality.explain("acme", "m") is None
    await register(database, "acme", "m", [{"a": n} for n in range(5)])
    assert await cardinality.explain("acme", "m") is None
    clock.advance(KEPT_S + 1)
    assert str(await cardinality.explain("acme", "m")) == "label a of m has 5 different values"


async def test_requests_at_once_share_a_question_and_further_ones_go_without(
    database: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cardinality, gate, asked = Cardinality(database, clock), asyncio.Event(), []

    async def first(_tenant: str, pipeline: Any) -> None:
        asked.append(pipeline)
        await gate.wait()

    monkeypatch.setattr(cardinality, "_first", first)
    waiting = [asyncio.create_task(cardinality.explain("acme", f"m{n % 2}")) for n in range(20)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(asked) == 2
    assert await cardinality.explain("acme", "another") is None
    gate.set()
    assert await asyncio.gather(*waiting) == [None] * 20
    assert len([one for one in asked if {"$count": "series"} in one]) == 2


async def test_who_waits_too_long_goes_without(
    database: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    cardinality = Cardinality(database, clock)

    async def first(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(cardinality, "_first", first)
    assert await cardinality.explain("acme", "m") is None
    await cardinality.close()
