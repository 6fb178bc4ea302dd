"""When commits are due."""

from __future__ import annotations

from vigie_aggregator.samples.schedule import Intervals, Schedule
from vigie_contracts.tiers import TIERS


def test_record_after_a_pause_is_committed_at_once_and_the_next_one_a_second_later() -> None:
    schedule = Schedule(Intervals(fine_s=1.0), partition=0, now=100.0)
    schedule.received(160.0)
    assert schedule.fine_due(160.0)
    schedule.committed(TIERS, 160.0, 160.0)
    schedule.received(160.1)
    assert not schedule.fine_due(160.9)
    assert schedule.fine_due(161.0)


def test_backlog_gathers_from_its_first_record_however_long_ago_the_last_commit_was() -> None:
    schedule = Schedule(Intervals(fine_s=1.0), partition=0, now=100.0)
    schedule.received(160.0)
    schedule.received(163.0)
    assert not schedule.fine_due(163.9, backlog=True)
    assert schedule.fine_due(164.0, backlog=True)
    schedule.committed(TIERS, 164.0, 164.0)
    schedule.received(170.0)
    assert not schedule.fine_due(173.9, backlog=True)
    assert schedule.fine_due(174.0, backlog=True)
