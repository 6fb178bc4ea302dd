"""How far a partition has been counted, per tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from vigie_contracts.tiers import FINE, TIERS, Tier

COARSE: Final[tuple[Tier, ...]] = TIERS[1:]
"""The tiers that may lag behind the fine one."""


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
    """What the document of a partition says. `marks` has every tier, `dirty_since` every coarse tier.

    epoch: grows by one whenever the partition starts on another log: tells request keys of the old one apart.
    dirty_since: start in ms of the oldest 10 s window that is counted in the fine tier and not yet in this one; None
    when there is none. lost: records that the log had dropped before they were counted.
    """

    log: Log
    epoch: int
    marks: Mapping[str, Position]
    dirty_since: Mapping[str, int | None]
    lost: int = 0

    @property
    def first(self) -> Position:
        """Where reading must resume."""
        return min(self.marks.values())

    @property
    def fine(self) -> Position:
        """Up to where the fine tier, the request keys and the latest values are counted; no tier is ahead of it."""
        return self.marks[FINE.name]


def beginning(log: Log) -> Checkpoint:
    """Nothing counted yet."""
    return Checkpoint(log, 0, {tier.name: Position(0) for tier in TIERS}, {tier.name: None for tier in COARSE})


def started_over(before: Checkpoint, log: Log, offset: int = 0) -> Checkpoint:
    """Another log, counted from `offset` on. What was counted from the one before stays."""
    marks = {tier.name: Position(offset) for tier in TIERS}
    return replace(before, log=log, epoch=before.epoch + 1, marks=marks)
