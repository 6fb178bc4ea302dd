"""How much of the past a rule looks at, and in windows of which width that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from vigie_contracts.tiers import TIERS
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.plan import Node
from vigie_query.promql.reading import Wanted, wanted

AHEAD_MS: Final = 60_000
"""Clocks of senders may be so much ahead: samples of later times are not looked at."""
BEHIND_MS: Final = 60_000
"""So much of the past is kept beyond what rules look at: what they missed in a restart is found out from memory."""
_DISTRIBUTIONS: Final = frozenset({"quantile_over_time", "mad_over_time", "stddev_over_time", "stdvar_over_time"})
_HOUR: Final = 3_600_000
_REACH_MS: Final = dict(zip((tier.width_ms for tier in TIERS), (_HOUR, 24 * _HOUR, 32 * 24 * _HOUR), strict=True))
"""By width of the windows, how far they reach back: a few hundred windows of each series."""
_STEPS: Final = (1 / 12, 1 / 4, 1)
"""Parts of a reach that are kept apart, so that a look-back of minutes does not cost the memory of an hour."""


class HorizonError(ValueError):
    """A rule looks further back than is kept in memory, or at a fixed time."""


class Depth(NamedTuple):
    """Windows of this width, so many of them. What is kept of a series in one depth has a past of its own."""

    width_ms: int
    slots: int
    sketched: bool = False
    """With the distributions of gauges."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """What one selector of a rule needs, relative to the time of the evaluation."""

    wanted: Wanted
    """As of time 0."""
    depth: Depth


def depth(back_ms: int, *, sketched: bool = False) -> Depth:
    """The windows that reach so far back. Raises HorizonError."""
    for width_ms, reach_ms in _REACH_MS.items():
        for step in _STEPS:
            if back_ms <= reach_ms * step:
                # One for the window that the far end cuts, one for the window of now.
                more = 2 + -(-AHEAD_MS // width_ms) + -(-BEHIND_MS // width_ms)
                return Depth(width_ms, int(reach_ms * step) // width_ms + more, sketched)
    days = max(_REACH_MS.values()) // (24 * _HOUR)
    raise HorizonError(f"a rule looks back {days} days at most, this one {back_ms / (24 * _HOUR):.0f}")


def horizons(node: Node) -> tuple[Horizon, ...]:
    """Of each selector of the plan. Raises HorizonError."""
    at_zero = wanted(node, Evaluation({}, 0, 0), 0)
    later = wanted(node, Evaluation({}, _HOUR, _HOUR), 0)
    for one, other in zip(at_zero, later, strict=True):
        if other.first_ms - one.first_ms != _HOUR or other.last_ms - one.last_ms != _HOUR:
            raise HorizonError("a rule cannot look at a fixed time (@)")
        if one.last_ms > 0:
            raise HorizonError("a rule cannot look into the future (a negative offset)")
    return tuple(Horizon(one, depth(-one.first_ms, sketched=_sketched(one))) for one in at_zero)


def _sketched(one: Wanted) -> bool:
    return any(use.function in _DISTRIBUTIONS for use in one.uses)
