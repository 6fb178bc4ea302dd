"""Which windows are read."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.tiers import FINE, TIERS
from vigie_contracts.tiers import HOUR as HOURS
from vigie_contracts.tiers import MINUTE as MINUTES
from vigie_query.errors import InvalidParameter, RetentionExceeded
from vigie_query.grid import Grid, single, stepped
from vigie_query.planning import Plan, TierRange, covering, plan, steps_possible
from vigie_query.times import DAY, HOUR, MINUTE

NOW = 1_790_000_120_000 // HOUR * HOUR + 17 * MINUTE + 30_000
TOP = NOW // HOUR * HOUR


def brief(made: Plan) -> list[tuple[str, int, int]]:
    return [(piece.tier.name, piece.start, piece.end) for piece in made.pieces]


def test_the_coarsest_tier_that_gives_the_step_is_read() -> None:
    for step, tier in ((10_000, FINE), (50_000, FINE), (MINUTE, MINUTES), (5 * MINUTE, MINUTES), (HOUR, HOURS)):
        made = plan(stepped(TOP - 5 * HOUR, TOP, step), {}, NOW)
        assert made.tier is tier
        assert {piece.tier for piece in made.pieces} <= {tier, FINE}


def test_what_is_dirty_comes_from_finer_tiers() -> None:
    dirty = {"1h": NOW - 40_000, "1m": NOW - 20_000}
    made = plan(stepped(TOP - 2 * HOUR, NOW, HOUR), dirty, NOW)
    minute = (NOW - 20_000) // MINUTE * MINUTE
    assert brief(made)[:2] == [("1h", TOP - 2 * HOUR, TOP), ("1m", TOP, minute)]
    assert made.pieces[2].tier is FINE
    assert made.pieces[2].start == minute


def test_a_dirty_window_beyond_the_finer_tiers_retention_comes_from_the_coarse_one() -> None:
    made = plan(stepped(NOW - 20 * DAY, NOW, HOUR), {"1h": NOW - 15 * DAY, "1m": NOW - 10 * DAY}, NOW)
    fine = [piece for piece in made.pieces if piece.tier is FINE]
    assert fine[0].start >= NOW - FINE.retention_ms
    assert made.pieces[0] == TierRange(HOURS, made.pieces[0].start, (NOW - 15 * DAY) // HOUR * HOUR)


def test_what_is_from_before_a_tier_was_added_comes_from_finer_tiers() -> None:
    grid = stepped(TOP - 5 * HOUR, TOP, HOUR)
    added = {"1h": TOP - 2 * HOUR}
    assert brief(plan(grid, {}, NOW, whole_since=added)) == [
        ("1m", TOP - 5 * HOUR, TOP - 2 * HOUR),
        ("1h", TOP - 2 * HOUR, TOP),
    ]
    assert brief(plan(grid, {"1h": TOP - HOUR}, NOW, whole_since=added))[1:] == [
        ("1h", TOP - 2 * HOUR, TOP - HOUR),
        ("1m", TOP - HOUR, TOP),
    ]
    [(name, *_)] = brief(plan(grid, {}, NOW, whole_since={"1h": TOP + HOUR}))
    assert name == "1m", "it is not whole anywhere yet"


def test_ragged_ends_come_from_finer_tiers() -> None:
    start, end = TOP - 5 * HOUR + 30_000, TOP - HOUR + 90_000
    made = plan(Grid(np.array((start, end)), end - start), {}, NOW)
    assert brief(made) == [
        ("10s", start, start + 30_000),
        ("1m", start + 30_000, TOP - 4 * HOUR),
        ("1h", TOP - 4 * HOUR, TOP - HOUR),
        ("1m", TOP - HOUR, TOP - HOUR + MINUTE),
        ("10s", TOP - HOUR + MINUTE, end),
    ]


def test_windows_beyond_retention_are_not_read() -> None:
    with pytest.raises(RetentionExceeded, match="multiple of 1m"):
        plan(stepped(NOW - 3 * DAY, NOW - 3 * DAY + HOUR, 10_000), {}, NOW)
    with pytest.raises(RetentionExceeded, match="nothing before"):
        plan(stepped(NOW - 500 * DAY, NOW - 450 * DAY, DAY), {}, NOW)
    made = plan(stepped(NOW - 48 * HOUR, NOW - 47 * HOUR, 50_000), {}, NOW)
    assert made.pieces[0].start >= NOW - FINE.retention_ms - 10_000


def test_the_period_of_a_month_costs_about_a_thousand_windows() -> None:
    made = plan(single(NOW - 30 * DAY, NOW, steps_possible(NOW - 30 * DAY, NOW)), {"1h": NOW - 30_000}, NOW)
    assert made.windows < 900


def test_the_possible_step_grows_with_age() -> None:
    assert [steps_possible(NOW - age, NOW) for age in (HOUR, 3 * DAY, 31 * DAY)] == [10_000, MINUTE, HOUR]


def test_a_grid_off_the_windows_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        plan(Grid(np.array((5, 10_005)), 10_000), {}, NOW)


times = st.integers(0, 47 * 360 - 1).map(lambda tens: (NOW // 10_000 - 1 - tens) * 10_000)


@given(st.lists(times, min_size=2, max_size=8, unique=True), times, times, st.booleans())
def test_every_moment_is_read_from_exactly_one_tier(
    edges: list[int], dirty_hour: int, dirty_minute: int, lookback: bool
) -> None:
    grid = Grid(np.array(sorted(edges)), 10_000)
    made = plan(grid, {"1h": dirty_hour, "1m": dirty_minute}, NOW, lookback=lookback)
    covered = [piece for piece in made.pieces if piece.end > grid.start]
    if not lookback:
        assert covered[0].start == grid.start
    assert covered[-1].end == grid.end
    for piece, following in zip(made.pieces, made.pieces[1:], strict=False):
        assert piece.end == following.start
    for piece in made.pieces:
        assert piece.start % piece.tier.width_ms == piece.end % piece.tier.width_ms == 0
        # No window crosses an edge, so every window is in one step.
        for edge in grid.edges.tolist():
            assert not piece.start < edge < piece.end or edge % piece.tier.width_ms == 0
        # No window of a tier that was not complete then.
        assert piece.tier is not TIERS[2] or piece.end <= dirty_hour // HOUR * HOUR
        assert piece.tier is not TIERS[1] or piece.end <= max(dirty_minute // MINUTE * MINUTE, piece.start)


@given(
    st.integers(0, 3 * DAY // 1000), st.lists(st.integers(0, 2 * DAY // 1000), min_size=1, max_size=8),
    st.integers(0, 2), st.integers(0, 2),
)  # fmt: skip
def test_windows_cover_the_time_once_and_an_edge_cuts_only_the_finest(
    ago: int, lengths: list[int], finest: int, coarsest: int
) -> None:
    start = NOW - ago * 1000
    edges = sorted({start, *(min(NOW, start + length * 1000) for length in lengths)})
    dirty = {"1m": NOW - 10 * MINUTE, "1h": NOW - 3 * HOUR}
    plan, rounded = covering(edges, dirty, NOW, finest=finest, coarsest=max(finest, coarsest))
    pieces = plan.pieces
    assert pieces[0].start <= edges[0]
    assert pieces[-1].end > edges[-1]
    assert all(one.end == other.start for one, other in pairwise(pieces))
    for edge in edges:
        [piece] = [one for one in pieces if one.start <= edge < one.end]
        if piece.tier in TIERS[finest + 1 :] and edge % piece.tier.width_ms:
            assert edge < NOW - FINE.retention_ms + HOUR, "finer windows are kept for this time"
            assert rounded is not None


def test_nothing_is_cut_where_finer_windows_begin_to_be_kept() -> None:
    edges = list(range(TOP - 35 * DAY, TOP + 1, HOUR))
    assert brief(covering(edges, {}, NOW)[0]) == [("1h", edges[0], TOP + HOUR)]
    assert brief(covering(edges, {"1h": TOP}, NOW)[0]) == [("1h", edges[0], TOP), ("10s", TOP, TOP + 10_000)]
    horizon = NOW - FINE.retention_ms
    odd = sorted([*edges, horizon // HOUR * HOUR + HOUR - MINUTE])
    assert {piece.tier for piece in covering(odd, {}, NOW)[0].pieces} == {HOURS, MINUTES}


def test_windows_say_that_they_are_wider_than_was_asked_for() -> None:
    old = TOP - 3 * DAY
    assert covering([old, old + 90_000], {}, NOW)[1] is MINUTES
    assert covering([old, old + 2 * MINUTE], {}, NOW)[1] is None
    assert covering([TOP - 90_000, TOP], {}, NOW)[1] is None
    assert covering([TOP - 90_000, TOP], {}, NOW, finest=2)[1] is HOURS
