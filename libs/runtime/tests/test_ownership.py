"""What the log reader knows of its partitions."""

from __future__ import annotations

from vigie_runtime.bus.ownership import Ownership


def test_it_is_caught_up_when_every_partition_was_read_to_where_its_log_ended() -> None:
    own = Ownership()
    own.assign([0, 1], 0.0)
    assert not own.caught_up
    own.loaded(0, 5, 7)
    own.loaded(1, 3, 3)
    assert not own.caught_up
    own.delivered(0, 7)
    assert own.caught_up
