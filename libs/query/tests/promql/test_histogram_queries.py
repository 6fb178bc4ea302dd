"""What expressions give for histograms, by the observations that are in them."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from vigie_contracts.series import Kind, Labels
from vigie_query.promql import written
from vigie_query.promql.cells import VALUE, Shown
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.parsing import parse
from vigie_query.promql.queries import Answer, Query, answer
from vigie_query.promql.reading import wanted
from vigie_query.promql.samples import Columns, Samples, Vector
from vigie_query.promql.tiers import need

from .sketched import Cell, histogram_samples, nearest_rank

MINUTE = 60_000
A = labels_of({"__name__": "x", "service": "a", "pod": "1"})
B = labels_of({"__name__": "x", "service": "a", "pod": "2"})
C = labels_of({"__name__": "x", "service": "b", "pod": "3"})
Y = labels_of({"__name__": "y", "service": "a", "pod": "1"})
FLOAT = labels_of({"__name__": "f", "service": "a", "pod": "1"})
CELLS: dict[Labels, list[Cell]] = {
    A: [(at * 10_000 + 9_000, [0.1 * (at % 7 + 1), 0.5]) for at in range(120)],
    B: [(at * 10_000 + 9_000, [2.0 + at % 3]) for at in range(60)],
    C: [(at * 10_000 + 9_000, [30.0]) for at in range(0, 120, 6)],
    Y: [(at * 10_000 + 9_000, [1.0, 7.0]) for at in range(120)],
}
FLOATS = [(at * 10_000 + 9_000, float(at)) for at in range(120)]


def reader() -> MemoryReader:
    """The histograms, and a series of numbers."""
    found = histogram_samples(list(CELLS), list(CELLS.values()))
    assert found.columns is not None
    assert found.kinds is not None
    times, values = np.array([at for at, _ in FLOATS], np.int64), np.array([value for _, value in FLOATS])
    ones, nothing = np.ones(len(times), np.int64), np.zeros(len(times))
    more = Columns(ones, values, values, values, values, times, nothing, nothing.astype(np.int64), nothing)
    joined = [np.concatenate([getattr(found.columns, name), getattr(more, name)]) for name in Columns.__slots__]
    return MemoryReader(
        Samples(
            [*found.labels, FLOAT],
            np.append(found.bounds, len(found.times) + len(times)),
            np.concatenate([found.times, times]),
            np.concatenate([found.values, values]),
            Columns(*joined),
            np.append(found.kinds, np.uint8(0)),
            found.sketches,
        )
    )


def ask(text: str, at: int = 20 * MINUTE, end: int | None = None, step: int = 0) -> Answer:
    return asyncio.run(answer(reader(), Query(text, parse(text), at, at if end is None else end, step)))


def vector(text: str, at: int = 20 * MINUTE) -> dict[Labels, float]:
    """The numbers of an instant query."""
    found = ask(text, at).value
    assert isinstance(found, Vector)
    assert found.histograms is None or not found.histograms.present.any()
    return dict(zip(found.labels, found.values[:, 0].tolist(), strict=True))


def histograms(text: str, at: int = 20 * MINUTE) -> dict[Labels, tuple[float, float]]:
    """Count and sum of the histograms of an instant query."""
    found = ask(text, at).value
    assert isinstance(found, Vector)
    assert not found.floats.any()
    assert found.histograms is not None
    return dict(
        zip(
            found.labels,
            zip(found.histograms.count[:, 0].tolist(), found.histograms.sum[:, 0].tolist(), strict=True),
            strict=True,
        )
    )


def observed(end: int, range_ms: int, *series: Labels) -> list[float]:
    return [value for one in series for at, values in CELLS[one] if end - range_ms < at <= end for value in values]


def nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def close(found: tuple[float, float], values: list[float], factor: float = 1.0) -> bool:
    return found == pytest.approx((len(values) * factor, math.fsum(values) * factor))


def test_a_plain_selector_shows_what_was_observed_in_the_last_look_back() -> None:
    found = histograms("x")
    assert set(found) == {A, B, C} - {B}  # its last observation is 10 minutes old
    assert close(found[A], observed(20 * MINUTE, 5 * MINUTE, A))
    assert histograms("x offset 10m")[B] == (30.0, 90.0)
    assert histograms("last_over_time(x[5m])") == found


def test_increase_and_rate_of_a_histogram_are_exact() -> None:
    increase, rate = histograms("increase(x[7m])"), histograms("rate(x[7m])")
    assert set(increase) == set(rate) == {nameless(A), nameless(C)}
    for one in (A, C):
        values = observed(20 * MINUTE, 7 * MINUTE, one)
        assert close(increase[nameless(one)], values)
        assert close(rate[nameless(one)], values, 1 / 420)
    assert histograms("sum_over_time(x[7m])") == increase
    assert histograms("increase(x[10s])", 9_000)[nameless(C)] == (1.0, 30.0)  # the first one counts


def test_quantiles_of_sums_over_series_are_those_of_all_observations() -> None:
    for q in (0, 0.5, 0.95, 1):
        found = vector(f"histogram_quantile({q}, sum by (service) (rate(x[15m])))")
        for service, series in (("a", (A, B)), ("b", (C,))):
            wanted = nearest_rank(observed(20 * MINUTE, 15 * MINUTE, *series), q)
            assert found[(("service", service),)] == pytest.approx(wanted, rel=0.01)
    said = ask("histogram_quantile(0.5, x)").infos
    assert said == ("PromQL info: values of histogram_quantile have a relative error of at most 1 % (1:25)",)


def test_a_range_query_gives_what_instant_queries_give_at_each_step() -> None:
    text = "histogram_quantile(0.9, sum without (pod) (increase(x[3m])))"
    found = ask(text, 0, 20 * MINUTE, 45_000).value
    assert isinstance(found, Vector)
    for step, at in enumerate(range(0, 20 * MINUTE + 1, 45_000)):
        one = vector(text, at)
        here = {labels: found.values[row, step] for row, labels in enumerate(found.labels) if found.present[row, step]}
        assert here == one


def test_count_sum_average_and_deviation_are_those_of_the_observations() -> None:
    values = observed(20 * MINUTE, 5 * MINUTE, A)
    labels = nameless(A)
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / len(values)
    assert vector("histogram_count(x)")[labels] == len(values)
    assert vector("histogram_sum(x)")[labels] == pytest.approx(math.fsum(values))
    assert vector("histogram_avg(x)")[labels] == pytest.approx(mean)
    assert vector("histogram_stdvar(x)")[labels] == pytest.approx(spread, rel=0.05)
    assert vector("histogram_stddev(x)")[labels] == pytest.approx(math.sqrt(spread), rel=0.03)
    assert vector("histogram_fraction(0, 0.55, x)")[labels] == pytest.approx(
        sum(value <= 0.55 for value in values) / len(values)
    )
    assert vector("histogram_fraction(1000, +Inf, x)") == {labels: 0, nameless(C): 0}
    assert vector("histogram_count(f)") == vector("histogram_stddev(f)") == {}


def test_samples_of_a_histogram_are_its_observations() -> None:
    assert vector("count_over_time(x[5m])")[nameless(A)] == 60
    assert vector("min_over_time(x[5m])")[nameless(A)] == 0.1
    assert vector("max_over_time(x[5m])")[nameless(A)] == 0.1 * 7
    assert vector("present_over_time(x[5m])") == {nameless(A): 1, nameless(C): 1}
    average = histograms("avg_over_time(x[5m])")[nameless(A)]
    assert average == pytest.approx((1, math.fsum(observed(20 * MINUTE, 5 * MINUTE, A)) / 60))
    assert vector("timestamp(x)")[nameless(A)] == 1_199
    assert vector("absent(x)") == {}
    assert vector("absent(x offset 1h)") == {(): 1}
    assert vector("absent_over_time(x[5m])") == {}


def test_functions_without_a_meaning_leave_histograms_out_and_say_so() -> None:
    for function in ("stddev_over_time", "deriv", "changes", "irate", "delta"):
        found = ask(f'{function}({{__name__=~"x|f"}}[5m])')
        assert isinstance(found.value, Vector)
        assert found.value.labels == [nameless(FLOAT)]
        assert f"PromQL info: ignored histograms in {function} (1:{len(function) + 2})" in found.infos
    assert ask("quantile_over_time(0.5, x[5m])").infos == (
        "PromQL info: ignored histograms in quantile_over_time (1:25)",
    )
    assert vector("abs(x)") == vector("sort(x)") == vector("clamp_min(x, 1)") == {}
    scalar = ask("scalar(sum(x))").value
    assert isinstance(scalar, np.ndarray)
    assert math.isnan(scalar[0])


def test_sum_and_avg_add_histograms_up_and_the_rest_counts_them_or_leaves_them_out() -> None:
    both = observed(20 * MINUTE, 5 * MINUTE, A, C)
    assert close(histograms("sum(x)")[()], both)
    assert close(histograms("avg(x)")[()], both, 0.5)
    assert vector("count(x)") == {(): 2}
    assert vector("group(x)") == {(): 1}
    assert len(histograms("limitk(1, x)")) == 1
    for operator in ("min(x)", "max(x)", "stddev(x)", "topk(1, x)", "quantile(0.5, x)", 'count_values("v", x)'):
        found = ask(operator)
        assert isinstance(found.value, Vector)
        assert found.value.labels == []
        name, place = operator.partition("(")[0], operator.rindex("x") + 1
        assert found.infos == (f"PromQL info: ignored histogram in {name} aggregation (1:{place})",)
    mixed = ask('sum by (pod) ({__name__=~"x|f"})')
    assert isinstance(mixed.value, Vector)
    assert mixed.value.labels == [(("pod", "3"),)]
    assert mixed.warnings == ("PromQL warning: encountered a mix of histograms and floats for aggregation (1:15)",)


def test_histograms_are_scaled_and_added() -> None:
    values, one = observed(20 * MINUTE, 5 * MINUTE, A), nameless(A)
    assert close(histograms("x * 2")[one], values, 2)
    assert close(histograms("3 * x")[one], values, 3)
    assert close(histograms("x / 4")[one], values, 0.25)
    assert close(histograms("-x")[one], values, -1)
    assert close(histograms("x + ignoring() y")[one], observed(20 * MINUTE, 5 * MINUTE, A, Y))
    assert close(histograms("x - ignoring() x")[one], values, 0)
    assert close(histograms("x * on (pod) f")[(("pod", "1"),)], values, 119)
    assert close(histograms("f * on (pod) x")[(("pod", "1"),)], values, 119)
    assert close(histograms("x / on (pod) f")[(("pod", "1"),)], values, 1 / 119)
    assert vector("histogram_quantile(0.5, x * 0.3)")[one] == vector("histogram_quantile(0.5, x)")[one]
    summed = vector("histogram_quantile(0.9, x / on (pod) f + on (pod) y / on (pod) f)")
    wanted = nearest_rank(observed(20 * MINUTE, 5 * MINUTE, A, Y), 0.9)
    assert summed == {(("pod", "1"),): pytest.approx(wanted, rel=0.01)}


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("x + 1", "histogram + float"),
        ("1 / x", "float / histogram"),
        ("x > 1", "histogram > float"),
        ("x == bool 1", "histogram == float"),
        ("x * on (pod) y", "histogram * histogram"),
        ("f / on (pod) x", "float / histogram"),
    ],
)
def test_other_operators_leave_histograms_out_and_say_so(text: str, types: str) -> None:
    found = ask(text)
    assert isinstance(found.value, Vector)
    assert found.value.labels == []
    assert found.infos == (
        f'PromQL info: incompatible sample types encountered for binary operator "{types.split()[1]}": {types} (1:1)',
    )


def test_set_operators_keep_histograms() -> None:
    assert histograms('x and on (pod) x{service="b"}') == {C: (5.0, 150.0)}
    assert set(histograms('x unless on (pod) x{service="b"}')) == {A}
    assert set(histograms('x{service="b"} or y')) == {C, Y}
    found = ask('x{service="b"} or f').value
    assert isinstance(found, Vector)
    assert found.histograms is not None
    assert dict(zip(found.labels, found.histograms.present[:, 0].tolist(), strict=True)) == {C: True, FLOAT: False}


def test_subqueries_give_histograms_to_ranges() -> None:
    values = observed(20 * MINUTE, 10 * MINUTE, A)
    assert close(histograms("sum_over_time(increase(x[1m])[10m:1m])")[nameless(A)], values)
    assert vector("count_over_time(increase(x[1m])[10m:1m])")[nameless(A)] == 10
    found = vector("histogram_quantile(0.9, sum_over_time(increase(x[1m])[10m:1m]))")
    assert found[nameless(A)] == pytest.approx(nearest_rank(values, 0.9), rel=0.01)
    assert vector("max_over_time(histogram_count(x)[10m:1m])")[nameless(A)] == 60


def test_labels_of_histograms_change_as_of_numbers() -> None:
    found = histograms('sum by (z) (label_replace(x, "z", "$1", "service", "(.*)"))')
    assert set(found) == {(("z", "a"),), (("z", "b"),)}


def test_a_range_selector_gives_the_histograms_themselves() -> None:
    found = ask('x{service="b"}[2m]').value
    assert isinstance(found, Samples)
    [(first, one), (second, other)] = written.of_samples(found)
    assert (first, second) == (0, 1)
    assert (one.count, one.sum, [bucket.count for bucket in one.buckets]) == (1, 30, [1])
    assert one.buckets[0].lower < 30 <= one.buckets[0].upper
    assert other == one


def test_an_expression_of_histograms_can_be_written() -> None:
    found = ask("sum(increase(x[1m]))", 10 * MINUTE, 12 * MINUTE, MINUTE).value
    assert isinstance(found, Vector)
    assert found.histograms is not None
    places = {(row, step): one for row, step, one in written.written(found.histograms)}
    assert set(places) == {(0, 0), (0, 1), (0, 2)}
    for step in range(3):
        values = observed((10 + step) * MINUTE, MINUTE, A, B, C)
        assert (places[0, step].count, places[0, step].sum) == (len(values), pytest.approx(math.fsum(values)))
        assert sum(bucket.count for bucket in places[0, step].buckets) == len(values)


def classic(text: str, counts: dict[str, float]) -> dict[Labels, float]:
    series = {labels_of({"__name__": "h_bucket", "le": le}): [(0, count)] for le, count in counts.items()}
    found = asyncio.run(answer(MemoryReader.of(series), Query(text, parse(text), 0, 0))).value
    assert isinstance(found, Vector)
    return dict(zip(found.labels, found.values[:, 0].tolist(), strict=True))


def test_fractions_of_classic_histograms_are_read_off_the_straight_lines_between_their_bounds() -> None:
    counts = {"1": 2.0, "3": 6.0, "+Inf": 10.0}
    for lower, upper, part in (
        ("0", "1", 0.2),
        ("0.5", "1", 0.1),
        ("1", "2", 0.2),
        ("0.5", "2", 0.3),
        ("-5", "3", 0.6),
        ("3", "+Inf", 0.4),
        ("7", "+Inf", 0.4),  # where in the last bucket is not known
        ("-Inf", "+Inf", 1),
        ("2", "1", 0),
    ):
        assert classic(f"histogram_fraction({lower}, {upper}, h_bucket)", counts) == {(): pytest.approx(part)}
    for nothing in ("histogram_fraction(NaN, 1, h_bucket)", "histogram_fraction(0, NaN, h_bucket)"):
        assert math.isnan(classic(nothing, counts)[()])
    assert math.isnan(classic("histogram_fraction(0, 1, h_bucket)", {"1": 2.0, "3": 6.0})[()])
    assert math.isnan(classic("histogram_fraction(0, 1, h_bucket)", dict.fromkeys(counts, 0.0))[()])
    # Where the first bucket is of negative values, it has no lower bound.
    assert classic("histogram_fraction(-1, 0, h_bucket)", {"-1": 4.0, "1": 8.0, "+Inf": 8.0}) == {(): 0.25}


def test_a_quantile_of_both_kinds_under_the_same_labels_is_not_given() -> None:
    text = (
        'histogram_quantile(0.5, x{service="b"} or label_replace(label_replace(f, "le", "+Inf", "", ""), '
        '"service", "b", "", "") or x)'
    )
    found = ask(text.replace("f,", 'label_replace(f, "pod", "3", "", ""),'))
    assert isinstance(found.value, Vector)
    assert found.value.labels == [nameless(A)]
    assert found.warnings == ("PromQL warning: vector contains a mix of classic and native histograms (1:25)",)


def test_windows_are_cut_where_the_look_back_of_a_histogram_begins() -> None:
    hour = 60 * MINUTE
    [plain] = wanted(parse("x"), Evaluation({}, 0, 3 * hour), hour)
    edges = {}
    for kind in (Kind.HISTOGRAM, Kind.GAUGE):
        shown = Shown([A], np.zeros(1, np.int64), np.array([kind], np.uint8), np.array([VALUE], np.int64))
        edges[kind] = set(need(plain, shown).edges)
    begins = {at - 5 * MINUTE for at in range(0, 4 * hour, hour)}
    assert begins <= edges[Kind.HISTOGRAM]
    assert not begins <= edges[Kind.GAUGE]
