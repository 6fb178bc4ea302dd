"""Tiers that come and go: what a partition that was counted with others goes on from."""

from __future__ import annotations

import pytest
from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import FINE, HOUR, MINUTE, TIERS, Tier
from vigie_storage.partitions import document as documents
from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position, beginning, started_over, with_all_tiers

LOG = Log("cluster-1", "topic-1")
NOW = 1_700_000_000_000
NEW = Tier("5m", 300_000, MINUTE.retention_ms)


def stored(**positions: int) -> Checkpoint:
    """Positions by tier, after an underscore."""
    given = {name.removeprefix("_"): Position(offset) for name, offset in positions.items()}
    return Checkpoint(LOG, 2, given, {name: 7 for name in given if name != FINE.name}, lost=3)


def test_nothing_changes_when_the_tiers_are_those_that_are_stored() -> None:
    same = stored(_10s=9, _1m=7, _1h=8)
    assert with_all_tiers(same, NOW) == same
    assert with_all_tiers(beginning(LOG), NOW) == beginning(LOG)


def test_a_new_tier_starts_from_the_smallest_position_of_the_others() -> None:
    whole = with_all_tiers(stored(_10s=9, _1m=7, _1h=8), NOW, (FINE, MINUTE, NEW, HOUR))
    assert whole.positions == {"10s": Position(9), "1m": Position(7), "5m": Position(7), "1h": Position(8)}
    assert whole.dirty_since == {"1m": 7, "5m": None, "1h": 7}
    assert (whole.epoch, whole.lost, whole.first) == (2, 3, Position(7))


def test_a_new_tier_is_whole_from_the_first_window_on_that_begins_after_everything_counted_before() -> None:
    since = with_all_tiers(stored(_10s=9, _1m=7, _1h=8), NOW, (*TIERS[:2], NEW, HOUR)).whole_since
    assert since.keys() == {"5m"}
    assert since["5m"] % NEW.width_ms == 0
    assert NOW + MAX_FUTURE_SKEW_MS < since["5m"] <= NOW + MAX_FUTURE_SKEW_MS + NEW.width_ms


def test_from_when_on_a_tier_is_whole_is_found_once() -> None:
    tiers = (FINE, MINUTE, NEW, HOUR)
    once = with_all_tiers(stored(_10s=9, _1m=7, _1h=8), NOW, tiers)
    assert with_all_tiers(once, NOW + 86_400_000, tiers) == once
    assert started_over(once, Log("cluster-1", "topic-2")).whole_since == once.whole_since


def test_a_removed_tier_is_dropped_and_nobody_waits_for_it() -> None:
    before = with_all_tiers(stored(_10s=9, _1m=7, _1h=8), NOW, (FINE, MINUTE, NEW, HOUR))
    left = with_all_tiers(before, NOW, (FINE, HOUR))
    assert left.positions == {"10s": Position(9), "1h": Position(8)}
    assert (left.dirty_since, left.whole_since, left.first) == ({"1h": 7}, {}, Position(8))


def test_a_tier_that_the_last_writer_does_not_count_is_whole_nowhere_whatever_was_said_of_it_before() -> None:
    # A writer from before `whole_since` leaves it as it was.
    document = documents.fields(stored(_10s=9, _1h=8)) | {"whole_since": {"1m": 60_000, "1h": 3_600_000}}
    assert documents.whole_since(document) == {"1m": documents.NEVER, "1h": 3_600_000}


def test_another_finest_tier_is_refused() -> None:
    with pytest.raises(ValueError, match="1s cannot become the finest tier"):
        with_all_tiers(stored(_10s=9, _1m=7, _1h=8), NOW, (Tier("1s", 1_000, 1), *TIERS))
