"""What cells show is what their samples show, however these were cut into windows, tiers and commits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.series import Kind, Labels
from vigie_query.promql.cells import BUCKET, COUNT, SUM, VALUE, Shown, samples_of
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import Samples, Vector
from vigie_windows import Cells, fold, merge, sketch, widen

from .slow import Database, Slow
from .test_against_slow import MINUTE, SERIES, expressions

WIDTHS = (10_000, 60_000, 3_600_000)
HOUR = 3_600_000
Raw = dict[int, float]


def cells_of(points: Sequence[Raw], kind: Kind, width: int = 10_000) -> Cells:
    """Row i has the points i."""
    rows = np.repeat(np.arange(len(points)), [len(one) for one in points])
    times = np.array([at for one in points for at in one], np.int64)
    values = np.array([value for one in points for value in one.values()], np.float64)
    return fold(rows, times, values, np.full(256, kind, np.uint8), width)


def shown(labels: Sequence[Labels], kind: Kind, parts: Sequence[int] | None = None) -> Shown:
    """All parts of row 0, or each row itself."""
    rows = np.arange(len(labels)) if parts is None else np.zeros(len(labels), np.int64)
    return Shown(labels, rows, np.full(len(labels), kind, np.uint8), np.array(parts or [VALUE] * len(labels), np.int64))


def values(samples: Samples, expression: str, at: int) -> dict[Labels, float]:
    found = asyncio.run(answer(MemoryReader(samples), Query(expression, parse(expression), at, at)))
    assert isinstance(found.value, Vector)
    return dict(zip(found.value.labels, found.value.values[:, 0].tolist(), strict=True))


def single(samples: Samples, expression: str, at: int) -> float:
    [value] = values(samples, expression, at).values()
    return value


def one_per_window(found: dict[Labels, Raw]) -> dict[Labels, Raw]:
    """The last sample of each window."""
    last = {labels: {at // 10_000: at for at in sorted(points)}.values() for labels, points in found.items()}
    return {labels: {at: found[labels][at] for at in times} for labels, times in last.items()}


numbers = st.floats(-1e6, 1e6, width=32).map(lambda value: round(value, 3)) | st.integers(0, 5).map(float)
raw = st.dictionaries(st.integers(0, 40 * MINUTE), numbers, max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(SERIES), raw, max_size=4).map(one_per_window), expressions,
    st.integers(0, 45 * MINUTE), st.sampled_from([Kind.GAUGE, Kind.CUMULATIVE]), st.randoms(use_true_random=False),
)  # fmt: skip
def test_with_one_sample_per_window_everything_is_as_of_the_samples(
    found: dict[Labels, Raw], expression: str, at: int, kind: Kind, random: np.random.Generator
) -> None:
    database: Database = {labels: sorted(points.items()) for labels, points in found.items()}
    wanted = Slow(database).vector(parse(expression), at)
    whole = cells_of(list(found.values()), kind)
    parts = [whole.select(np.arange(len(whole)) % 3 == part) for part in range(3)]
    random.shuffle(parts)  # type: ignore[arg-type]
    got = values(samples_of(parts, shown(list(found), kind)), expression, at)
    assert set(got) == set(wanted)
    for labels, value in wanted.items():
        assert math.isclose(got[labels], value, rel_tol=1e-9, abs_tol=1e-6)


@st.composite
def tiered(draw: st.DrawFn, kind: Kind) -> tuple[Raw, list[Cells]]:
    """Samples of one series, and their cells: in several commits, older ones in wider windows."""
    counts = st.integers(0, 50).map(float)
    points = draw(st.dictionaries(st.integers(0, 4 * HOUR - 1), counts, min_size=1, max_size=60))
    late = draw(st.sets(st.sampled_from(sorted(points))))
    commits = [{at: points[at] for at in points if (at in late) is second} for second in (False, True)]
    fine = merge(*(cells_of([one], kind) for one in commits))
    edges = [0, draw(st.integers(0, 4)) * HOUR, draw(st.integers(0, 240)) * MINUTE, 4 * HOUR]
    edges[2] = max(edges[1], edges[2])
    spans = zip(WIDTHS[::-1], pairwise(edges), strict=True)
    wide = [(widen(fine, width), start, end) for width, (start, end) in spans]
    return points, [one.select((one.starts >= start) & (one.starts < end)) for one, start, end in wide]


aligned = st.tuples(st.integers(0, 4), st.integers(1, 4)).map(lambda pair: (pair[0] * HOUR, pair[1] * HOUR))


@settings(max_examples=80, deadline=None)
@given(tiered(Kind.COUNTER), aligned)
def test_an_increase_of_increments_is_their_exact_sum(found: tuple[Raw, list[Cells]], when: tuple[int, int]) -> None:
    points, cells = found
    end, length = when
    samples = samples_of(cells, shown([SERIES[0]], Kind.COUNTER), np.array([sum(points.values())]))
    inside = [value for at, value in points.items() if end - length < at <= end]
    got = values(samples, f"increase(x[{length}ms])", end)
    assert list(got.values()) == ([sum(inside)] if inside else [])
    rate = values(samples, f"rate(x[{length}ms])", end)
    assert list(rate.values()) == ([sum(inside) / (length / 1000)] if inside else [])
    total = values(samples, f"last_over_time(x[{length}ms])", end)
    assert list(total.values()) == ([sum(value for at, value in points.items() if at <= end)] if inside else [])


EXACT = ("sum", "avg", "count", "last", "present")


@settings(max_examples=80, deadline=None)
@given(tiered(Kind.GAUGE), aligned, st.sampled_from(EXACT))
def test_what_cells_know_of_their_samples_is_exact(
    found: tuple[Raw, list[Cells]], when: tuple[int, int], function: str
) -> None:
    points, cells = found
    expression = f"{function}_over_time(x[{when[1]}ms])"
    samples = samples_of(cells, shown([SERIES[0]], Kind.GAUGE))
    direct = samples_of([cells_of([points], Kind.GAUGE, 1)], shown([SERIES[0]], Kind.GAUGE))
    assert values(samples, expression, when[0]) == pytest.approx(values(direct, expression, when[0]))


@settings(max_examples=80, deadline=None)
@given(tiered(Kind.CUMULATIVE), aligned, st.sampled_from(["increase", "resets", "min_over_time", "first_over_time"]))
def test_a_total_in_cells_grows_as_its_samples_do(
    found: tuple[Raw, list[Cells]], when: tuple[int, int], function: str
) -> None:
    points, cells = found
    # Whether what was sampled just at an edge is the first of the rest is not known of a cell.
    if any(at % 10_000 == 0 for at in points):
        return
    # A late sample may hide a reset, as `vigie_windows.resets` says: only what is in order is compared.
    fine = cells_of([points], Kind.CUMULATIVE)
    cells = [widen(fine, one.width_ms).select(np.isin(widen(fine, one.width_ms).key, one.key)) for one in cells]
    expression = f"{function}(x[{when[1]}ms])"
    samples = samples_of(cells, shown([SERIES[0]], Kind.CUMULATIVE))
    direct = samples_of([cells_of([points], Kind.CUMULATIVE, 1)], shown([SERIES[0]], Kind.CUMULATIVE))
    assert values(samples, expression, when[0]) == pytest.approx(values(direct, expression, when[0]))


def test_a_sample_at_the_edge_of_its_window_belongs_to_the_range_that_ends_there() -> None:
    points = {60_000: 4.0, 75_000: 1.0, 119_000: 2.0, 120_000: 8.0, 130_000: 16.0}
    plain = (Kind.GAUGE, "sum_over_time(x[1m])", "x", 8)
    observed = (Kind.HISTOGRAM, "histogram_sum(sum_over_time(x[1m]))", "histogram_sum(x)", 15)  # of the last 5 minutes
    for kind, total, shows, newest in (plain, observed):
        samples = samples_of([cells_of([points], kind, 60_000)], shown([SERIES[0]], kind))
        assert single(samples, total, 120_000) == 11
        assert single(samples, "count_over_time(x[1m])", 120_000) == 3
        assert single(samples, shows, 120_000) == newest
        sketches = samples.sketches
        assert sketches is not None
        own = zip(sketches.sample.tolist(), sketch.representative(sketches.bucket).round().tolist(), strict=True)
        assert list(own) == [(0, 4.0), (1, 1.0), (1, 2.0), (2, 8.0), (3, 16.0)]
    samples = samples_of([cells_of([points], Kind.COUNTER, 60_000)], shown([SERIES[0]], Kind.COUNTER))
    assert single(samples, "increase(x[1m])", 120_000) == 11


def test_the_first_increment_counts_and_is_enough() -> None:
    samples = samples_of([cells_of([{15_000: 3.0}], Kind.COUNTER)], shown([SERIES[0]], Kind.COUNTER))
    assert single(samples, "increase(x[1m])", 60_000) == 3
    assert single(samples, "rate(x[1m])", 60_000) == 0.05
    assert single(samples, "x", 60_000) == 3


def test_the_plain_selector_of_increments_shows_the_total_as_it_was() -> None:
    cells = cells_of([{15_000: 3.0, 35_000: 2.0, 55_000: 5.0}], Kind.COUNTER)
    samples = samples_of([cells], shown([SERIES[0]], Kind.COUNTER), np.array([1_010.0]))
    assert [single(samples, "x", at) for at in (20_000, 40_000, 60_000)] == [1_003, 1_005, 1_010]
    assert single(samples, "changes(x[1m])", 60_000) == 2
    assert single(samples, "irate(x[1m])", 60_000) == 0.25


@pytest.mark.parametrize("large", [0.5, 1e15, 1e300, 1.7e308])
def test_totals_do_not_depend_on_the_other_series(large: float) -> None:
    """However much larger those are."""
    times = range(5_000, 55_000, 10_000)
    points = [dict.fromkeys(times, large), dict(zip(times, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True))]
    cells = cells_of([*points, *points], Kind.COUNTER)
    of_all = shown([labels_of({"__name__": "x", "a": a}) for a in "abcd"], Kind.COUNTER)
    for reached, added in ((None, 0.0), (np.array([math.inf, 101.5, math.inf, math.nan]), 100.0)):
        found = samples_of([cells], of_all, reached)
        assert found.values[5:10] == pytest.approx([added + 0.1, added + 0.3, added + 0.6, added + 1.0, added + 1.5])
        assert found.values[15:] == pytest.approx([0.1, 0.3, 0.6, 1.0, 1.5])


def test_a_histogram_shows_its_classic_series() -> None:
    bounds = [*map(repr, BUCKET_BOUNDS), "+Inf"]
    base = {"__name__": "x_bucket"}
    labels = [labels_of({**base, "le": le}) for le in bounds]
    labels += [labels_of({"__name__": "x_sum"}), labels_of({"__name__": "x_count"})]
    parts = [*range(BUCKET, BUCKET + len(bounds)), SUM, COUNT]
    points = {12_000: 0.2, 14_000: 0.3, 33_000: 7.0, 61_000: 0.2}
    series = shown(labels, Kind.HISTOGRAM, parts)
    samples = samples_of([cells_of([points], Kind.HISTOGRAM)], series)
    grown = values(samples, '{__name__=~"x_.*"}', 60_000)
    assert grown[labels_of({"__name__": "x_sum"})] == pytest.approx(7.5)
    assert grown[labels_of({"__name__": "x_count"})] == 3
    below = [grown[labels_of({**base, "le": le})] for le in bounds]
    assert below == [sum(value <= float(le) for value in (0.2, 0.3, 7.0)) for le in bounds]
    increase = values(samples, "increase(x_count[1m])", 70_000)
    assert list(increase.values()) == [4.0]
    median = values(samples, "histogram_quantile(0.5, rate(x_bucket[1m]))", 70_000)
    assert 0.1 < next(iter(median.values())) < 0.26
