"""How far a partition has been counted, per tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import FINE, TIERS, Tier

COARSE: Final[tuple[Tier, ...]] = TIERS[1:]
"""The tiers that may lag behind the fine one."""
SETTLED_MS: Final = 3_600_000
"""A window that ended so long ago is settled: when it changes, who keeps it is told (`Checkpoint.corrections`)."""


class Position(NamedTuple):
    """A place in the log, ordered: before sample `sample` of the record at `offset`.

    `sample` is 0 except while one record that touches very many windows is committed in parts.
    """

    offset: int
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    """Which log the offsets count in: they mean nothing in another cluster, or in a topic made anew."""

    cluster_id: str
    topic_id: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the document of a partition says, by names of tiers. As it comes from the store it lacks the tiers that were
    added since it was written: `with_all_tiers` gives them a place.

    epoch: grows by one whenever the partition starts on another log: tells request keys of the old one apart.
    dirty_since: of each coarse tier the start in ms of the oldest 10 s window that is counted in the fine tier and not
    yet in this one; None when there is none. lost: records that the log had dropped before they were counted.
    whole_since: of a tier that was added to a partition that had been counted before, the start in ms of the first
    window that it has whole. corrections: of each coarse tier how many commits wrote a settled window.
    """

    log: Log
    epoch: int
    positions: Mapping[str, Position]
    dirty_since: Mapping[str, int | None]
    lost: int = 0
    whole_since: Mapping[str, int] = field(default_factory=dict[str, int])
    corrections: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def first(self) -> Position:
        """Where reading must resume."""
        return min(self.positions.values())

    @property
    def fine(self) -> Position:
        """Up to where the fine tier, the request keys and the latest values are counted; no tier is ahead of it."""
        return self.positions[FINE.name]


def beginning(log: Log) -> Checkpoint:
    """Nothing counted yet."""
    return Checkpoint(log, 0, {tier.name: Position(0) for tier in TIERS}, {tier.name: None for tier in COARSE})


def started_over(before: Checkpoint, log: Log, offset: int = 0) -> Checkpoint:
    """Another log, counted from `offset` on. What was counted from the one before stays."""
    positions = dict.fromkeys(before.positions, Position(offset))
    return replace(before, log=log, epoch=before.epoch + 1, positions=positions)


def with_all_tiers(stored: Checkpoint, now_ms: int, tiers: Sequence[Tier] = TIERS) -> Checkpoint:
    """What is stored, with a place for each of `tiers`, finest first, and for no other.

    A new tier starts from the smallest position of the others. What was counted before is not in it, nor will be what
    is counted late, so readers take it from the first window on in which nothing can have been counted before. Raises
    ValueError for a new finest tier: request keys and latest values move with it.
    """
    kept = {tier.name: at for tier in tiers if (at := stored.positions.get(tier.name)) is not None}
    if tiers[0].name not in kept:
        raise ValueError(f"{tiers[0].name} cannot become the finest tier of a partition that was counted with another")
    first, since = min(kept.values()), dict(stored.whole_since)
    for tier in tiers:
        if tier.name not in kept:
            since[tier.name] = tier.floor(now_ms + MAX_FUTURE_SKEW_MS) + tier.width_ms
    return replace(
        stored,
        positions={tier.name: kept.get(tier.name, first) for tier in tiers},
        dirty_since={tier.name: stored.dirty_since.get(tier.name) for tier in tiers[1:]},
        whole_since={tier.name: since[tier.name] for tier in tiers if tier.name in since},
        corrections={name: count for name, count in stored.corrections.items() if name in kept},
    )
