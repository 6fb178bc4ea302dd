"""Waiting grows, is spread, and is never shorter than the server asked for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_client.backoff import LONGEST_S, LONGEST_TOLD_S, Backoff, retry_after


@given(st.integers(0, 60), st.none() | st.floats(0, 10_000), st.floats(0, 1))
def test_wait_is_bounded_and_honours_the_server(failures: int, server_wait: float | None, share: float) -> None:
    backoff = Backoff(lambda low, high: low + (high - low) * share)
    for _ in range(failures):
        backoff.after(None)
    waited = backoff.after(server_wait)
    if server_wait is None:
        assert 0.25 <= waited <= LONGEST_S
    else:
        assert min(server_wait, LONGEST_TOLD_S) <= waited <= LONGEST_TOLD_S * 1.25 + 0.1


def test_wait_doubles_and_starts_again_after_a_success() -> None:
    backoff = Backoff(lambda low, high: high)
    assert [backoff.after(None) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.after(None) == 0.5


NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 09:00:30 GMT", 0),
        ("Sat, 21 Nov 2026 10:00:30 -0000", 30),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
