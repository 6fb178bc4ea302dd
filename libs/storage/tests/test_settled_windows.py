"""Windows that are kept in memory are those that are stored, whatever is corrected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import HOUR, MINUTE, Tier
from vigie_query.planning import Plan, TierRange
from vigie_query.series import Selection, Series
from vigie_runtime.clock import ManualClock
from vigie_storage import collections
from vigie_storage.partitions import document as checkpoints
from vigie_storage.partitions.checkpoint import SETTLED_MS, Log, Position, beginning
from vigie_storage.windows import document as documents
from vigie_storage.windows.document import Place, Window
from vigie_storage.windows.reader import WindowReader
from vigie_windows import chunks, fold

TENANT = TenantId("acme")
NOW = 1_790_000_000_000 // HOUR.width_ms * HOUR.width_ms
SERIES = [Series(n, "x", Kind.GAUGE, (("n", str(n)),), n % 2, n // 2, 0) for n in range(4)]
SELECTIONS = (Selection(SERIES), Selection(SERIES[:1]), Selection(SERIES[2:]))


class Cursor:
    def __init__(self, found: list[Any]) -> None:
        self._found = found

    async def to_list(self, size: int) -> list[Any]:
        part, self._found = self._found[:size], self._found[size:]
        return part

    async def __aiter__(self) -> Any:
        for one in self._found:
            yield one


class Stored:
    """Windows of a tier by id, or the checkpoints of partitions; and how many documents were read."""

    def __init__(self) -> None:
        self.documents: dict[Any, Any] = {}
        self.read = 0

    def find(self, query: Any, *_: Any, **__: Any) -> Cursor:
        wanted = [one["_id"] for one in query.get("$or", [query])]
        if isinstance(wanted[0].get("$gte"), str):
            return Cursor(list(self.documents.values()))
        found = [doc for doc in self.documents.values() if any(_asked(doc["_id"], one) for one in wanted)]
        self.read += len(found)
        return Cursor(found)


def _asked(own: Any, wanted: Any) -> bool:
    if "$in" in wanted:
        return own in wanted["$in"]
    return tuple(wanted["$gte"].values()) <= tuple(own.values()) < tuple(wanted["$lt"].values())


class Store(dict[str, Stored]):
    """Two partitions, whose windows of a tier are written as the aggregator does."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOW)
        self.checkpoints = [beginning(Log("cluster", "topic"))] * 2
        self.counts_corrections = True
        for partition in range(2):
            self.write(HOUR, partition, [])

    def __missing__(self, name: str) -> Stored:
        return self.setdefault(name, Stored())

    def write(self, tier: Tier, partition: int, values: Sequence[tuple[int, float]]) -> None:
        """`values`: window start in ms, and what both series of the partition were then."""
        before = self.checkpoints[partition]
        settled = any(start + tier.width_ms <= self.clock.now_ms() - SETTLED_MS for start, _ in values)
        positions = {name: Position(at.offset + 1) for name, at in before.positions.items()}
        corrections = {one.name: before.corrections.get(one.name, 0) for one in (MINUTE, HOUR)}
        corrections[tier.name] += settled
        after = self.checkpoints[partition] = replace(before, positions=positions, corrections=corrections)
        fields = checkpoints.fields(after)
        identifier = checkpoints.partition_id("samples", partition)
        stored = self[collections.PARTITIONS.name].documents
        if not self.counts_corrections:  # an aggregator from before there were any leaves them as they are
            fields["corrections"] = stored[identifier]["corrections"]
        stored[identifier] = {"_id": identifier, **fields}
        windows = self[collections.windows(tier).name].documents
        for start, value in values:
            cells = fold(np.arange(2), np.full(2, start), np.full(2, value), np.zeros(2, np.uint8), tier.width_ms)
            document = documents.document(partition, tier, Window(Place(TENANT, 0, start), chunks.encode(cells)))
            windows[partition, start] = document


def reader(store: Store) -> WindowReader:
    return WindowReader(store, store.clock, "samples")  # pyright: ignore[reportArgumentType]


