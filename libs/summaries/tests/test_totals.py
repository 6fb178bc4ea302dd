"""Totals over services: one meaning in a block, so the mean is between the least and the greatest value."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts import names
from vigie_contracts.series import Kind
from vigie_query.evaluation import Samples
from vigie_query.grid import Grid
from vigie_query.series import Selection, Series
from vigie_summaries import application, business, overview, system
from vigie_summaries.numbers import Numbers
from vigie_summaries.totals import STALE_MS, Total, totals
from vigie_windows import Cells, fold, widen

NOW = 1_790_000_000_000
MINUTE = 60_000
Points = list[tuple[int, float]]
"""Seconds after NOW, and values."""

values = st.floats(-1e6, 1e6) | st.integers(0, 10_000).map(float) | st.floats(1e8, 1e17)
points = st.lists(st.tuples(st.integers(0, 1_200), values), min_size=1, max_size=12)


def cells_of(kinds: list[Kind], own: list[Points]) -> Cells:
    of_row = np.zeros(256, np.uint8)
    of_row[: len(kinds)] = [int(kind) for kind in kinds]
    rows = np.repeat(np.arange(len(own)), [len(one) for one in own])
    times = np.array([NOW + at * 1_000 for one in own for at, _ in one], np.int64)
    return fold(rows, times, np.array([value for one in own for _, value in one], np.float64), of_row)


def samples_of(own: list[Points], coarse: int = 0, kinds: list[Kind] | None = None) -> Samples:
    """The first `coarse` series in windows of a minute, the others of ten seconds."""
    cells = cells_of(kinds or [Kind.GAUGE] * len(own), own)
    wide = widen(cells.select(cells.rows < coarse), MINUTE)
    start = NOW // MINUTE * MINUTE
    end = start + 22 * MINUTE
    return Samples((wide, cells.select(cells.rows >= coarse)), Grid(np.array([start, end], np.int64), end - start), end)


def slow(samples: Samples, rows: set[int]) -> Total | None:
    """Moment by moment, series by series."""
    cells = sorted(
        (row, start, start + width, total / count, greatest, last)
        for row, start, width, total, count, greatest, last in zip(
            *(samples.column(name).tolist() for name in ("rows", "starts")), samples.widths.tolist(),
            *(samples.column(name).tolist() for name in ("sum", "count", "max", "last")), strict=True,
        ) if row in rows
    )  # fmt: skip
    moments = sorted({t for _, start, end, *_ in cells for t in (start, end, end + STALE_MS) if t < samples.grid.end})
    found: list[tuple[float, float, float, float]] = []
    for moment, following in zip(moments, [*moments[1:], samples.grid.end], strict=False):
        mean = greatest = newest = 0.0
        there = False
        for row in rows:
            before = [cell for cell in cells if cell[0] == row and cell[1] <= moment]
            if not before or moment >= before[-1][2] + STALE_MS:
                continue
            there = True
            _, _, end, own_mean, own_greatest, last = before[-1]
            mean += own_mean if moment < end else last
            greatest += own_greatest if moment < end else last
            newest += last
        if there:
            found.append(((following - moment) / 1000, mean, greatest, newest))
    if not found:
        return None
    seconds = sum(one[0] for one in found)
    average = sum(length * mean for length, mean, _, _ in found) / seconds
    return Total(average, max(one[2] for one in found), found[-1][3])


@given(st.lists(points, min_size=1, max_size=5), st.integers(0, 5), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_totals_are_those_of_every_moment(own: list[Points], coarse: int, groups: int) -> None:
    samples = samples_of(own, coarse)
    group_of_row = np.full(256, -1, np.int64)
    group_of_row[: len(own)] = np.arange(len(own)) % groups
    for group, total in enumerate(totals(samples, group_of_row, groups)):
        expected = slow(samples, {row for row in range(len(own)) if row % groups == group})
        assert (total is None) == (expected is None)
        if total is not None and expected is not None:
            scale = max(abs(value) for one in own for _, value in one) * len(own)
            assert total.avg == pytest.approx(expected.avg, rel=1e-9, abs=1e-9 * scale)
            assert total.max == pytest.approx(expected.max, rel=1e-9, abs=1e-9 * scale)
            assert total.last == pytest.approx(expected.last, rel=1e-9, abs=1e-9 * scale)
            assert total.max >= total.avg
            assert total.max >= total.last


GAUGES = (names.ACTIVE_USERS, names.ACTIVE_CONNECTIONS, names.CPU_USAGE, names.MEMORY_USED, names.DISK_USAGE)


@given(st.lists(st.tuples(st.sampled_from(GAUGES), points), min_size=1, max_size=8), st.integers(0, 8))
@settings(max_examples=100, deadline=None)
def test_every_block_is_ordered(own: list[tuple[str, Points]], coarse: int) -> None:
    series = [
        Series(i, name, Kind.GAUGE, (("core", str(i % 3)), ("host", f"h{i % 2}"), ("service", f"s{i % 2}")), 0, i, NOW)
        for i, (name, _) in enumerate(own)
    ]
    numbers = Numbers(Selection(series), samples_of([one for _, one in own], coarse))
    answers: list[Any] = [
        overview.system_overview(numbers), overview.application_overview(numbers), application.work(numbers),
        *application.services(numbers), business.users(numbers), system.resources(numbers), *system.hosts(numbers),
    ]  # fmt: skip
    for answer in answers:
        for block in blocks(answer.model_dump()):
            greatest = block.get("max", block.get("peak"))
            for smaller in ("avg", "last", "current", "min"):
                if block.get(smaller) is not None:
                    assert greatest >= block[smaller], block
            if block.get("min") is not None:
                assert block["min"] <= block["avg"], block
                assert block["min"] <= block["last"], block


def blocks(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from blocks(inner)
    if isinstance(value, dict):
        yield value


def test_users_of_several_services_are_added_at_every_moment() -> None:
    """Two services, 100 and 1000 users, then 50 and 1100; a third one that ended long ago counts while it was there."""
    own: list[Points] = [[(0, 100.0), (60, 50.0)], [(0, 1000.0), (60, 1100.0)], [(0, 7.0)]]
    series = [Series(i, names.ACTIVE_USERS, Kind.GAUGE, (("service", f"s{i}"),), 0, i, NOW) for i in range(3)]
    users = business.users(Numbers(Selection(series), samples_of(own)))
    assert users.peak == 1157
    assert users.current == 1150
    assert users.avg is not None
    assert 1107 <= users.avg <= 1157
