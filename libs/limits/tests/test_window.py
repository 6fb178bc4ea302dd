"""The arithmetic of the sliding window."""

from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from vigie_limits.window import Counts, LocalWindow

WINDOW_S = 10


def later(counts: Counts, seconds: float) -> Counts:
    """The same counts after some time in which nothing was taken."""
    left = counts.left_s - seconds
    if left > 0:
        return Counts(counts.previous, counts.current, left)
    if left > -WINDOW_S:
        return Counts(counts.current, 0, left + WINDOW_S)
    return Counts(0, 0, WINDOW_S)


counted = st.builds(
    Counts,
    st.integers(0, 1_000),
    st.integers(0, 1_000),
    st.floats(0, WINDOW_S, exclude_min=True, allow_subnormal=False),
)


@pytest.mark.parametrize(
    ("counts", "used"), [(Counts(0, 7, 3), 7), (Counts(100, 0, 10), 100), (Counts(100, 0, 5), 50), (Counts(3, 1, 5), 2)]
)
def test_the_last_window_counts_as_far_as_it_overlaps(counts: Counts, used: int) -> None:
    assert counts.used(WINDOW_S) == used


@given(counted, st.integers(1, 1_000), st.integers(1, 1_000))
@example(Counts(0, 100, 10), 100, 100)
@example(Counts(100, 100, 0.001), 100, 1)
def test_after_the_wait_it_fits_and_before_it_does_not(counts: Counts, amount: int, cost: int) -> None:
    wait_s = counts.wait_s(amount, WINDOW_S, cost)
    if cost > amount:
        assert wait_s == inf
        return
    fits = counts.used(WINDOW_S) + cost <= amount
    assert (wait_s == 0) == fits
    assert 0 <= wait_s <= 2 * WINDOW_S + 0.01
    assert later(counts, wait_s).used(WINDOW_S) + cost <= amount
    if wait_s > 0.01:
        assert later(counts, wait_s - 0.01).used(WINDOW_S) + cost > amount


@given(st.lists(st.tuples(st.floats(0, 25), st.integers(1, 100)), max_size=30), st.integers(0, 10_000))
def test_a_local_window_counts_what_was_added_in_this_window_and_the_last(
    steps: list[tuple[float, int]], begin: int
) -> None:
    window, now, added = LocalWindow(WINDOW_S), float(begin), dict[int, int]()
    for seconds, units in steps:
        now += seconds
        window.add(units, now)
        index = int(now // WINDOW_S)
        added[index] = added.get(index, 0) + units
        counts = window.counts(now)
        assert (counts.previous, counts.current) == (added.get(index - 1, 0), added[index])
        assert 0 <= counts.left_s <= WINDOW_S
