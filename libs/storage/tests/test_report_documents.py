"""The documents of reports: hours as bits, and ids whose order makes ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.days import to_datetime
from vigie_storage.reports.documents import day_id, first_hour, hour_bit, hour_id, hours_reported, platform_day_id


@given(st.sets(st.integers(0, 24), min_size=1))
def test_hours_of_a_day_are_bits(hours: set[int]) -> None:
    mask = 0
    for hour in hours:
        mask |= hour_bit(hour)
    assert hours_reported(mask) == len(hours)
    assert first_hour(mask) == min(hours)
    assert mask < 1 << 31, "fits the integers of BSON"


@pytest.mark.parametrize("mask", [0, -1])
def test_a_day_without_a_report_has_no_first_hour(mask: int) -> None:
    with pytest.raises(ValueError, match="no hour"):
        first_hour(mask)


def test_ids_begin_with_what_ranges_are_asked_for() -> None:
    assert list(hour_id("t", to_datetime(0))) == ["tenant", "hour"]
    assert list(day_id("UTC", "1970-01-01", "t")) == ["zone", "day", "tenant"]
    assert list(platform_day_id("UTC", "1970-01-01", 0)) == ["zone", "day", "partition"]
