"""PromQL over the stored windows gives what it gives over the samples: one suite, on a double of the store and on the
real one."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pytest
from redis.asyncio import Redis
from vigie_contracts.latest import BUCKET_BOUNDS, Buckets, Latest, pack
from vigie_contracts.series import Kind, Labels, SeriesKey, series_key
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import TIERS
from vigie_query.errors import QueryLimitExceeded
from vigie_query.matchers import predicate
from vigie_query.planning import Plan
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.reading import SamplesReader, wanted
from vigie_query.promql.samples import Vector
from vigie_query.series import Selection, Series, too_many
from vigie_query.times import DAY, HOUR, MINUTE, SECOND
from vigie_runtime.clock import ManualClock
from vigie_runtime.expressions import Expressions
from vigie_storage import collections
from vigie_storage.latest import Chunks, LatestChunk, LatestReader
from vigie_storage.latest import document as latest_document
from vigie_storage.promql.reader import Asked, PromqlReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter
from vigie_storage.series.writer import Registered, SeriesWriter
from vigie_storage.windows import document as documents
from vigie_storage.windows.reader import Completeness, WindowReader
from vigie_windows import Cells, chunks, fold, sketch, widen

TENANT = TenantId(f"acme-{uuid4().hex}")
"""Nobody else's, also in a Redis that others use."""
NOW = 1_790_000_000_000 // HOUR * HOUR
Raw = dict[int, float]
Stored = dict[SeriesKey, Raw]


def key(name: str, kind: Kind, **labels: str) -> SeriesKey:
    return series_key(TENANT, name, kind, labels)


def every(seconds: int, values: list[float], last_ms: int = NOW - 3 * SECOND) -> Raw:
    """Values so far apart, the last one then."""
    first = last_ms - (len(values) - 1) * seconds * SECOND
    return {first + i * seconds * SECOND: value for i, value in enumerate(values)}


STORED: Stored = {
    key("temperature", Kind.GAUGE, room="a"): every(10, [20.0 + i % 7 for i in range(60)]),
    key("temperature", Kind.GAUGE, room="b"): every(10, [10.0 - i for i in range(60)]),
    key("http.requests", Kind.CUMULATIVE, code="200"): every(10, [float(7 * (i % 40)) for i in range(60)]),
    key("http.requests", Kind.CUMULATIVE, code="500"): every(30, [float(i) for i in range(20)]),
    key("orders", Kind.COUNTER, shop="x"): every(10, [float(i % 3) for i in range(60)]),
    key("orders", Kind.COUNTER, shop="y"): {NOW - 40 * SECOND: 5.0},
    key("latency", Kind.HISTOGRAM, route="/"): every(10, [0.2 + 0.1 * (i % 9) for i in range(60)]),
    key("sent_total", Kind.COUNTER): every(10, [1.0] * 30),
    key("sent", Kind.COUNTER): every(10, [2.0] * 30),
}


def cells_of(points: dict[int, Raw], kinds: npt.NDArray[np.uint8], width_ms: int = 10_000) -> Cells:
    rows = np.repeat(np.array(list(points), np.int64), [len(own) for own in points.values()])
    times = np.array([at for own in points.values() for at in own], np.int64)
    values = np.array([value for own in points.values() for value in own.values()], np.float64)
    return widen(fold(rows, times, values, kinds), width_ms)


