"""The heart of the matter: whatever happens, windows equal what was produced, and readers can trust `dirty_since`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from vigie_aggregator.samples.handler import Limits
from vigie_aggregator.samples.schedule import Intervals
from vigie_contracts.latest import BUCKET_BOUNDS, Latest, unpack
from vigie_contracts.series import Kind
from vigie_contracts.tiers import FINE, TIERS, Tier
from vigie_storage.partitions.checkpoint import COARSE, SETTLED_MS
from vigie_windows import Cells, fold, widen

from services.aggregator.tests.doubles import (
    Clock,
    MemoryCatalogue,
    MemoryStore,
    Reader,
    Record,
    Series,
    handler,
    record,
)

TENANTS = ("acme", "beta")
SERIES = (
    Series(11 << 60, "acme", 0, Kind.GAUGE),
    Series(2, "acme", 255, Kind.COUNTER),
    Series(3, "acme", 256, Kind.HISTOGRAM),
    Series(4, "beta", 0, Kind.CUMULATIVE),
    Series((11 << 60) + 1, "beta", 1, Kind.GAUGE),
)
KINDS = np.zeros(2 << 18, np.uint8)
for one in SERIES:
    KINDS[(TENANTS.index(one.tenant) << 10 << 8) + one.ordinal] = one.kind

NOW = 1_700_000_000_000
DAY = 24 * 3_600_000
AGES = (0, 1_000, 9_000, 31_000, 70_000, 200_000, 2 * 3_600_000, 5 * 3_600_000)


@dataclass(frozen=True)
class Produced:
    samples: tuple[tuple[int, int, float], ...]
    keys: tuple[bytes, ...]
    key_index: tuple[int, ...]
    key_times: tuple[int, ...]

    def record(self, offset: int) -> Record:
        return record(offset, self.samples, self.keys, self.key_index, self.key_times)


sample = st.tuples(
    st.sampled_from([s.fingerprint for s in SERIES]),
    st.builds(lambda age, jitter: NOW - age + jitter, st.sampled_from(AGES), st.integers(0, 5_000)),
    st.integers(-50, 50).map(float),
)


@st.composite
def produced(draw: st.DrawFn) -> Produced:
    samples = draw(st.lists(sample, min_size=1, max_size=12))
    keys = draw(st.lists(st.sampled_from([bytes([n]) * 16 for n in range(4)]), max_size=2, unique=True))
    index = [draw(st.integers(-1, len(keys) - 1)) for _ in samples] if keys else []
    times = [NOW + draw(st.sampled_from([0, 1, DAY - 1, DAY, 2 * DAY])) for _ in keys]
    return Produced(tuple(samples), tuple(keys), tuple(index), tuple(times))


step = st.one_of(
    st.tuples(st.just("poll"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.just("tick"), st.integers(0, 1), st.sampled_from([0, 1, 6, 31])),
    st.tuples(st.just("revoke"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("fail before"), st.just(0), st.just(0)),
    st.tuples(st.just("fail after"), st.just(0), st.just(0)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=st.lists(produced(), min_size=1, max_size=12),
    steps=st.lists(step, max_size=25),
    groups=st.integers(1, 40),
    inbox=st.sampled_from([0, 300, 1 << 20]),
)
@pytest.mark.timeout(300)
def test_windows_equal_what_was_produced_whatever_happens(
    log: list[Produced], steps: list, groups: int, inbox: int
) -> None:
    asyncio.run(_play(log, steps, groups, inbox))


async def _play(log: list[Produced], steps: Sequence[tuple[str, int, int]], groups: int, inbox: int) -> None:
    store, catalogue, clock = MemoryStore(), MemoryCatalogue(SERIES), Clock(NOW)
    records = [item.record(offset) for offset, item in enumerate(log)]
    limits = Limits(
        intervals=Intervals(1.0, 30.0), inbox_bytes=inbox, max_groups=groups, pending_bytes=1 << 20, cache_bytes=1 << 14
    )

    def reader() -> Reader:
        return Reader(handler(store, catalogue, clock, limits=limits), records)

    readers, keeper = [reader(), reader()], Keeper(store)
    for what, who, how in steps:
        match what:
            case "poll":
                await readers[who].poll(how)
            case "tick":
                clock.advance(how)
                await readers[who].tick()
            case "revoke":
                await readers[who].revoke()
            case "crash":
                readers[who] = reader()
            case _:
                store.fail = what.removeprefix("fail ")
        _readers_can_trust(store)
        keeper.look(clock.now_ms())
    store.fail = None
    await reader().drain()
    event(f"commits: {min(store.commits, 20)}")
    _equals(store, log)
    _readers_can_trust(store)
    keeper.look(clock.now_ms())


def _counted(log: Sequence[Produced]) -> list[tuple[int, int, float]]:
    used: dict[bytes, list[int]] = {}
    counted: list[tuple[int, int, float]] = []
    for item in log:
        keys = list(zip(item.keys, item.key_times, strict=True))
        new = [all(time - before >= DAY for before in used.get(key, ())) for key, time in keys]
        for (key, time), first in zip(keys, new, strict=True):
            if first:
                used.setdefault(key, []).append(time)
        for at, one in enumerate(item.samples):
            key = item.key_index[at] if item.keys else -1
            if key < 0 or new[key]:
                counted.append(one)
    return counted


def _reference(log: Sequence[Produced], tier: Tier) -> Cells:
    rows = {s.fingerprint: (TENANTS.index(s.tenant) << 18) + s.ordinal for s in SERIES}
    samples = _counted(log)
    if not samples:
        return Cells.empty(tier.width_ms)
    return fold(
        np.array([rows[fp] for fp, _, _ in samples]),
        np.array([ts for _, ts, _ in samples]),
        np.array([value for _, _, value in samples]),
        KINDS,
        tier.width_ms,
    )


# Turning points are left out: late samples of cumulative counters may lose some, as `vigie_windows.resets` says.
COLUMNS = ("key", "kind", "count", "sum", "min", "max", "first_ts", "first", "last_ts", "last")
SKETCH = ("sketch_cell", "sketch_bucket", "sketch_count")


def _equals(store: MemoryStore, log: Sequence[Produced]) -> None:
    for tier in TIERS:
        got, want = store.cells(tier, TENANTS), _reference(log, tier)
        for column in (*COLUMNS, *SKETCH):
            np.testing.assert_array_equal(getattr(got, column), getattr(want, column), f"{tier.name} {column}")
    _latest_equals(store, _counted(log))


def _latest_equals(store: MemoryStore, samples: Sequence[tuple[int, int, float]]) -> None:
    want: dict[tuple[str, int], tuple[int, float, float, int]] = {}
    for one in SERIES:
        mine = [(ts, value) for fp, ts, value in samples if fp == one.fingerprint]
        if mine:
            want[one.tenant, one.ordinal] = (*max(mine), sum(value for _, value in mine), len(mine))
    got: dict[tuple[str, int], tuple[int, float, float, int]] = {}
    buckets: dict[tuple[str, int], list[int]] = {}
    for (_, tenant, chunk), data in store.chunks.items():
        stored = unpack(data)
        buckets |= _cumulative(tenant, chunk, stored)
        for slot, *rest in zip(stored.slots, stored.timestamps, stored.values, stored.sums, stored.counts, strict=True):
            got[tenant, chunk * 256 + int(slot)] = tuple(rest)
    assert got == want
    for one in SERIES:
        mine = [value for fp, _, value in samples if fp == one.fingerprint]
        upto = [sum(value <= bound for value in mine) for bound in BUCKET_BOUNDS]
        if one.kind is Kind.HISTOGRAM:
            assert buckets.get((one.tenant, one.ordinal), [0] * len(BUCKET_BOUNDS)) == upto
        else:
            assert (one.tenant, one.ordinal) not in buckets


def _cumulative(tenant: str, chunk: int, stored: Latest) -> dict[tuple[str, int], list[int]]:
    """Of each series that has buckets: how many observations lie at or below each bound."""
    counts: dict[tuple[str, int], list[int]] = {}
    for slot, bound, count in zip(stored.buckets.slots, stored.buckets.bounds, stored.buckets.counts, strict=True):
        counts.setdefault((tenant, chunk * 256 + int(slot)), [0] * len(BUCKET_BOUNDS))[bound] += int(count)
    return {series: list(accumulate(own)) for series, own in counts.items()}


class Keeper:
    """Keeps settled windows as long as it is told of no correction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._kept: dict[Tier, tuple[int, int, dict[Any, Any]]] = {}

    def look(self, now_ms: int) -> None:
        """What it keeps is what is stored."""
        if (checkpoint := self._store.partitions.get(0)) is None:
            return
        for tier in COARSE:
            corrections, since_ms, windows = self._kept.get(tier, (-1, 0, {}))
            if checkpoint.corrections[tier.name] == corrections:
                assert self._settled(tier, since_ms) == windows
            self._kept[tier] = checkpoint.corrections[tier.name], now_ms, self._settled(tier, now_ms)

    def _settled(self, tier: Tier, now_ms: int) -> dict[Any, Any]:
        end = now_ms - SETTLED_MS - tier.width_ms
        return {at: document for at, document in self._store.tiers[tier].items() if at[1].start_ms <= end}


def _readers_can_trust(store: MemoryStore) -> None:
    """Coarse windows that end before `dirty_since` have everything that the fine tier has."""
    checkpoint = store.partitions.get(0)
    if checkpoint is None:
        return
    fine = store.cells(FINE, TENANTS)
    for tier in COARSE:
        dirty = checkpoint.dirty_since[tier.name]
        coarse, wide = store.cells(tier, TENANTS), widen(fine, tier.width_ms)
        if dirty is not None:
            coarse = coarse.select(coarse.starts + tier.width_ms <= dirty)
            wide = wide.select(wide.starts + tier.width_ms <= dirty)
        np.testing.assert_array_equal(coarse.key, wide.key, f"{tier.name}, dirty since {dirty}")
        np.testing.assert_array_equal(coarse.count, wide.count, f"{tier.name}, dirty since {dirty}")
        assert checkpoint.positions[tier.name] <= checkpoint.fine
