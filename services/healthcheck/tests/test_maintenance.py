"""When maintenance is."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from vigie_contracts.targets import Maintenance
from vigie_healthcheck.maintenance import Occurrence, current, current_or_next
from vigie_query.times import DAY, HOUR, MINUTE

PARIS = ZoneInfo("Europe/Paris")


def at(text: str, zone: ZoneInfo = PARIS) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def night(**more: Any) -> Maintenance:
    """02:00 to 04:00 in Paris, from the 1st of March 2026, a Sunday."""
    begins = at("2026-03-01T02:00")
    return Maintenance(starts_at=begins, ends_at=begins + 2 * HOUR, time_zone="Europe/Paris", reason="backup", **more)


def test_one_that_comes_goes_on_and_is_over() -> None:
    once = night()
    found = Occurrence(once.starts_at, once.ends_at, "backup")
    assert current_or_next(once, once.starts_at - DAY) == found
    assert current_or_next(once, once.ends_at - 1) == found
    assert current_or_next(once, once.ends_at) is None
    assert current([once], once.starts_at - 1) is None
    assert current([once], once.starts_at) == found
    assert current([], once.starts_at) is None


@pytest.mark.parametrize("day", ["2026-03-02", "2026-03-28", "2026-03-30", "2026-10-24", "2026-10-26", "2031-07-01"])
def test_daily_is_at_the_same_time_of_the_day_whatever_clocks_do(day: str) -> None:
    planned = night(daily=True)
    begins = at(f"{day}T02:00")
    assert current([planned], begins - MINUTE) is None
    assert current([planned], begins) == Occurrence(begins, begins + 2 * HOUR, "backup")
    assert current([planned], begins + 2 * HOUR - 1) is not None
    following = current_or_next(planned, begins + 2 * HOUR)
    assert following is not None
    assert 23 * HOUR <= following.starts_ms - begins <= 25 * HOUR


def test_weekly_is_on_its_day_only() -> None:
    planned = night(weekly=True)
    assert current([planned], at("2026-04-05T03:00")) is not None
    assert current([planned], at("2026-04-06T03:00")) is None
    following = current_or_next(planned, at("2026-04-06T03:00"))
    assert following is not None
    assert following.starts_ms == at("2026-04-12T02:00")


def test_what_never_ends_and_what_has_no_zone_harm_nobody() -> None:
    assert current_or_next(Maintenance(starts_at=10, ends_at=5, daily=True), 20) is None
    assert current([Maintenance(starts_at=0, ends_at=HOUR, daily=True, time_zone="Mars/Base")], 5 * DAY) is not None


def test_of_several_the_one_that_ends_last() -> None:
    planned = [Maintenance(starts_at=0, ends_at=10), Maintenance(starts_at=0, ends_at=20, reason="long")]
    assert current(planned, 5) == Occurrence(0, 20, "long")