def latest_of(series: dict[Series, Raw]) -> Latest:
    """Of the series of one chunk, by slot."""
    ordered = sorted(series.items(), key=lambda pair: pair[0].slot)
    buckets: list[tuple[int, int, int]] = []
    place = sketch.bound_places(BUCKET_BOUNDS)
    for one, own in ordered:
        if one.kind is Kind.HISTOGRAM:
            found = place[sketch.buckets_of(np.array(list(own.values()))) + sketch.BUCKETS]
            counts = np.bincount(found, minlength=len(BUCKET_BOUNDS) + 1)[:-1]
            buckets += [(one.slot, int(bound), int(counts[bound])) for bound in np.flatnonzero(counts)]
    columns = list(zip(*buckets, strict=True)) or [(), (), ()]
    return Latest(
        np.array([one.slot for one, _ in ordered], np.uint8),
        np.array([max(own) for _, own in ordered], np.int64),
        np.array([own[max(own)] for _, own in ordered], np.float64),
        np.array([math.fsum(own.values()) for _, own in ordered], np.float64),
        np.array([len(own) for _, own in ordered], np.int64),
        Buckets(np.array(columns[0], np.uint8), np.array(columns[1], np.uint8), np.array(columns[2], np.int64)),
    )


@dataclass
class Double:
    """What the catalogue, the windows and the latest values are, of samples by series."""

    samples: dict[Series, Raw]
    dirty_since: dict[str, int | None] = field(default_factory=dict[str, int | None])
    plans: list[Plan] = field(default_factory=list[Plan])
    session: Double | None = None

    @classmethod
    def of(cls, stored: Stored) -> Double:
        return cls(
            {
                Series(one.fingerprint, one.name, one.kind, one.labels, i % 3, 7 + 300 * (i % 2) + i, 0): own
                for i, (one, own) in enumerate(stored.items())
            }
        )

    async def find(self, _tenant: TenantId, wanted: Filter, limit: int, what: str) -> list[Series]:
        accepts = predicate(wanted.matchers)
        found = [
            one for one in self.samples
            if (wanted.names is None or one.name in wanted.names)
            and (wanted.kinds is None or one.kind in wanted.kinds)
            and accepts(dict(one.labels))
        ]  # fmt: skip
        if len(found) > limit:
            raise too_many(limit, what)
        return found

    async def next_ordinals(self, _tenant: TenantId) -> dict[int, int]:
        return {0: len(self.samples)}

    async def families(self, _tenant: TenantId) -> list[tuple[str, Kind]]:
        return sorted({(one.name, one.kind) for one in self.samples})

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator[Double]:
        """What comes later is not seen."""
        moment = Double({one: dict(own) for one, own in self.samples.items()}, self.dirty_since, self.plans)
        moment.session = moment
        yield moment

    async def stored(self, _tenant: TenantId, wanted: Collection[tuple[int, int]], session: Double | None) -> Chunks:
        samples = (session or self).samples
        return {chunk: latest_of({one: own for one, own in samples.items() if one.chunk == chunk}) for chunk in wanted}

    async def completeness(self, _partitions: Collection[int]) -> Completeness:
        return Completeness(self.dirty_since, {})

    async def count(self, _t: TenantId, _s: Selection, plan: Plan, limit: int, _rows: Any = None) -> int:
        return min(limit, plan.windows)

    async def read(
        self, _tenant: TenantId, selection: Selection, plan: Plan, _columns: Any, rows: npt.NDArray[np.int64]
    ) -> tuple[Cells, ...]:
        self.plans.append(plan)
        row_of = dict(zip(selection.series, selection.rows.tolist(), strict=True))
        points = {row: self.samples[one] for one, row in row_of.items() if row in set(rows.tolist())}
        kinds = np.zeros(1 << 13, np.uint8)
        for one, row in row_of.items():
            kinds[row] = one.kind
        wide = [(piece, cells_of(points, kinds, piece.tier.width_ms)) for piece in plan.pieces]
        return tuple(cells.select((cells.starts >= piece.start) & (cells.starts < piece.end)) for piece, cells in wide)


def over(double: Any, now_ms: int = NOW, limits: Limits | None = None) -> SamplesReader:
    clock = ManualClock(now_ms)
    series = SeriesReader(double, double, clock, limits or Limits(1_000, 100_000, 5_000))
    return PromqlReader(series, double, double, clock, Expressions()).of(TENANT)


