"""How a store of partitions behaves: the double that other tests use, and MongoDB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from vigie_aggregator.samples.store import Store
from vigie_contracts.limits import MAX_FUTURE_SKEW_MS
from vigie_contracts.tiers import FINE, MINUTE, TIERS
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import Fenced
from vigie_storage.collections import REQUEST_KEY_LIFE
from vigie_storage.latest import LatestChunk
from vigie_storage.partitions.checkpoint import Checkpoint, Position, beginning
from vigie_storage.partitions.document import FirstUse
from vigie_storage.partitions.store import PartitionStore, Transaction
from vigie_storage.windows.document import Place, Window
from vigie_windows import chunks

from services.aggregator.tests.doubles import LOG, NOW, ONE, TWO, MemoryStore, Reader, handler, parts, record

CHUNK = LatestChunk("acme", 3, b"packed")
KEY, OTHER_KEY = b"k" * 16, b"x" * 16
LATER = (FirstUse(0, 8),)
USES = (FirstUse(0, 4, 1_700_000_000_000),)
HERE, THERE = Place("acme", 0, 1_700_000_000_000), Place("beta", 0, 1_700_000_000_000)


def at(offset: int, **positions: int) -> Checkpoint:
    """A checkpoint with every tier at `offset`, or at its own in `positions`, after an underscore."""
    given = {name.removeprefix("_"): Position(own) for name, own in positions.items()}
    every = {tier.name: Position(offset) for tier in TIERS}
    return Checkpoint(LOG, 0, every | given, {"1m": None, "1h": 1_700_000_000_000})


def moved(expected: Checkpoint | None, checkpoint: Checkpoint, **more: Any) -> Transaction:
    return Transaction(0, expected, checkpoint, more.get("windows", {}), more.get("latest", []), more.get("keys", {}))


def without_minutes(whole: Checkpoint) -> Checkpoint:
    """As it was stored before there was a tier of minutes."""
    positions = {name: position for name, position in whole.positions.items() if name != MINUTE.name}
    return replace(whole, positions=positions, dirty_since={"1h": whole.dirty_since["1h"]})


class StoreBehaviour:
    async def test_what_is_committed_is_loaded(self, store: Store) -> None:
        assert await store.checkpoint(0) is None
        window = Window(HERE, {"slots": b"\x00"})
        await store.commit(moved(None, at(5), latest=[CHUNK], keys={KEY: USES}, windows={FINE: [window]}))
        await store.commit(moved(at(5), at(9)))
        assert await store.checkpoint(0) == at(9)
        assert await store.latest(0) == [CHUNK]
        assert await store.first_uses(0, [KEY, OTHER_KEY]) == {KEY: USES}
        [found] = await store.windows(FINE, 0, [HERE, THERE])
        assert (found.place, found.document["slots"]) == (HERE, b"\x00")

    async def test_partitions_and_tiers_are_told_apart(self, store: Store) -> None:
        window = Window(HERE, {"slots": b"\x00"})
        await store.commit(moved(None, at(5), latest=[CHUNK], keys={KEY: USES}, windows={FINE: [window]}))
        assert await store.checkpoint(1) is None
        assert await store.latest(1) == []
        assert await store.first_uses(1, [KEY]) == {}
        assert await store.windows(FINE, 1, [HERE]) == []
        assert await store.windows(MINUTE, 0, [HERE]) == []

    async def test_windows_and_latest_values_are_replaced_as_a_whole(self, store: Store) -> None:
        first = moved(None, at(5), latest=[CHUNK], windows={FINE: [Window(HERE, {"slots": b"\x00", "old": 1})]})
        await store.commit(first)
        newer = CHUNK._replace(data=b"newer")
        await store.commit(moved(at(5), at(6), latest=[newer], windows={FINE: [Window(HERE, {"slots": b"\x01"})]}))
        [found] = await store.windows(FINE, 0, [HERE])
        assert found.document["slots"] == b"\x01"
        assert "old" not in found.document
        assert await store.latest(0) == [newer]

    async def test_commit_on_what_is_no_longer_stored_is_fenced_and_writes_nothing(self, store: Store) -> None:
        await store.commit(moved(None, at(5)))
        windows = {FINE: [Window(HERE, {"slots": b"\x00"})]}
        for expected in (None, beginning(LOG), at(6), at(5, _1h=4)):
            with pytest.raises(Fenced):
                await store.commit(moved(expected, at(9), latest=[CHUNK], keys={KEY: LATER}, windows=windows))
        assert await store.checkpoint(0) == at(5)
        assert await store.latest(0) == []
        assert await store.first_uses(0, [KEY]) == {}
        assert await store.windows(FINE, 0, [HERE]) == []

    async def test_known_key_is_fenced(self, store: Store) -> None:
        await store.commit(moved(None, at(5), keys={KEY: USES}))
        with pytest.raises(Fenced):
            await store.commit(moved(at(5), at(9), keys={KEY: LATER, OTHER_KEY: LATER}, latest=[CHUNK]))
        assert await store.checkpoint(0) == at(5)
        assert await store.first_uses(0, [KEY, OTHER_KEY]) == {KEY: USES}
        assert await store.latest(0) == []

    async def test_key_that_is_used_anew_keeps_its_earlier_uses(self, store: Store) -> None:
        await store.commit(moved(None, at(5), keys={KEY: USES}))
        both = (*USES, FirstUse(0, 8, 1_700_090_000_000))
        await store.commit(moved(at(5), at(9), keys={KEY: both}))
        assert await store.first_uses(0, [KEY]) == {KEY: both}

    async def test_key_whose_earlier_use_was_swept_since_it_was_looked_up_is_stored(self, store: Store) -> None:
        both = (*USES, FirstUse(0, 8, 1_700_090_000_000))
        await store.commit(moved(None, at(9), keys={KEY: both}))
        assert await store.first_uses(0, [KEY]) == {KEY: both}

    async def test_key_that_comes_back_when_its_life_is_over_and_it_is_not_swept_yet_counts(self, store: Store) -> None:
        _, catalogue, clock, sent = parts()
        later = NOW + int(REQUEST_KEY_LIFE.total_seconds() * 1000) + 30_000
        first = record(0, [(ONE.fingerprint, NOW, 1.0)], [KEY], [0], [NOW])
        again = record(1, [(ONE.fingerprint, later, 1.0)], [KEY], [0], [later])
        other = record(2, [(TWO.fingerprint, later, 1.0)])
        await Reader(handler(store, catalogue, clock, sent), [first]).drain()
        clock.advance((later - NOW) / 1000)
        await Reader(handler(store, catalogue, clock, sent), [first, again, other]).drain()
        stored = await store.checkpoint(0)
        assert stored is not None
        assert stored.fine == Position(3), "neither is whoever comes after it kept waiting"
        [window] = await store.windows(FINE, 0, [Place("acme", 0, FINE.floor(later))])
        assert chunks.decode(window.document, 0, window.place.start_ms, FINE.width_ms).count.tolist() == [1]

    async def test_a_tier_that_was_added_has_no_position_until_it_is_committed_once(self, store: Store) -> None:
        before = without_minutes(at(5))
        await store.commit(moved(None, before))
        assert await store.checkpoint(0) == before
        # Only the new tier moves: still nobody else may have moved it.
        added = replace(at(5, _1m=4), whole_since={MINUTE.name: 1_700_000_040_000})
        await store.commit(moved(before, added))
        assert await store.checkpoint(0) == added
        with pytest.raises(Fenced):
            await store.commit(moved(before, at(9)))

    async def test_an_added_tier_is_counted_from_the_smallest_position_of_the_others(self, store: Store) -> None:
        await store.commit(moved(None, without_minutes(at(3, _1h=1))))
        _, catalogue, clock, sent = parts()
        log = [record(offset, [(ONE.fingerprint, NOW, 1.0)]) for offset in range(5)]
        reader = Reader(handler(store, catalogue, clock, sent), log)
        await reader.drain()
        counts: dict[str, int] = {}
        for tier in TIERS:
            [window] = await store.windows(tier, 0, [Place("acme", 0, tier.floor(NOW))])
            counts[tier.name] = int(chunks.decode(window.document, 0, window.place.start_ms, tier.width_ms).count.sum())
        assert counts == {"10s": 2, "1m": 4, "1h": 4}, "each has what the log held behind its own position"
        stored = await store.checkpoint(0)
        assert stored is not None
        assert set(stored.positions.values()) == {Position(5)}
        assert stored.whole_since == {MINUTE.name: MINUTE.floor(NOW + MAX_FUTURE_SKEW_MS) + MINUTE.width_ms}


class TestMemoryStore(StoreBehaviour):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


@pytest.mark.connected
class TestPartitionStore(StoreBehaviour):
    @pytest.fixture
    async def store(self, database: Any) -> Store:
        made = PartitionStore(database, "topic", SystemClock())
        await made.prepare()
        return made
