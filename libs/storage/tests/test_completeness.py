"""What readers are told of tiers that lag, or are not whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from vigie_contracts.tiers import FINE, TIERS
from vigie_runtime.clock import ManualClock, SystemClock
from vigie_storage.partitions.checkpoint import Checkpoint, Log, beginning
from vigie_storage.partitions.document import NEVER
from vigie_storage.partitions.store import PartitionStore, Transaction
from vigie_storage.windows.reader import WindowReader

pytestmark = pytest.mark.connected

NEW = beginning(Log("cluster-1", "topic-1"))


async def _stored(database: Any, *partitions: Checkpoint) -> WindowReader:
    store = PartitionStore(database, "topic", SystemClock())
    await store.prepare()
    for partition, checkpoint in enumerate(partitions):
        await store.commit(Transaction(partition, None, checkpoint, {}, [], {}))
    return WindowReader(database, ManualClock(0), "topic")


async def test_the_partition_that_lags_most_decides(database: Any) -> None:
    ahead = replace(NEW, dirty_since={"1m": None, "1h": 9_000}, whole_since={"1m": 60_000})
    reader = await _stored(database, NEW, ahead, replace(NEW, dirty_since={"1m": 7_000, "1h": 8_000}))
    whole = await reader.completeness([0, 1])
    assert (whole.dirty_since, whole.whole_since) == ({"1m": None, "1h": 9_000}, {"1m": 60_000, "1h": 0})
    whole = await reader.completeness([0, 1, 2, 99])
    assert (whole.dirty_since, whole.whole_since) == ({"1m": 7_000, "1h": 8_000}, {"1m": 60_000, "1h": 0})


async def test_a_tier_that_the_aggregators_do_not_know_is_whole_nowhere(database: Any) -> None:
    known = replace(NEW, positions={tier.name: NEW.fine for tier in (FINE, TIERS[-1])}, dirty_since={"1h": None})
    whole = await (await _stored(database, known)).completeness([0])
    assert whole.whole_since == {"1m": NEVER, "1h": 0}


async def test_another_topic_of_a_similar_name_is_another(database: Any) -> None:
    await _stored(database, replace(NEW, dirty_since={"1m": 7_000, "1h": 8_000}))
    whole = await WindowReader(database, ManualClock(0), "top").completeness([0])
    assert whole.dirty_since == {"1m": None, "1h": None}