def in_memory(stored: Stored = STORED) -> SamplesReader:
    """What Prometheus would have scraped: counters of increments as their totals."""
    found: dict[Labels, Raw] = {}
    for one, own in stored.items():
        running, points = 0.0, {}
        for at, value in sorted(own.items()):
            running += value
            points[at] = running if one.kind is Kind.COUNTER else value
        found[labels_of({"__name__": one.name, **dict(one.labels)})] = points
    return MemoryReader.of({labels: points.items() for labels, points in found.items()})


@pytest.fixture
async def on_mongo(database: Any, redis_url: str) -> AsyncIterator[SamplesReader]:
    writer = SeriesWriter(database, 4)
    await writer.ensure_indexes()
    placed = await writer.register(list(STORED))
    samples: dict[Series, Raw] = {}
    for one, at in zip(STORED, placed, strict=True):
        assert isinstance(at, Registered)
        series = Series(one.fingerprint, one.name, one.kind, one.labels, at.partition, at.ordinal, 0)
        samples[series] = STORED[one]
    for chunk in {one.chunk for one in samples}:
        own = {one: points for one, points in samples.items() if one.chunk == chunk}
        kinds = np.zeros(256, np.uint8)
        for one in own:
            kinds[one.slot] = one.kind
        for tier in TIERS:
            cells = cells_of({one.slot: points for one, points in own.items()}, kinds, tier.width_ms)
            windows = [
                documents.Window(documents.Place(TENANT, chunk[1], start), packed)
                for _, start, packed in chunks.encode_all(cells)
            ]
            await database[collections.windows(tier).name].insert_many(
                [documents.document(chunk[0], tier, window) for window in windows]
            )
        latest = latest_of(own)
        [data] = pack(latest, [0, len(latest.slots)], [0, len(latest.buckets)])
        stored = LatestChunk(TENANT, chunk[1], data)
        await database[collections.LATEST.name].insert_one(latest_document(chunk[0], stored))
    clock = ManualClock(NOW)
    catalogue, windows = SeriesCatalogue(database), WindowReader(database, clock, "samples")
    reader = SeriesReader(catalogue, windows, clock, Limits(1_000, 100_000, 5_000))
    async with Redis.from_url(redis_url) as redis:
        latest = LatestReader(database, redis, clock)
        yield PromqlReader(reader, windows, latest, clock, Expressions()).of(TENANT)


async def ask(reader: SamplesReader, text: str, start: int = NOW, end: int | None = None, step: int = 0) -> Answer:
    return await answer(reader, Query(text, parse(text), start, start if end is None else end, step))


def points(found: Answer) -> dict[Labels, list[float]]:
    """The values of each series; nan where there is none."""
    assert isinstance(found.value, Vector)
    values = np.where(found.value.present, found.value.values, np.nan)
    return dict(zip(found.value.labels, values.tolist(), strict=True))


def same(one: Answer, other: Answer) -> bool:
    mine, theirs = points(one), points(other)
    return set(mine) == set(theirs) and all(
        np.allclose(mine[labels], theirs[labels], 1e-9, 1e-9, equal_nan=True) for labels in mine
    )


SAME = (
    "temperature",
    'temperature{room!="b"}',
    '{"http.requests", code=~"2.."}',
    '{__name__=~"temp.*|orders"}',
    '{room=~".+"}',
    'rate({"http.requests"}[2m])',
    'increase({"http.requests"}[97s])',
    "sum by (room) (avg_over_time(temperature[3m]))",
    "quantile_over_time(0.3, temperature[2m])",
    "stddev_over_time(temperature[2m])",
    "max_over_time(temperature[1m:20s]) - temperature",
    "changes(temperature[5m]) + resets(temperature[5m])",
    "deriv(temperature[5m])",
    "timestamp(temperature)",
    "absent(nothing)",
    "orders",
    "last_over_time(orders[1m])",
    "max_over_time(orders[1m:10s])",
    'temperature offset 2m @ end()',
)  # fmt: skip


