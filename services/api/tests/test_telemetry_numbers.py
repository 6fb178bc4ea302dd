"""What is said about nodes, from numbers that were added up before: pure arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_api.node_reports import periods
from vigie_api.node_reports.health import Health, health_of
from vigie_api.node_reports.numbers import Trend, plain, rounded, trend
from vigie_api.node_reports.periods import Period, up_to
from vigie_api.node_reports.summary import MAX_VERSIONS, summary
from vigie_api.node_reports.trends import Now, days_up_to, hour_began, trends, uptime_percentage
from vigie_contracts.days import day_named
from vigie_identity.licences import LicenceState
from vigie_identity.tenants import Status
from vigie_query.times import DAY, HOUR, MINUTE
from vigie_storage.reports.totals import DayTotals, Facts, NodeGroup, Reports, Spread, Stretch

NOW = 1_763_980_200_000
"""2025-11-24T10:30:00Z."""

lengths = st.sampled_from(list(periods.PERIODS.values()))
instants = st.integers(60 * DAY, 60 * DAY + 3 * HOUR)


def spread(*values: float) -> Spread:
    return Spread(len(values), sum(values), min(values), max(values)) if values else Spread()


def within(stretches: list[Stretch], at: int) -> int:
    return sum(a <= at < b for a, b in stretches)


@given(lengths, instants, st.lists(st.tuples(st.integers(0, 61 * DAY), st.integers(0, 1000)), max_size=50))
def test_hours_and_edges_together_are_the_reports_of_the_period(
    length: int, now: int, reports: list[tuple[int, int]]
) -> None:
    period = up_to(now, length, kept_from_ms=0)
    assert (period.start, period.middle, period.end) == (now - length, now - length // 2, now)
    halves = {False: Spread(), True: Spread()}
    for at, value in reports:
        hour = at - at % HOUR
        # A report counts where its whole hour is read, and where its own time is.
        for _ in range(within(period.hours, hour) + within(period.edges, at)):
            halves[at >= period.middle] += spread(value)
    assert halves[False] == spread(*(value for at, value in reports if now - length <= at < now - length // 2))
    assert halves[True] == spread(*(value for at, value in reports if now - length // 2 <= at < now))


@given(lengths, instants, st.integers(0, 61 * DAY))
def test_the_edges_are_at_most_four_parts_of_an_hour(length: int, now: int, kept_from: int) -> None:
    period = up_to(now, length, kept_from)
    assert len(period.edges) <= 4
    assert all(b - a < HOUR and a // HOUR == (b - 1) // HOUR for a, b in period.edges)
    assert len(period.hours) == 2
    assert all(a % HOUR == b % HOUR == 0 for a, b in period.hours)


def test_where_reports_are_gone_a_border_moves_to_the_beginning_of_its_hour() -> None:
    assert up_to(NOW, 7 * DAY, NOW - 5 * DAY) == Period(NOW - 7 * DAY - 30 * MINUTE, NOW - 84 * HOUR, NOW)
    # The hour of the border began before reports are kept: some of it may be gone.
    assert up_to(NOW, DAY, NOW - DAY).start == NOW - DAY - 30 * MINUTE
    assert up_to(NOW, DAY, NOW - DAY - 30 * MINUTE).start == NOW - DAY


spreads = st.lists(st.integers(0, 10**12), max_size=5).map(lambda values: spread(*map(float, values)))


@given(spreads, spreads, spreads)
def test_adding_spreads_does_not_depend_on_the_order(a: Spread, b: Spread, c: Spread) -> None:
    assert (a + b) + c == a + (b + c) == c + (b + a)
    assert a + Spread() == a


def test_numbers_that_some_reports_did_not_say_are_added_where_they_are() -> None:
    both = Reports(2, {"a": spread(1, 2)}) + Reports(1, {"b": spread(3)})
    assert (both.count, both.of("a"), both.of("b"), both.of("c")) == (3, spread(1, 2), spread(3), Spread())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((100,), (105,), Trend.STABLE),
        ((100,), (105.1,), Trend.INCREASING),
        ((100,), (95,), Trend.STABLE),
        ((100,), (94.9,), Trend.DECREASING),
        ((100, 300), (150, 150, 150), Trend.DECREASING),
        ((0,), (1,), Trend.INCREASING),
        ((0,), (0,), Trend.STABLE),
        ((), (5,), Trend.STABLE),
        ((5,), (), Trend.STABLE),
        ((), (), Trend.STABLE),
    ],
)
def test_the_trend_compares_the_means_of_the_halves(
    before: tuple[float, ...], after: tuple[float, ...], expected: Trend
) -> None:
    assert trend(spread(*before), spread(*after)) is expected


def test_numbers_are_written_as_senders_write_them() -> None:
    assert [repr(plain(value)) for value in (67.0, 0.0, 247.5, 1e12, 3, None)] == [
        "67", "0", "247.5", "1000000000000", "3", "None",
    ]  # fmt: skip
    assert [repr(rounded(value)) for value in (38.499, 142.304, 2.996, 1 / 3, None)] == [
        "38.5", "142.3", "3", "0.33", "None",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "health"),
    [
        (Facts(recent=True, fresh=True, overloaded=False, strained=False), Health.HEALTHY),
        (Facts(recent=True, fresh=False, overloaded=False, strained=False), Health.WARNING),
        (Facts(recent=True, fresh=True, overloaded=False, strained=True), Health.WARNING),
        (Facts(recent=True, fresh=True, overloaded=True, strained=True), Health.CRITICAL),
        (Facts(recent=False, fresh=False, overloaded=False, strained=False), Health.CRITICAL),
    ],
)
def test_the_worst_fact_decides_the_health(facts: Facts, health: Health) -> None:
    assert health_of(facts) is health


FINE = Facts(recent=True, fresh=True, overloaded=False, strained=False)
OLD = Facts(recent=False, fresh=False, overloaded=False, strained=False)


def group(version: str | None, tenants: int, facts: Facts = FINE, latencies: int = 0) -> NodeGroup:
    return NodeGroup(
        version, facts, tenants, active_users=10.0 * tenants, exercises=2.5 * tenants, uptime=60.0 * tenants,
        latency=100.0 * latencies, latencies=latencies,
    )  # fmt: skip


TENANTS = {Status.ACTIVE: 8, Status.INACTIVE: 2}
LICENCES = {LicenceState.ACTIVE: 5, LicenceState.EXPIRED: 3, LicenceState.EXPIRING: 1}


def test_the_summary_adds_groups_up() -> None:
    groups = [group("1.2.0", 3, latencies=3), group("1.2.0", 1, OLD), group("1.10.0", 1, latencies=1), group(None, 1)]
    answer = summary(NOW, TENANTS, LICENCES, groups).model_dump()
    assert answer == {
        "timestamp": "2025-11-24T10:30:00.000Z",
        "tenants": {"total": 10, "active": 8, "inactive": 2, "withRecentData": 5},
        "licenses": {"total": 8, "active": 5, "expired": 3, "expiringSoon": 1},
        "usage": {
            "totalActiveUsers": 60, "totalExercisesCompletedToday": 15, "averageAiLatency": 100, "totalUptime": 360,
        },
        "health": {"healthy": 5, "warning": 0, "critical": 1, "noData": 2},
        "versions": [
            {"version": "1.2.0", "count": 4}, {"version": "1.10.0", "count": 1}, {"version": "unknown", "count": 1},
        ],
    }  # fmt: skip


def test_a_platform_without_reports_has_zeros_and_no_latency() -> None:
    answer = summary(NOW, {Status.ACTIVE: 0, Status.INACTIVE: 0}, dict.fromkeys(LicenceState, 0), [])
    assert answer.usage.total_active_users == answer.usage.total_uptime == 0
    assert answer.usage.average_ai_latency is None
    assert answer.versions == []


def test_versions_that_somebody_makes_up_do_not_fill_the_answer() -> None:
    answer = summary(NOW, TENANTS, LICENCES, [group(f"v{i}", 1 + (i == 500)) for i in range(1000)])
    assert len(answer.versions) == MAX_VERSIONS
    assert answer.versions[0].version == "v500"
    assert answer.health.no_data == 0, "more reports than tenants that are active: never below zero"


def totals(
    tenants: int, hours: int, first_hours: int = 0, users: tuple[float, ...] = (1.0,), exercises: float = 1.0
) -> DayTotals:
    return DayTotals(tenants, spread(*users), exercises, spread(), hours, first_hours)


@pytest.mark.parametrize(
    ("zone", "day", "found", "expected"),
    [
        ("UTC", "2025-11-20", totals(2, 48), 100),
        ("UTC", "2025-11-20", totals(2, 47), 97.92),
        ("UTC", "2025-11-20", totals(2, 30, 18), 100),  # from hours 8 and 10 on
        ("Europe/Paris", "2025-03-30", totals(1, 23), 100),
        ("Europe/Paris", "2025-10-26", totals(1, 25), 100),
        ("Europe/Paris", "2025-10-26", totals(1, 24), 96),
        ("Australia/Lord_Howe", "2025-04-06", totals(1, 25), 100),  # 24.5 hours
    ],
)
def test_uptime_is_the_share_of_hours_since_the_first_report_of_the_day(
    zone: str, day: str, found: DayTotals, expected: float
) -> None:
    assert uptime_percentage(day_named(zone, day), found, Now(NOW, 0)) == expected


def test_the_current_hour_counts_for_those_who_have_reported_in_it() -> None:
    today = day_named("UTC", "2025-11-24")  # it is 10:30: hours 0 to 9 are over
    assert hour_began(today, NOW) == NOW - 30 * MINUTE
    assert uptime_percentage(today, totals(2, 20), Now(NOW, 0)) == 100
    assert uptime_percentage(today, totals(2, 21), Now(NOW, 1)) == 100
    assert uptime_percentage(today, totals(2, 20), Now(NOW, 1)) == 95.24
    assert uptime_percentage(today, totals(1, 1, 10), Now(NOW, 1)) == 100
    # A report came between the two reads.
    assert uptime_percentage(today, totals(1, 1, 10), Now(NOW, 0)) is None
    assert uptime_percentage(today, totals(2, 21), Now(NOW, 0)) == 100


@given(
    st.lists(st.sets(st.integers(0, 10), min_size=1), min_size=1, max_size=5),
    st.integers(0, HOUR - 1),
)
def test_uptime_of_today_is_that_of_looking_at_every_tenant_and_hour(hours: list[set[int]], into: int) -> None:
    today = day_named("UTC", "2025-11-24")
    now = today.start_ms + 10 * HOUR + into
    found = totals(len(hours), sum(map(len, hours)), sum(map(min, hours)))
    possible = sum(sum(1 for hour in range(min(own), 10)) + (10 in own) for own in hours)
    naive = round(sum(map(len, hours)) / possible * 100, 2)
    assert uptime_percentage(today, found, Now(now, sum(10 in own for own in hours))) == naive


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Pacific/Auckland", "America/Los_Angeles"])
def test_days_are_those_of_the_zone_newest_first_without_a_gap(zone: str) -> None:
    days = days_up_to(NOW, 90, zone)
    assert len(days) == 90
    assert days[0].start_ms <= NOW < days[0].end_ms
    assert all(newer.start_ms == older.end_ms for newer, older in pairwise(days))


def test_trends_have_a_line_for_every_day_and_a_summary_of_those_with_reports() -> None:
    days = days_up_to(NOW, 4, "UTC")
    found = {
        "2025-11-24": totals(2, 20, users=(1, 2, 6), exercises=10),
        "2025-11-22": totals(1, 24, users=(6, 4), exercises=5),
        "2025-11-20": totals(9, 9, users=(99,)),  # before the days that were asked for
    }
    answer = trends("UTC", days, Now(NOW, 0), found).model_dump()
    assert (answer["period"], answer["dataPoints"], answer["timezone"]) == ("4 days", 4, "UTC")
    assert (answer["startDate"], answer["endDate"]) == ("2025-11-21T00:00:00.000Z", "2025-11-24T10:30:00.000Z")
    assert [day["date"] for day in answer["trends"]] == ["2025-11-24", "2025-11-23", "2025-11-22", "2025-11-21"]
    assert answer["trends"][0]["avgActiveUsers"] == 3
    assert answer["trends"][1] == {
        "date": "2025-11-23", "avgActiveUsers": None, "totalExercises": 0, "avgAiLatency": None,
        "tenantsReporting": 0, "uptimePercentage": None,
    }  # fmt: skip
    assert answer["summary"] == {
        "avgDailyUsers": 4, "avgDailyExercises": 7.5, "avgAiLatency": None, "peakUsers": 6, "peakDate": "2025-11-24",
    }  # fmt: skip


def test_trends_without_a_report_have_no_peak() -> None:
    answer = trends("UTC", days_up_to(NOW, 1, "UTC"), Now(NOW, 0), {})
    assert answer.period == "1 day"
    assert set(answer.summary.model_dump().values()) == {None}
