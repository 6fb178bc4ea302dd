"""Query planning: chooses the coarsest tier that has the steps, and finer ones where it is not filled yet.

A coarse tier is filled later than the fine one. Windows from its partition's `dirty_since` on are therefore read from
the next finer tier, and where that one lags too, from the finest; so are those from before a tier was added. Any moment
is read from exactly one tier, so nothing counts twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import TIERS, Tier
from vigie_windows import increase

from vigie_query.errors import InvalidParameter, QueryError, RetentionExceeded
from vigie_query.grid import MAX_POINTS, Grid, stepped
from vigie_query.times import duration, iso

INCREASE_LOOKBACK_MS = 5 * 60 * 1000
"""How far before a range the last value of a cumulative counter is looked for at once, at least one window of the tier.
For the few counters that have none there, `plans_before` goes on."""


class TierRange(NamedTuple):
    """The windows of one tier from `start` up to `end` (ms, both multiples of its width)."""

    tier: Tier
    start: int
    end: int

    @property
    def windows(self) -> int:
        return (self.end - self.start) // self.tier.width_ms


@dataclass(frozen=True, slots=True)
class Plan:
    """`tier` is the coarsest one used for the steps; pieces are ascending and do not overlap."""

    tier: Tier
    pieces: tuple[TierRange, ...]

    @property
    def windows(self) -> int:
        """Documents to read, at most, for each chunk of series."""
        return sum(piece.windows for piece in self.pieces)


def plan(
    grid: Grid,
    dirty_since: Mapping[str, int | None],
    now_ms: int,
    *,
    whole_since: Mapping[str, int] = MappingProxyType({}),
    lookback: bool = False,
) -> Plan:
    """What to read for the steps of `grid`.

    dirty_since: by tier name, the oldest moment that tier does not fully hold yet; None or absent when it holds all.
    whole_since: by tier name, the start of the first window it holds fully; absent when it is as old as the others.
    lookback: also the windows just before the grid, where a cumulative counter's first increase mostly starts from.
    Raises RetentionExceeded when the steps are finer than what is kept of that time.
    """
    edges: list[int] = grid.edges.tolist()
    index = _tier_for(edges)
    tier = TIERS[index]
    if edges[1] <= _horizon(tier, now_ms):
        raise _retention_exceeded(tier, now_ms)
    clean = _clean(dirty_since, whole_since, now_ms)
    # Edges that cut a window of the tier make it useless there: what is between two such edges is covered on its own.
    cuts = [edges[0], *(edge for edge in edges[1:-1] if edge % tier.width_ms), edges[-1]]
    spans = list(pairwise(cuts))
    pieces = [piece for start, end in spans for piece in _cover(start, end, index, clean)]
    for piece in pieces:
        # Of the first step the beginning may be gone: rounding `from` down must not turn into an error.
        gone = min(piece.end, _horizon(piece.tier, now_ms))
        if piece.start < gone > edges[1]:
            raise _retention_exceeded(piece.tier, now_ms)
    if lookback:
        before = max(INCREASE_LOOKBACK_MS, tier.width_ms)
        pieces = [*_cover(edges[0] - before, edges[0], index, clean), *pieces]
    return Plan(tier, tuple(_kept(joined(pieces), now_ms)))


def plans_before(
    end_ms: int,
    dirty_since: Mapping[str, int | None],
    now_ms: int,
    *,
    whole_since: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Plan]:
    """The windows that end by `end_ms` in which the last value before a range may be, when it is not in `plan`'s: the
    latest ones first, each plan twice as long as the one before it, so that what was found is not looked for again."""
    index = len(TIERS) - 1
    tier = TIERS[index]
    clean = _clean(dirty_since, whole_since, now_ms)
    oldest, length = tier.floor(max(0, end_ms - increase.MAX_GAP_MS)), tier.width_ms
    while oldest < end_ms:
        start = max(oldest, tier.floor(end_ms - length))
        yield Plan(tier, tuple(_kept(joined(_cover(start, end_ms, index, clean)), now_ms)))
        end_ms, length = start, 2 * length


def covering(
    edges: Sequence[int],
    dirty_since: Mapping[str, int | None],
    now_ms: int,
    *,
    whole_since: Mapping[str, int] = MappingProxyType({}),
    finest: int = 0,
    coarsest: int = len(TIERS) - 1,
) -> tuple[Plan, Tier | None]:
    """The fewest windows from the first edge to the last (the one that it begins is included) that none of the edges
    (ascending, ms) cuts, as far as windows that are fine enough are kept. With the widest tier of which windows are cut
    nevertheless, if any.

    finest, coarsest: the narrowest and widest windows to use, by their place in TIERS.
    """
    clean = _clean(dirty_since, whole_since, now_ms)
    pieces: list[TierRange] = []
    rounded: Tier | None = None
    start, end = edges[0], edges[-1] + 1
    for index in range(len(TIERS) - 1, finest - 1, -1):
        width = TIERS[index].width_ms
        until = end if index == finest else min(end, _horizon(TIERS[index - 1], now_ms))
        if start >= until:
            continue
        own = [edge for edge in edges if start <= edge < until]
        if index > 0 and rounded is None and any(edge % width for edge in own):
            rounded = TIERS[index]
        # A window that an edge cuts stands alone: what is in it may belong to either side.
        wide = TIERS[widest := max(index, coarsest)].width_ms
        cutting = [edge for edge in own if edge % wide]
        low, high = start // width * width, -(-until // width) * width
        outer = -(-until // wide) * wide
        if until == end and edges[-1] % wide == 0 and _is_whole(edges[-1], outer, clean[widest]):
            high = outer  # of what comes after the last edge only what lies at it is of interest, which is known
        elif outer < end and not any(
            edge % wide for edge in edges[bisect_left(edges, until) : bisect_left(edges, outer)]
        ):
            high = outer  # where finer windows begin to be kept, wide ones are there all the same
        cuts = {
            low,
            high,
            *(edge // width * width for edge in cutting),
            *(-(-edge // width) * width for edge in cutting),
        }
        for one, other in pairwise(sorted(cuts)):
            pieces += _cover(one, other, widest, clean)
        start = high
    kept = tuple(_kept(joined(pieces), now_ms))
    return Plan(max((piece.tier for piece in kept), key=TIERS.index, default=TIERS[finest]), kept), rounded


def asked(from_ms: int, to_ms: int, step_ms: int, now_ms: int, zone: ZoneInfo | None = None) -> Grid:
    """`stepped`, for steps that somebody asked for.

    Raises what `stepped` and `plan` raise, whatever else is known of the series: with one step that is possible."""
    try:
        grid = stepped(from_ms, to_ms, step_ms, zone)
        plan(grid, {}, now_ms)
    except QueryError as error:
        possible = least_step(from_ms, to_ms, now_ms, step_ms)
        if possible is not None:
            raise error.advise(f"use step={duration(possible)}, or another time") from None
        raise _nothing_before(to_ms, now_ms, step_ms) from None
    return grid


def least_step(from_ms: int, to_ms: int, now_ms: int, at_least: int = 0) -> int | None:
    """The narrowest step that can be asked for of that time; None when its beginning is not kept at all."""
    for tier in TIERS:
        width = tier.width_ms
        step = -(-max(width, at_least, -(-(to_ms - from_ms) // MAX_POINTS)) // width) * width
        try:
            plan(stepped(from_ms, to_ms, step), {}, now_ms)
        except RetentionExceeded:
            continue
        return step
    return None


def steps_possible(from_ms: int, now_ms: int) -> int:
    """The narrowest step, in ms, that is kept as far back as `from_ms`."""
    for tier in TIERS:
        if from_ms >= _horizon(tier, now_ms):
            return tier.width_ms
    return TIERS[-1].width_ms


def _tier_for(edges: list[int]) -> int:
    shortest = min(end - start for start, end in pairwise(edges))
    fitting = [index for index, tier in enumerate(TIERS) if tier.width_ms <= shortest]
    if not fitting or any(edge % TIERS[0].width_ms for edge in edges):
        raise InvalidParameter("step", f"must be a multiple of {TIERS[0].name}")
    return fitting[-1]


class _CompleteRange(NamedTuple):
    """Where a tier is complete: from `since` up to `until`."""

    since: int
    until: int | None


def _clean(dirty_since: Mapping[str, int | None], whole_since: Mapping[str, int], now_ms: int) -> list[_CompleteRange]:
    """Per tier. `until` is not before the horizon of the finer tier: that has nothing older, and a correction on its
    way into an old coarse window is a second away, while the window itself is there."""
    clean = [_CompleteRange(0, None)]
    for finer, tier in pairwise(TIERS):
        dirty = dirty_since.get(tier.name)
        until = None if dirty is None else tier.floor(max(dirty, _horizon(finer, now_ms)))
        clean.append(_CompleteRange(whole_since.get(tier.name, 0), until))
    return clean


def _is_whole(start: int, end: int, complete: _CompleteRange) -> bool:
    return complete.since <= start and (complete.until is None or end <= complete.until)


def _cover(start: int, end: int, index: int, clean: list[_CompleteRange]) -> Iterator[TierRange]:
    tier = TIERS[index]
    if index == 0:
        if start < end:
            yield TierRange(tier, start, end)
        return
    width = tier.width_ms
    since, until = clean[index]
    low, high = -(-max(start, since) // width) * width, end // width * width
    if until is not None:
        high = min(high, until)
    if low >= high:
        yield from _cover(start, end, index - 1, clean)
        return
    yield from _cover(start, low, index - 1, clean)
    yield TierRange(tier, low, high)
    yield from _cover(high, end, index - 1, clean)


def joined(pieces: Iterable[TierRange]) -> list[TierRange]:
    """The same windows, ascending, in as few ranges as possible."""
    found: list[TierRange] = []
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and last.tier is piece.tier and last.end == piece.start:
            found[-1] = last._replace(end=piece.end)
        else:
            found.append(piece)
    return found


def _kept(pieces: Iterable[TierRange], now_ms: int) -> Iterator[TierRange]:
    """Without windows whose time to live is over (MongoDB removes them late) or that cannot exist yet."""
    for tier, start, end in pieces:
        width = tier.width_ms
        first = max(start, _horizon(tier, now_ms))
        last = min(end, tier.floor(now_ms + MAX_FUTURE_SKEW_MS) + width)
        if first < last:
            yield TierRange(tier, first, last)


def _horizon(tier: Tier, now_ms: int) -> int:
    """The start of the oldest window of the tier that is read: of those that are still kept, the first one that begins
    together with one of the next coarser tier. Between the two there is then no time that neither of them has, in which
    the last value of a counter would not be found."""
    width = TIERS[min(TIERS.index(tier) + 1, len(TIERS) - 1)].width_ms
    oldest = max(0, tier.floor(now_ms - tier.retention_ms))
    return -(-oldest // width) * width


def _retention_exceeded(tier: Tier, now_ms: int) -> RetentionExceeded:
    coarser = TIERS[min(TIERS.index(tier) + 1, len(TIERS) - 1)]
    if coarser is tier:
        since = iso(_first_kept(now_ms))
        return RetentionExceeded(f"from: nothing before {since} is kept: use from={since}", "from")
    return RetentionExceeded(
        f"step: windows of {tier.name} are kept since {iso(_horizon(tier, now_ms))} only; the step for an earlier time "
        f"is a multiple of {coarser.name} (in UTC)",
        "step",
    )


def _nothing_before(to_ms: int, now_ms: int, step_ms: int) -> RetentionExceeded:
    since_ms = _first_kept(now_ms)
    error = RetentionExceeded(f"from: nothing before {iso(since_ms)} is kept", "from")
    step = least_step(since_ms, to_ms, now_ms, step_ms) if since_ms < to_ms else None
    if step is None:
        return error.advise("the time that is asked for ends before")
    return error.advise(f"use from={iso(since_ms)} and step={duration(step)}")


def _first_kept(now_ms: int) -> int:
    """The second oldest window that is kept: the oldest one goes within the hour."""
    coarsest = TIERS[-1]
    return _horizon(coarsest, now_ms) + coarsest.width_ms
