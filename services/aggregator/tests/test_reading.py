"""Which records become samples, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vigie_contracts.payloads import payloads
from vigie_contracts.samples import decode
from vigie_contracts.series import Kind
from vigie_contracts.tiers import FINE
from vigie_contracts.topics import SAMPLES
from vigie_runtime.errors import TooManyDeadLetters
from vigie_storage.partitions.checkpoint import Position

from services.aggregator.tests.doubles import (
    NOW,
    ONE,
    TWO,
    Clock,
    Record,
    Series,
    counted,
    handler,
    parts,
    record,
)


async def test_every_sample_payload_is_read_and_every_bad_one_is_a_dead_letter() -> None:
    found = payloads(SAMPLES.name)
    fingerprints = {int(fp) for payload in found if payload.good for fp in decode(payload.data).fingerprints}
    store, catalogue, clock, sent = parts(*(Series(fp, "acme", n, Kind.GAUGE) for n, fp in enumerate(fingerprints)))
    # Payloads are of any age: what matters is that their samples reach the fold.
    clock = Clock(min(int(decode(p.data).timestamps.min()) for p in found if p.good))
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [Record(offset, payload.data) for offset, payload in enumerate(found)])
    assert [found[offset].name for offset, _ in sent.dead] == [p.name for p in found if not p.good]
    assert all(reason.startswith("undecodable: ") for _, reason in sent.dead)
    await it.revoked([0])
    assert counted(store, FINE) == sum(len(decode(p.data)) for p in found if p.good)


async def test_unknown_series_is_a_dead_letter_after_a_bounded_retry_and_its_neighbours_count() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    mixed = [(7, NOW, 1.0), (99, NOW, 1.0)]
    await it.records(0, [record(0, [(7, NOW, 1.0)]), record(1, mixed), record(2, [(8, NOW, 1.0)])])
    assert [(offset, reason.split(":")[0]) for offset, reason in sent.dead] == [(1, "unknown_series")]
    assert catalogue.lookups == 4
    await it.revoked([0])
    assert counted(store, FINE) == 2
    assert store.partitions[0].first == Position(3)


async def test_series_of_another_partition_is_a_dead_letter() -> None:
    store, catalogue, clock, sent = parts(ONE, replace(TWO, partition=1))
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [record(0, [(8, NOW, 1.0)])])
    assert [offset for offset, _ in sent.dead] == [0]


async def test_dead_letter_is_not_sent_again_when_a_lagging_tier_reads_the_record_again() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(0, [Record(0, b"poison")])
    clock.advance(2)
    await it.tick()
    assert store.partitions[0].first == Position(1), "no tier is left behind a poison record"
    store.partitions[0] = replace(store.partitions[0], positions={**store.partitions[0].positions, "1h": Position(0)})
    again = handler(store, catalogue, clock, sent)
    assert await again.assigned(0) == 0
    await again.records(0, [Record(0, b"poison")])
    assert len(sent.dead) == 1


async def test_record_with_unknown_series_does_not_use_up_its_request_keys() -> None:
    store, catalogue, clock, sent = parts()
    key = b"k" * 16
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    await it.records(
        0, [record(0, [(7, NOW, 1.0), (99, NOW, 1.0)], [key], [0, 0]), record(1, [(7, NOW, 2.0)], [key], [0])]
    )
    await it.revoked([0])
    assert [offset for offset, _ in sent.dead] == [0]
    assert store.cells(FINE, ("acme", "beta")).sum.tolist() == [2.0]


@pytest.mark.parametrize("every", [2, 20])
async def test_poison_among_many_good_records_does_not_look_like_a_log_of_poison(every: int) -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    good = record(0, [(7, NOW, 1.0)])
    unknown = record(0, [(99, NOW, 1.0)])
    bad = [Record(0, b"poison"), unknown]
    log = [bad[n % 2] if n % (2 * every) in (0, 1) else good for n in range(800)]
    await it.records(0, [replace(one, offset=n) for n, one in enumerate(log)])
    await it.revoked([0])
    assert counted(store, FINE) == sum(one is good for one in log)


async def test_log_of_poison_ends_the_service() -> None:
    store, catalogue, clock, sent = parts()
    it = handler(store, catalogue, clock, sent)
    await it.assigned(0)
    with pytest.raises(TooManyDeadLetters):
        await it.records(0, [record(n, [(99, NOW, 1.0)]) for n in range(50)])