async def read(windows: WindowReader, selection: Selection, *pieces: TierRange) -> dict[tuple[int, int], float]:
    """The value of each row and window start."""
    found = await windows.read(TENANT, selection, Plan(HOUR, pieces), ())
    rows = [key for cells in found for key in zip(cells.rows.tolist(), cells.starts.tolist(), strict=True)]
    assert len(set(rows)) == len(rows), "a window is there twice"
    return dict(zip(rows, np.concatenate([[], *(cells.last for cells in found)]).tolist(), strict=True))


def hours(first: int, last: int, tier: Tier = HOUR) -> TierRange:
    """Windows so many before now."""
    return TierRange(tier, NOW - first * tier.width_ms, NOW - last * tier.width_ms)


step = st.one_of(
    st.tuples(
        st.just("write"), st.integers(0, 1), st.lists(st.integers(0, 120), min_size=1, max_size=4), st.booleans()
    ),
    st.tuples(st.just("read"), st.integers(0, 2), st.tuples(st.integers(30, 120), st.integers(-3, 60)), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 3), st.just(()), st.just(False)),
)


@given(st.lists(step, max_size=30), st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_is_kept_is_what_is_stored(steps: list[Any], counts_corrections: bool) -> None:
    asyncio.run(_play(steps, counts_corrections))


async def _play(steps: list[Any], counts_corrections: bool) -> None:
    store = Store()
    for partition in range(2):
        store.write(HOUR, partition, [(NOW - ago * HOUR.width_ms, float(ago)) for ago in range(1, 110, 2)])
    store.counts_corrections = counts_corrections
    kept = reader(store)
    for number, (what, which, numbers, also) in enumerate(steps):
        store.clock.advance(1)  # past what is known of completeness
        if what == "wait":
            store.clock.advance(which * 1_200)
        elif what == "write":
            tier = MINUTE if also else HOUR
            store.write(tier, which, [(NOW - ago * tier.width_ms, float(number)) for ago in numbers])
        else:
            first, last = numbers
            pieces = [hours(first, min(last, first))]
            if also and last > 4:
                pieces += [hours(4 * 60, 60, MINUTE), hours(1, -1)]
            fresh = await read(reader(store), SELECTIONS[which], *pieces)
            assert await read(kept, SELECTIONS[which], *pieces) == fresh


async def test_what_is_settled_is_read_once_and_what_is_added_is_read_then() -> None:
    store = Store()
    store.write(HOUR, 0, [(NOW - ago * HOUR.width_ms, float(ago)) for ago in range(1, 101)])
    kept, windows = reader(store), store[collections.windows(HOUR).name]

    async def documents_of(first: int, last: int) -> int:
        store.clock.advance(1)
        before = windows.read
        assert len(await read(kept, SELECTIONS[1], hours(first, last))) == min(first, 100) - max(last, 0)
        return windows.read - before

    assert await documents_of(80, 20) == 60
    assert await documents_of(80, 20) == 0
    assert await documents_of(79, 19) == 1
    assert await documents_of(90, 30) == 10
    assert await documents_of(90, -1) == 19, "but for the last hours all is settled"
    assert await documents_of(90, -1) == 2
    store.write(HOUR, 0, [(NOW, 0.0)])
    assert await documents_of(80, 20) == 0
    store.write(HOUR, 1, [(NOW - 50 * HOUR.width_ms, 0.0)])
    assert await documents_of(80, 20) == 0, "another partition"
    store.write(HOUR, 0, [(NOW - 50 * HOUR.width_ms, 0.0)])
    assert await documents_of(80, 20) == 60
    assert await documents_of(20, 5) == 15
    assert await documents_of(20, 5) == 15, "so few are not worth it"


async def test_what_is_kept_is_bounded() -> None:
    store = Store()
    store.write(HOUR, 0, [(NOW - ago * HOUR.width_ms, float(ago)) for ago in range(1, 101)])
    kept = reader(store)
    windows = kept._settled
    await read(kept, SELECTIONS[1], hours(80, 20))
    [one] = windows._kept.values()
    assert windows._nbytes == one.nbytes > 0
    store.clock.advance(700)
    await read(kept, SELECTIONS[0], hours(80, 20))
    assert len(windows._kept) == 1, "what nobody asks for is dropped"
    piece = hours(80, 20)
    assert windows.of(piece, 50_000 // 60) == piece
    assert windows.of(piece, 50_000 // 60 + 1) is None
    assert windows.of(hours(80, 20, MINUTE)._replace(tier=MINUTE), 1) is None, "these are not settled"
