"""What an error advises works when it is followed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_query.errors import QueryError
from vigie_query.grid import MAX_POINTS
from vigie_query.planning import asked, plan
from vigie_query.times import DAY, HOUR, MINUTE, SECOND, duration, parse_duration, parse_time

NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * MINUTE + 5_000


def follow(from_ms: int, to_ms: int, step_ms: int) -> str | None:
    """The error of the question when it has one; its advice, followed, has none."""
    detail = refusal(from_ms, to_ms, step_ms)
    if detail is None or "ends before" in detail:
        return detail
    start, step = re.search(r"from=(\S+)", detail), re.search(r"step=(\w+)", detail)
    assert start or step, detail
    from_ms = parse_time(start[1], "from", NOW) if start else from_ms
    step_ms = parse_duration(step[1], "step") if step else step_ms
    grid = asked(from_ms, to_ms, step_ms, NOW + MINUTE)
    assert grid.steps <= MAX_POINTS + 2
    plan(grid, {}, NOW + MINUTE)
    return detail


def refusal(from_ms: int, to_ms: int, step_ms: int) -> str | None:
    try:
        asked(from_ms, to_ms, step_ms, NOW)
    except QueryError as error:
        return error.detail
    return None


@pytest.mark.parametrize(
    ("ago", "step", "advice"),
    [
        (400 * DAY, HOUR, "step=5h"), (400 * DAY, 10 * SECOND, "step=5h"), (500 * DAY, HOUR, "and step=5h"),
        (3 * DAY, 15 * SECOND, "step=3m"), (3 * DAY, 10 * SECOND, "step=3m"), (HOUR, 15 * SECOND, "step=20s"),
        (40 * DAY, 5 * MINUTE, "step=1h"), (HOUR, 1, "step=10s"),
    ],
)  # fmt: skip
def test_one_refusal_advises_what_is_possible(ago: int, step: int, advice: str) -> None:
    detail = follow(NOW - ago, NOW, step)
    assert detail is not None
    assert advice in detail


def test_what_is_no_longer_kept_has_no_advice_but_a_later_time() -> None:
    detail = follow(NOW - 500 * DAY, NOW - 450 * DAY, DAY)
    assert detail is not None
    assert detail.startswith("from: nothing before ")


@given(
    st.integers(1, 520 * DAY), st.integers(0, 520 * DAY),
    st.one_of(st.integers(1, 40 * DAY), st.sampled_from([10 * SECOND, MINUTE, 50 * SECOND, HOUR, 7 * HOUR, DAY])),
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_advice_is_accepted_whatever_was_asked(length: int, ago: int, step: int) -> None:
    to_ms = NOW - ago
    follow(max(0, to_ms - length), to_ms, step)


@given(st.integers(1, 400 * DAY))
def test_a_duration_is_read_as_it_is_written(length: int) -> None:
    assert parse_duration(duration(length), "step") == length