async def check_same(reader: SamplesReader) -> None:
    memory = in_memory()
    for text in SAME:
        stored = await ask(reader, text)
        assert same(stored, await ask(memory, text)), text
        assert stored.infos == (), text
        ranged = NOW - 5 * MINUTE, NOW, 15 * SECOND
        assert same(await ask(reader, text, *ranged), await ask(memory, text, *ranged)), text


async def test_stored_windows_answer_as_the_samples_do() -> None:
    await check_same(over(Double.of(STORED)))


@pytest.mark.connected
async def test_windows_on_a_real_store_answer_as_the_samples_do(on_mongo: SamplesReader) -> None:
    await check_same(on_mongo)
    await check_derived(on_mongo)


async def check_derived(reader: SamplesReader) -> None:
    [grown] = points(await ask(reader, "increase(latency_count[1m])")).values()
    assert grown == [6]
    [total] = points(await ask(reader, "latency_sum")).values()
    assert total == [pytest.approx(sum(STORED[key("latency", Kind.HISTOGRAM, route="/")].values()))]
    buckets = points(await ask(reader, 'latency_bucket{le=~"0.5.*|[+]Inf"}'))
    assert buckets == {
        labels_of({"__name__": "latency_bucket", "route": "/", "le": repr(BUCKET_BOUNDS[11])}): [28],
        labels_of({"__name__": "latency_bucket", "route": "/", "le": "+Inf"}): [60],
    }
    inside = sorted([0.2 + 0.1 * (i % 9) for i in range(60)][-30:])
    median = await ask(reader, "histogram_quantile(0.5, sum by (route) (rate(latency[5m])))")
    assert points(median) == {(("route", "/"),): [pytest.approx(inside[14], rel=0.01)]}
    assert points(await ask(reader, "histogram_count(latency)")) == {(("route", "/"),): [30]}
    orders = points(await ask(reader, "orders_total"))
    assert orders[labels_of({"__name__": "orders_total", "shop": "y"})] == [5]
    assert points(await ask(reader, "increase(orders_total[5m])"))[(("shop", "y"),)] == [5]
    found = points(await ask(reader, 'count by (__name__) ({__name__=~"lat.*|sent.*"})'))
    sizes = {labels[0][1]: values for labels, values in found.items()}
    assert sizes == {
        "latency": [1], "latency_bucket": [31], "latency_sum": [1], "latency_count": [1],
        "sent": [1], "sent_total": [1],
    }  # fmt: skip
    assert points(await ask(reader, "increase(sent_total[1m])")) == {(): [6]}, "what was sent hides what is derived"


async def test_histograms_and_counters_are_found_under_their_derived_names() -> None:
    await check_derived(over(Double.of(STORED)))


async def test_an_instant_query_over_a_day_reads_wide_windows_and_is_exact() -> None:
    one = key("orders", Kind.COUNTER)
    stored = {one: {NOW - DAY + i * 7_001: float(i % 5) for i in range(12_000)}}
    double = Double.of(stored)
    at = NOW - 3 * MINUTE - 20 * SECOND
    inside = [value for when, value in stored[one].items() if at - 20 * HOUR < when <= at]
    found = await ask(over(double), "increase(orders[20h])", at)
    # A window that the edge of a range cuts belongs to where its last sample is: two of 10 s here.
    assert points(found) == {(): [pytest.approx(sum(inside), abs=5)]}
    assert found.infos == ()
    assert sum(piece.windows for piece in double.plans[0].pieces) < 200
    aligned = [value for when, value in stored[one].items() if NOW - 2 * HOUR < when <= NOW - HOUR]
    assert points(await ask(over(double), "increase(orders[1h])", NOW - HOUR)) == {(): [sum(aligned)]}


