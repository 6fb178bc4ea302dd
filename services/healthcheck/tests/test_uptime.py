"""Uptime and latency from windows, with a double of the stored ones."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from vigie_contracts.names import PROBE_DURATION as DURATION
from vigie_contracts.names import TARGET_AVAILABLE as AVAILABLE
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_healthcheck import uptime
from vigie_healthcheck.readings import Days, Latency, Readings, Span
from vigie_healthcheck.uptime import Uptime, Window
from vigie_query.planning import Plan
from vigie_query.series import Selection, Series
from vigie_query.times import DAY, HOUR, MINUTE, SECOND
from vigie_runtime.clock import ManualClock
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.filter import Filter
from vigie_storage.windows.reader import Completeness
from vigie_windows import Cells, fold, widen

ACME = TenantId("acme")
NOW = 1_790_000_000_000 // DAY * DAY + 20 * MINUTE
Samples = list[tuple[int, float]]


class Stored:
    """The catalogue and the windows: samples by metric and target."""

    def __init__(self, samples: dict[tuple[str, str], Samples]) -> None:
        self.samples = {
            Series(place, metric, Kind.GAUGE, (("kind", "http"), ("target", name)), 0, place, 0): own
            for place, ((metric, name), own) in enumerate(samples.items())
        }

    async def find(self, _tenant: TenantId, wanted: Filter, _limit: int, _what: str) -> list[Series]:
        found = [one for one in self.samples if one.name in (wanted.names or ())]
        return [one for one in found if all(one.label(m.label) == m.value for m in wanted.matchers)]

    async def next_ordinals(self, _tenant: TenantId) -> dict[int, int]:
        return {0: len(self.samples)}

    async def completeness(self, _partitions: Collection[int]) -> Completeness:
        return Completeness({}, {})

    async def count(self, *_asked: Any) -> int:
        return 0

    async def read(
        self, _tenant: TenantId, selection: Selection, plan: Plan, _columns: Any, _rows: Any = None
    ) -> tuple[Cells, ...]:
        rows = dict(zip(selection.series, selection.rows.tolist(), strict=True))
        found = [(row, at, value) for one, row in rows.items() for at, value in self.samples[one]]
        columns: Any = tuple(zip(*found, strict=True)) or ((), (), ())
        row, at, value = (np.array(column, kind) for column, kind in zip(columns, "qqd", strict=True))
        kinds: npt.NDArray[np.uint8] = np.full(1024, Kind.GAUGE, np.uint8)
        fine = fold(row, at, value, kinds)
        wide = [(piece, widen(fine, piece.tier.width_ms)) for piece in plan.pieces]
        return tuple(cells.select((cells.starts >= piece.start) & (cells.starts < piece.end)) for piece, cells in wide)


def readings(samples: dict[tuple[str, str], Samples], now_ms: int = NOW) -> Readings:
    stored: Any = Stored(samples)
    clock = ManualClock(now_ms)
    reader = SeriesReader(stored, stored, clock, Limits(1_000, 100_000, 5_000))
    return Readings(reader, clock)


def checks(from_ms: int, to_ms: int, value: float = 1.0, every_ms: int = 30 * SECOND) -> Samples:
    return [(at, value) for at in range(from_ms, to_ms, every_ms)]


async def test_percent_is_of_the_time_that_is_known_and_the_rest_is_said() -> None:
    began = NOW - DAY
    day = [
        *checks(began, began + 12 * HOUR),
        *checks(began + 12 * HOUR, began + 13 * HOUR, 0.0),
        *checks(began + 18 * HOUR, NOW),  # five hours without an answer
    ]
    found = await readings({(AVAILABLE, "shop"): day}).uptime(ACME, Span("shop", 30 * SECOND), Window.DAY)
    assert (found.up_s, found.down_s, found.unknown_s) == (18 * 3600, 3600, 5 * 3600)
    assert found.percent == 94.7368


async def test_empty_history_says_so() -> None:
    nothing = readings({(AVAILABLE, "other"): checks(NOW - HOUR, NOW)})
    found = await nothing.uptime(ACME, Span("shop", 30 * SECOND), Window.WEEK)
    assert (found.percent, found.unknown_s) == (None, 7 * 86_400 - 20 * 60), "but for the hour that goes on"
    assert await nothing.latency(ACME, Span("shop", 0), Window.WEEK) == Latency()
    assert await nothing.days(ACME, [Span("shop", 0)], 3) == {}
    assert await nothing.last_day(ACME, []) == {}
    assert await nothing.last_day(ACME, [Span("shop", 0)]) == {"shop": None}


async def test_time_before_the_target_was_made_is_not_unknown() -> None:
    made = NOW - 2 * HOUR
    found = await readings({(AVAILABLE, "shop"): checks(made, NOW)}).uptime(
        ACME, Span("shop", 30 * SECOND, made), Window.QUARTER
    )
    assert (found.percent, found.up_s, found.unknown_s) == (100.0, 7200, 0)
    fresh = await readings({}).uptime(ACME, Span("shop", 30 * SECOND, NOW), Window.DAY)
    assert fresh == uptime.UNKNOWN


async def test_a_step_that_goes_on_without_a_check_is_not_unknown_yet() -> None:
    now = NOW + 20 * SECOND
    found = await readings({(AVAILABLE, "shop"): checks(now - DAY, NOW)}, now).uptime(
        ACME, Span("shop", 30 * SECOND), Window.DAY
    )
    assert (found.percent, found.unknown_s) == (100.0, 0)


async def test_rare_checks_stand_for_the_time_between_them() -> None:
    rare = checks(NOW - 7 * DAY, NOW, every_ms=6 * HOUR)
    found = await readings({(AVAILABLE, "shop"): rare}).uptime(ACME, Span("shop", 6 * HOUR), Window.WEEK)
    assert (found.percent, found.unknown_s) == (100.0, 0)


@pytest.mark.parametrize("window", Window)
async def test_one_failed_check_is_never_rounded_away(window: Window) -> None:
    samples = checks(NOW - window.length_ms, NOW, every_ms=MINUTE)
    samples[-5] = (samples[-5][0], 0.0)
    found = await readings({(AVAILABLE, "shop"): samples}).uptime(ACME, Span("shop", MINUTE), window)
    assert found.percent is not None
    assert 99 < found.percent < 100
    assert found.down_s > 0


async def test_days_of_several_targets_today_last() -> None:
    today = NOW // DAY * DAY
    stored = readings(
        {
            (AVAILABLE, "a"): [*checks(today - DAY, today, 0.0, HOUR), *checks(today, NOW, every_ms=5 * MINUTE)],
            (AVAILABLE, "b"): checks(today - 2 * DAY, today - DAY, 1.0, HOUR),
            (AVAILABLE, "not asked for"): checks(today, NOW),
        }
    )
    a, b = Span("a", 0), Span("b", 0)
    assert await stored.days(ACME, [b, a], 3) == {
        "a": Days(pytest.approx(100 * 4 / 28, abs=0.001), [None, 0.0, 100.0]),
        "b": Days(100.0, [100.0, None, None]),
    }
    assert await stored.last_day(ACME, [a, b]) == {"a": pytest.approx(100 * 4 / 28, abs=0.001), "b": None}


async def test_a_day_that_was_watched_for_minutes_does_not_count_as_a_whole_one() -> None:
    today = NOW // DAY * DAY
    made = today - 10 * MINUTE
    samples = [*checks(made, today, 0.0), *checks(today, today + 10 * HOUR)]
    stored = readings({(AVAILABLE, "shop"): samples}, today + 10 * HOUR)
    found = await stored.days(ACME, [Span("shop", 30 * SECOND, made)], 2)
    assert found == {"shop": Days(pytest.approx(100 * 600 / 610, abs=0.001), [0.0, 100.0])}


async def test_days_before_a_target_was_made_are_those_of_another_one_of_its_name() -> None:
    today = NOW // DAY * DAY
    samples = [*checks(today - 2 * DAY, today - DAY, 0.0, HOUR), *checks(today, NOW)]
    found = await readings({(AVAILABLE, "shop"): samples}).days(ACME, [Span("shop", 0, today)], 3)
    assert found == {"shop": Days(100.0, [None, None, 100.0])}


async def test_latency_is_within_one_percent() -> None:
    times: Samples = [(NOW - HOUR + i * 30 * SECOND, (i + 1) / 1000) for i in range(100)]
    for window in Window:
        found = await readings({(DURATION, "shop"): times}).latency(ACME, Span("shop", 0), window)
        assert found.p50 == pytest.approx(0.050, rel=0.011)
        assert found.p95 == pytest.approx(0.095, rel=0.011)
        assert found.p99 == pytest.approx(0.099, rel=0.011)
        assert (found.max, found.avg) == (0.1, pytest.approx(0.0505))


async def test_latency_of_before_a_target_was_made_is_of_another_one_of_its_name() -> None:
    times: Samples = [(NOW - 3 * HOUR, 9.0), (NOW - HOUR, 0.5)]
    stored = readings({(DURATION, "shop"): times})
    assert (await stored.latency(ACME, Span("shop", 0, NOW - 2 * HOUR), Window.DAY)).max == 0.5
    assert await stored.latency(ACME, Span("shop", 0, NOW), Window.DAY) == Latency()


def test_sums_that_do_not_come_out_even_are_whole_all_the_same() -> None:
    lengths = np.full(3, 0.1)
    assert Uptime.of(np.array([1.0, 1.0, 1.0]), lengths).percent == 100.0
    assert Uptime.of(np.array([math.nan] * 3), lengths) == Uptime(None, 0, 0, pytest.approx(0.3))
