"""Decoded windows that are settled, kept for who asks for them again: a panel that shows a month reads it every minute.

What is kept is known by a key that says how often settled windows of its partitions were corrected: after a correction
it is read anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.tiers import FINE
from vigie_query.planning import TierRange
from vigie_runtime.clock import Clock
from vigie_windows import Cells

from vigie_storage.partitions.checkpoint import SETTLED_MS

_SKEW_MS: Final = 300_000
"""Clocks of readers and aggregators may differ by so much."""
_FEWEST: Final = 32
"""Windows from which on it is worth while."""
_MOST_CELLS: Final = 50_000
"""Of one question: others read more than they compute."""
_MAX_BYTES: Final = 64 << 20
_MAX_PARTS: Final = 16
"""A range that grew so often is read as a whole again."""
_KEPT_S: Final = 600.0


@dataclass(slots=True)
class Kept:
    """The settled windows of one range of a tier; where they are not known yet, `gaps`."""

    range: TierRange
    gaps: Sequence[TierRange]
    parts: tuple[Cells, ...] = ()
    nbytes: int = 0
    used: float = field(default=0.0)

    def add(self, cells: Iterable[Cells]) -> None:
        """What was found in a gap."""
        added = tuple(cells)
        self.parts += added
        self.nbytes += sum(one.nbytes for one in added)

    def within(self, wanted: TierRange) -> list[Cells]:
        """Those of a range."""
        return [some for one in self.parts if len(some := _cut(one, wanted))]


class SettledWindows:
    """Bounded, by the time of their last use. For one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        """Least recently used first."""
        self._nbytes = 0

    def of(self, piece: TierRange, rows: int) -> TierRange | None:
        """The part of a range that is settled, when it is worth keeping."""
        tier = piece.tier
        settled = piece._replace(end=min(piece.end, tier.floor(self._clock.now_ms() - SETTLED_MS - _SKEW_MS)))
        worth = _FEWEST <= settled.windows <= _MOST_CELLS // max(1, rows)
        return settled if worth and tier is not FINE else None

    def find(self, key: Hashable, wanted: TierRange) -> Kept:
        """What is known of a range, and what is missing."""
        known = self._kept.get(key)
        if known is None or len(known.parts) >= _MAX_PARTS:
            return Kept(wanted, (wanted,))
        start, end = known.range.start, known.range.end
        if wanted.start > end or wanted.end < start:
            return Kept(wanted, (wanted,))
        gaps = [gap for gap in (wanted._replace(end=start), wanted._replace(start=end)) if gap.start < gap.end]
        whole = wanted._replace(start=min(start, wanted.start), end=max(end, wanted.end))
        return Kept(whole, gaps, known.parts, known.nbytes)

    def keep(self, key: Hashable, kept: Kept) -> None:
        """After its gaps were filled."""
        now = kept.used = self._clock.monotonic()
        self._drop(key)
        self._kept[key] = kept
        self._nbytes += kept.nbytes
        while self._kept:
            oldest, one = next(iter(self._kept.items()))
            if self._nbytes <= _MAX_BYTES and now - one.used < _KEPT_S:
                break
            self._drop(oldest)

    def _drop(self, key: Hashable) -> None:
        if (known := self._kept.pop(key, None)) is not None:
            self._nbytes -= known.nbytes


def _cut(cells: Cells, wanted: TierRange) -> Cells:
    starts = cells.starts
    inside = (starts >= wanted.start) & (starts < wanted.end)
    return cells if inside.all() else cells.select(inside)