async def test_a_month_at_steps_of_an_hour_reads_a_window_for_each() -> None:
    one = key("temperature", Kind.GAUGE)
    double = Double.of({one: {NOW - 29 * DAY + i * 7 * MINUTE: float(i) for i in range(29 * DAY // (7 * MINUTE))}})
    found = await ask(over(double), "temperature", NOW - 28 * DAY, NOW, HOUR)
    [values] = points(found).values()
    for step, value in enumerate(values):
        since, ago = divmod(DAY + step * HOUR, 7 * MINUTE)
        assert value == since if ago < 5 * MINUTE else math.isnan(value), step
    assert [(piece.tier.name, piece.windows) for piece in double.plans[0].pieces] == [("1h", 28 * 24 + 2)]


async def test_a_sample_at_the_very_end_belongs_to_the_answer_and_those_after_it_do_not() -> None:
    """The window that begins with it is as wide as the others."""
    end = NOW - 20 * HOUR
    times = [end + (i - 300) * MINUTE for i in range(360)]
    stored: Stored = {
        key("level", Kind.GAUGE): {at: float(i % 11) for i, at in enumerate(times)},
        key("requests", Kind.CUMULATIVE): {at: float(i % 100) for i, at in enumerate(times)},
        key("orders", Kind.COUNTER): {at: float(i % 7 + 1) for i, at in enumerate(times)},
    }
    for text in (
        "level", "max_over_time(level[1h])", "count_over_time(level[2h])", "requests",
        "resets(requests[2h])", "orders", "last_over_time(orders[1h])", "count_over_time(orders[1h])",
    ):  # fmt: skip
        double = Double.of(stored)
        found = await ask(over(double), text, end - 2 * HOUR, end, HOUR)
        assert same(found, await ask(in_memory(stored), text, end - 2 * HOUR, end, HOUR)), text
        assert {piece.tier.name for piece in double.plans[0].pieces} == {"1h"} or "orders" in text, text
    [grown] = points(await ask(over(Double.of(stored)), "increase(orders[1h])", end - HOUR, end, HOUR)).values()
    raw = stored[key("orders", Kind.COUNTER)]
    assert grown == [sum(v for at, v in raw.items() if to - HOUR < at <= to) for to in (end - HOUR, end)]


async def test_an_old_range_says_that_wider_windows_were_used() -> None:
    one = key("temperature", Kind.GAUGE)
    double = Double.of({one: {NOW - 5 * DAY + i * MINUTE + 5: float(i) for i in range(60)}})
    at = NOW - 5 * DAY + 30 * MINUTE
    assert (await ask(over(double), "max_over_time(temperature[10m])", at)).infos == ()
    found = await ask(over(double), "max_over_time(temperature[90s])", at)
    assert found.infos == ("PromQL info: windows of 1m are used for temperature: ranges and times are rounded to them",)


async def test_estimates_say_so_only_where_windows_hold_several_samples() -> None:
    one = key("temperature", Kind.GAUGE)
    [once, often] = [{one: every(seconds, [1.0, 2.0, 3.0, 4.0] * 20)} for seconds in (10, 2)]
    assert (await ask(over(Double.of(once)), "stddev_over_time(temperature[1m])")).infos == ()
    assert (await ask(over(Double.of(often)), "stddev_over_time(temperature[1m])")).infos == (
        "PromQL info: windows hold several samples of temperature: stddev_over_time is estimated from them",
    )
    assert (await ask(over(Double.of(often)), "avg_over_time(temperature[1m])")).infos == ()


async def test_what_a_coarse_tier_lacks_is_read_from_a_finer_one() -> None:
    one = key("orders", Kind.COUNTER)
    double = Double.of({one: every(10, [1.0] * 1_000)})
    double.dirty_since = {"1m": NOW - 30 * MINUTE, "1h": NOW - 2 * HOUR}
    assert points(await ask(over(double), "increase(orders[2h])")) == {(): [720]}
    for piece in double.plans[0].pieces:
        since = double.dirty_since.get(piece.tier.name)
        assert since is None or piece.end <= since


async def test_a_question_that_would_read_too_much_is_refused() -> None:
    reader = over(Double.of(STORED), limits=Limits(1, 100_000, 5_000))
    with pytest.raises(QueryLimitExceeded, match="more than 1 series"):
        await ask(reader, "temperature")
    with pytest.raises(QueryLimitExceeded, match="more than 20"):
        await ask(over(Double.of(STORED), limits=Limits(20, 100_000, 5_000)), "latency_bucket")
    with pytest.raises(QueryLimitExceeded, match="documents"):
        await ask(over(Double.of(STORED), limits=Limits(10, 3, 3)), "temperature", NOW - 10 * HOUR, NOW, MINUTE)


async def test_the_tenant_is_no_label() -> None:
    reader = over(Double.of(STORED))
    assert points(await ask(reader, 'temperature{tenant="other"}')) == {}
    [one] = wanted(parse("temperature"), Evaluation({}, NOW, NOW), 0)
    assert len((await reader.read([one])).samples[one.selector].labels) == 2


async def test_times_long_before_anything_was_kept_cost_nothing() -> None:
    reader = over(Double.of(STORED), limits=Limits(100, 20_000, 5_000))
    with pytest.raises(QueryLimitExceeded):
        await ask(reader, "max_over_time(temperature[10y:1s])")
    assert points(await ask(reader, "temperature @ 0 offset 10y")) == {}
    assert len(points(await ask(reader, "rate(temperature[10y])"))) == 2


class EveryWindow(PromqlReader):
    """Reads all that the look-back can reach."""

    async def _cells(self, asked: Asked, plan: Plan, rows: npt.NDArray[np.int64]) -> tuple[Cells, ...]:
        return await super()._cells(replace(asked, need=replace(asked.need, newest_ms=None)), plan, rows)


@pytest.mark.parametrize("seed", range(8))
async def test_the_newest_samples_are_the_same_when_only_the_last_windows_are_read(seed: int) -> None:
    random = np.random.default_rng(seed)
    stored: Stored = {}
    for i in range(12):
        kind = (Kind.GAUGE, Kind.CUMULATIVE, Kind.COUNTER, Kind.HISTOGRAM)[i % 4]
        own = NOW - random.choice([1_000, 10_000, 60_000], (size := random.integers(1, 40))) * random.integers(
            0, 40, size
        )
        stored[key("x", kind, i=str(i))] = {int(at): float(random.integers(0, 9)) for at in own}
    double = Double.of(stored)
    clock = ManualClock(NOW)
    series = SeriesReader(double, double, clock, Limits(1_000, 100_000, 5_000))  # pyright: ignore[reportArgumentType]
    whole = EveryWindow(series, double, double, clock, Expressions()).of(TENANT)  # pyright: ignore[reportArgumentType]
    for at in [NOW, NOW + 5 * MINUTE, *(NOW - int(ago) * 1_000 for ago in random.integers(0, 700, 12))]:
        for text in ("x", "timestamp(x)", "x_total", "x_bucket", "x_count > 0"):
            assert same(await ask(over(double), text, at), await ask(whole, text, at)), (text, NOW - at)


async def test_a_look_at_now_reads_the_last_windows_only_as_long_as_all_series_have_samples_there() -> None:
    stored: Stored = {key("x", Kind.GAUGE, i=str(i)): every(10, [1.0] * 60) for i in range(3)}
    double = Double.of(stored)
    await ask(over(double), "topk(2, x)", NOW - 3 * SECOND)
    assert [plan.windows for plan in double.plans] == [3]
    double = Double.of(stored | {key("x", Kind.GAUGE, i="late"): {NOW - 250 * SECOND: 1.0}})
    assert len(points(await ask(over(double), "x", NOW - 3 * SECOND))) == 4
    assert sum(plan.windows for plan in double.plans) < 32
