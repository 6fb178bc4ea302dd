"""What the handler does with good, bad, late and repeated records, and with logs that are not what they were."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from vigie_aggregator.samples import commit
from vigie_aggregator.samples.handler import Limits
from vigie_aggregator.samples.latest import LatestValues
from vigie_contracts.live import LiveMessage
from vigie_contracts.tiers import CHUNK_SLOTS, FINE, HOUR, MINUTE, TIERS
from vigie_runtime.errors import Fenced, Retryable
from vigie_storage.partitions.checkpoint import Log, Position

from services.aggregator.tests.doubles import (
    LOG,
    NOW,
    ONE,
    TWO,
    Record,
    counted,
    handler,
    parts,
    record,
)


async def test_a_backlog_is_committed_more_rarely_until_it_is_read() -> None:
    store, catalogue, clock, _ = parts()
    waiting = {0: 5}
    it = handler(store, catalogue, clock, lag=lambda: waiting)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    clock.advance(2.0)
    await it.tick()
    assert store.commits == 0
    clock.advance(4.0)
    await it.tick()
    assert store.commits == 1
    await it.records(0, [record(1, [(7, NOW, 1.0)])])
    waiting.clear()
    clock.advance(2.0)
    await it.tick()
    assert store.commits == 2


async def test_late_sample_reaches_the_coarse_tiers_with_the_next_commit() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent, limits=Limits())
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    clock.advance(1)
    await it.tick()
    flushed = counted(store, HOUR)
    assert store.partitions[0].dirty_since["1h"] in (None, NOW - NOW % 10_000)
    await it.records(0, [record(1, [(7, NOW - 5 * 3_600_000, 1.0)])])
    clock.advance(1)
    await it.tick()
    assert counted(store, FINE) == counted(store, MINUTE) == counted(store, HOUR) == 2 > flushed - 1
    assert store.partitions[0].dirty_since == {"1m": None, "1h": None}


async def test_sample_beyond_a_tiers_retention_counts_in_the_coarser_ones_only() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    day = 24 * 3_600_000
    await it.records(0, [record(0, [(7, NOW - 3 * day, 1.0), (7, NOW - 60 * day, 1.0), (7, NOW - 500 * day, 1.0)])])
    await it.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [0, 1, 2]


async def test_dirty_since_holds_while_the_log_is_read_again() -> None:
    store, catalogue, clock, sent = parts()
    old, new = NOW - 40_000, NOW
    log = [record(0, [(7, new, 1.0)]), record(1, [(7, old, 1.0)]), record(2, [(7, new, 1.0)])]
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, log)
    await it._commit(it._state(0), (FINE,))
    assert store.partitions[0].dirty_since["1h"] == FINE.floor(old)
    again = handler(store, catalogue, clock, sent)
    assert await again.assigned(0) == 0
    await again.records(0, log[:1])
    await again._commit(again._state(0), (FINE, MINUTE))
    assert store.partitions[0].dirty_since == {"1m": FINE.floor(old), "1h": FINE.floor(old)}
    assert store.partitions[0].positions == {"10s": Position(3), "1m": Position(1), "1h": Position(0)}
    await again.records(0, log[1:])
    await again._commit(again._state(0), TIERS)
    assert store.partitions[0].dirty_since == {"1m": None, "1h": None}
    assert [counted(store, tier) for tier in TIERS] == [3, 3, 3]


async def test_record_that_touches_too_many_windows_is_committed_in_parts_and_resumed_inside() -> None:
    store, catalogue, clock, sent = parts()
    wide = record(0, [(7, NOW - n * 10_000, 1.0) for n in range(64)])
    it = handler(store, catalogue, clock, sent, limits=Limits(max_groups=8, inbox_bytes=0))
    await it.assigned(0)
    store.fail = "before"
    with pytest.raises(Retryable):
        await it.records(0, [wide])
    await it.assigned(0)
    commits = store.commits
    await it.records(0, [wide])
    assert store.commits > commits + 2
    inside = store.partitions[0].first
    assert inside.offset == 0
    assert inside.sample > 0
    again = handler(store, catalogue, clock, sent, limits=Limits(max_groups=8, inbox_bytes=0))
    assert await again.assigned(0) == 0
    await again.records(0, [wide])
    await again.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [64, 64, 64]


async def test_small_records_wait_for_each_other_until_they_are_many_or_a_commit_is_due() -> None:
    store, catalogue, clock, sent = parts()
    one = record(0, [(7, NOW, 1.0)])
    it = handler(store, catalogue, clock, sent, limits=Limits(inbox_bytes=3_000))  # a record counts 1,024 bytes more
    await it.assigned(0)
    await it.records(0, [one])
    await it.records(0, [Record(1, b"poison")])
    assert (catalogue.lookups, sent.dead) == (0, [])
    await it.records(0, [replace(one, offset=2), replace(one, offset=3)])
    assert (catalogue.lookups, [offset for offset, _ in sent.dead]) == (1, [1])
    await it.records(0, [replace(one, offset=4)])
    assert len(it._state(0).inbox) == 1
    clock.advance(2)
    await it.tick()
    assert (counted(store, FINE), store.partitions[0].fine) == (4, Position(5))
    await it.records(0, [replace(one, offset=5)])
    await it.revoked([0])
    assert (counted(store, HOUR), store.partitions[0].first) == (5, Position(6))


@pytest.mark.parametrize("stop", ["tick", "revoked"])
async def test_partition_whose_records_cannot_be_looked_at_does_not_stop_the_others(stop: str) -> None:
    store, catalogue, clock, sent = parts(ONE, replace(TWO, partition=1))
    it = handler(store, catalogue, clock, sent, limits=Limits())
    await it.assigned(0)
    await it.assigned(1)
    await it.records(0, [record(0, [(7, NOW, 1.0)]), Record(1, b"poison")])
    await it.records(1, [record(0, [(8, NOW, 1.0)])])
    sent.failure = Retryable("no dead letter can be stored")
    clock.advance(2)
    await (it.tick() if stop == "tick" else it.revoked([0, 1]))
    assert store.partitions.keys() == {1}
    if stop == "tick":
        with pytest.raises(Fenced, match="0"):
            await it.tick()


async def test_no_tier_stays_behind_poison_though_commits_come_between() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent, limits=Limits(max_groups=8))
    await it.assigned(0)
    wide = record(0, [(7, NOW - n * 10_000, 1.0) for n in range(64)])
    await it.records(0, [wide, record(1, [(7, NOW, 1.0)]), Record(2, b"poison"), record(3, [(7, NOW, 1.0)])])
    clock.advance(2)
    await it.tick()
    assert store.commits > 2
    assert store.partitions[0].first == Position(4)


async def test_fresh_records_are_committed_in_time_though_others_wait() -> None:
    store, catalogue, clock, _ = parts()
    it = handler(store, catalogue, clock, lag=lambda: {0: 5}, limits=Limits())
    await it.assigned(0)
    clock.advance(60)
    await it.records(0, [replace(record(0, [(7, NOW, 1.0)]), timestamp=clock.now_ms())])
    await it.tick()
    assert store.commits == 1


async def test_another_log_is_counted_from_its_beginning_and_old_request_keys_still_hold() -> None:
    store, catalogue, clock, sent = parts()
    key = b"k" * 16
    it = handler(store, catalogue, clock, sent)
    assert await it.assigned(0) is None
    await it.records(0, [record(n, [(7, NOW, 1.0)]) for n in range(5)] + [record(5, [(7, NOW, 1.0)], [key], [0])])
    await it.revoked([0])
    other = handler(store, catalogue, clock, sent, log=Log("cluster-2", "topic-9"))
    assert await other.assigned(0) is None
    await other.records(0, [record(0, [(7, NOW, 1.0)], [key], [0]), record(1, [(7, NOW, 1.0)])])
    await other.revoked([0])
    assert counted(store, HOUR) == 7
    assert (store.partitions[0].log, store.partitions[0].epoch) == (Log("cluster-2", "topic-9"), 1)


async def test_coarse_windows_are_repaired_when_the_log_they_lack_is_gone() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    samples = [(7, NOW, 1.0), (7, NOW - 40_000, 2.0), (8, NOW - 90_000, 4.0)]
    await it.records(0, [record(0, samples)])
    await it._commit(it._state(0), TIERS)
    await it.records(0, [record(1, samples)])
    await it._commit(it._state(0), (FINE,))
    assert [counted(store, tier) for tier in TIERS] == [6, 3, 3]
    other = handler(store, catalogue, clock, sent, log=Log("cluster-2", "topic-9"))
    await other.assigned(0)
    assert [counted(store, tier) for tier in TIERS] == [6, 6, 6]
    assert store.partitions[0].dirty_since == {"1m": None, "1h": None}
    await other.records(0, [record(0, samples)])
    await other.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [9, 9, 9]


async def test_coarse_windows_are_not_overwritten_by_what_is_left_of_expired_fine_ones() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    old = HOUR.floor(NOW) + 10_000
    await it.records(0, [record(0, [(7, old, 1.0), (7, old + 1_800_000, 1.0)])])
    await it._commit(it._state(0), TIERS)
    await it.records(0, [record(1, [(7, old + 1_800_000, 1.0), (7, old + 7_200_000, 1.0)])])
    await it._commit(it._state(0), (FINE,))
    clock.advance(48 * 3_600)  # half of the first hour's fine windows expire, as the store would have it
    expired = [key for key in store.tiers[FINE] if key[1].start_ms == FINE.floor(old)]
    for key in expired:
        del store.tiers[FINE][key]
    other = handler(store, catalogue, clock, sent, log=Log("cluster-2", "topic-9"))
    await other.assigned(0)
    cells = store.cells(HOUR, ("acme", "beta"))
    assert dict(zip(cells.starts.tolist(), cells.count.tolist(), strict=True)) == {
        HOUR.floor(old): 2,  # one is missing, which is said and counted
        HOUR.floor(old) + 7_200_000: 1,
    }
    assert other._metrics.unrepaired._value.get() >= 1
    assert store.partitions[0].dirty_since == {"1m": None, "1h": None}


async def test_coarse_tiers_do_not_read_again_what_a_partly_lost_log_still_has() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    log = [record(n, [(7, NOW, 1.0)]) for n in range(6)]
    await it.records(0, log)
    await it._commit(it._state(0), (FINE,))
    again = handler(store, catalogue, clock, sent)
    assert await again.assigned(0) == 0
    await again.lost_log(0, 0, 4)
    await again.records(0, log[4:])
    await again.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [6, 6, 6]
    assert store.partitions[0].lost == 0


async def test_records_that_the_log_lost_are_counted_as_lost() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    await it.revoked([0])
    assert await it.assigned(0) == 1
    await it.lost_log(0, 1, 11)
    clock.advance(2)
    await it.tick()
    assert store.partitions[0].lost == 10
    assert store.partitions[0].first == Position(11)
    await it.records(0, [record(11, [(7, NOW, 1.0)])])
    await it.revoked([0])
    assert counted(store, FINE) == 2


async def test_log_that_was_cut_is_counted_from_its_end_in_a_new_epoch() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    key = b"k" * 16
    log = [record(n, [(7, NOW, 1.0)]) for n in range(4)] + [record(4, [(7, NOW, 1.0)], [key], [0])]
    await it.records(0, log)
    await it._commit(it._state(0), (FINE,))
    again = handler(store, catalogue, clock, sent)
    await again.assigned(0)
    await again.lost_log(0, 5, 3)
    assert [counted(store, tier) for tier in TIERS] == [5, 5, 5], "coarse tiers do not wait for what is gone"
    await again.records(0, [record(3, [(7, NOW, 1.0)]), record(4, [(7, NOW, 1.0)], [key], [0])])
    await again.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [6, 6, 6], "the repeated request is known"
    assert (store.partitions[0].epoch, store.partitions[0].log, store.partitions[0].lost) == (1, LOG, 0)


async def test_revoked_partition_is_forgotten_though_the_time_for_it_was_over() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])

    async def hangs(transaction: object) -> None:
        await asyncio.Event().wait()

    store.commit = hangs  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await it.revoked([0, 1])
    assert it.snapshot(0) == []
    assert it._owned == {}


async def test_failed_partition_is_dropped_and_asks_to_be_loaded_again() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    clock.advance(2)
    store.fail = "after"
    with pytest.raises(Retryable):
        await it.tick()
    with pytest.raises(Fenced):
        await it.tick()
    with pytest.raises(Fenced):
        await it.records(0, [record(1, [(7, NOW, 1.0)])])
    assert await it.assigned(0) == 0, "the coarse tiers still want the record"
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    await it.revoked([0])
    assert [counted(store, tier) for tier in TIERS] == [1, 1, 1]


async def test_commit_announces_changed_series_of_each_tenant() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0), (7, NOW + 1, 5.0), (8, NOW, 2.5)])])
    clock.advance(2)
    await it.tick()
    ((partition, chunks, messages),) = sent.pushed
    assert (partition, {(c.tenant, c.chunk) for c in chunks}) == (0, {("acme", 0), ("beta", 1)})
    live = {channel: msgspec.msgpack.decode(data, type=LiveMessage) for channel, data in messages}
    assert live.keys() == {"vigie:acme:live", "vigie:beta:live"}
    acme = live["vigie:acme:live"]
    assert np.frombuffer(acme.fingerprints, "<u8").tolist() == [7]
    assert np.frombuffer(acme.ts, "<i8").tolist() == [NOW + 1]
    assert np.frombuffer(acme.values, "<f8").tolist() == [5.0]
    assert np.frombuffer(acme.sums, "<f8").tolist() == [6.0]
    assert np.frombuffer(acme.counts, "<i8").tolist() == [2]


async def test_span_of_a_commit_links_to_the_spans_of_its_records() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    it._tracer = provider.get_tracer("test")
    await it.assigned(0)
    good = record(0, [(7, NOW, 1.0)])
    traced = replace(good, headers=[("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")])
    await it.records(0, [traced, *(replace(traced, offset=n) for n in range(1, 200))])
    clock.advance(2)
    await it.tick()
    (span,) = exporter.get_finished_spans()
    assert len(span.links) == 128
    assert f"{span.links[0].context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{span.links[0].context.span_id:016x}" == "b7ad6b7169203331"


async def test_latest_values_of_many_series_are_packed_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "INLINE_CELLS", CHUNK_SLOTS)
    packed, where = LatestValues.packed, list[bool]()

    def noted(self: LatestValues, local_chunks: Sequence[int]) -> dict[int, bytes]:
        where.append(threading.current_thread() is threading.main_thread())
        return packed(self, local_chunks)

    monkeypatch.setattr(LatestValues, "packed", noted)
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    for offset, both in enumerate(([(7, NOW, 1.0)], [(7, NOW, 1.0), (8, NOW, 1.0)])):
        await it.records(0, [record(offset, both)])
        clock.advance(2)
        await it.tick()
    assert where == [True, False], "one chunk here, two in a thread"
    assert len(store.chunks) == 2


async def test_dropped_partition_is_told_once_and_does_not_stop_the_others() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(7, NOW, 1.0)])])
    clock.advance(2)
    store.fail = "after"
    with pytest.raises(Retryable):
        await it.tick()
    with pytest.raises(Fenced):
        await it.tick()
    await it.tick()  # a reader waits a second before it loads again: at each Fenced it would wait anew, for ever
