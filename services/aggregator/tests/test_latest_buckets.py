"""The buckets of histograms, against a count by comparison."""

import numpy as np
from vigie_aggregator.samples.latest import LatestValues
from vigie_contracts.latest import BUCKET_BOUNDS, Latest, unpack
from vigie_windows import Kind, fold

KINDS = np.full(600, Kind.HISTOGRAM, np.uint8)
KINDS[1::2] = Kind.GAUGE


def counted(latest: LatestValues, rows: list[int], values: list[float]) -> None:
    latest.add(fold(np.array(rows), np.full(len(rows), 5), np.array(values), KINDS))


def read(latest: LatestValues) -> dict[int, Latest]:
    return {chunk: unpack(data) for chunk, data in latest.packed([0, 1, 2]).items()}


def at_or_below(stored: Latest, slot: int) -> list[int]:
    counts = np.zeros(len(BUCKET_BOUNDS), np.int64)
    own = stored.buckets.slots == slot
    counts[stored.buckets.bounds[own]] = stored.buckets.counts[own]
    return np.cumsum(counts).tolist()


def test_counts_are_exact_on_both_sides_of_every_bound() -> None:
    latest = LatestValues()
    values = [-3.0, 0.0, 1e-15, 0.005, 0.25, 1.0, 2.5, 5.0, 1e300]
    for bound in BUCKET_BOUNDS:
        values += [bound * (1 - 1e-11), bound * (1 + 1e-11)]
    counted(latest, [2] * len(values), values)
    assert at_or_below(read(latest)[0], 2) == [sum(v <= bound for v in values) for bound in BUCKET_BOUNDS]


def test_only_histograms_have_buckets_and_every_row_has_its_own() -> None:
    latest = LatestValues()
    counted(latest, [0, 1, 300, 599, 598], [0.3, 0.3, 0.7, 2.0, 9.0])
    counted(latest, [300, 0], [0.7, 2e9])
    stored = read(latest)
    assert stored[0].buckets.slots.tolist() == [0]
    assert stored[1].buckets.counts.tolist() == [2]
    assert stored[2].buckets.slots.tolist() == [598 % 256]
    assert stored[0].counts.tolist() == [2, 1]  # the one above all bounds counts, and lies in no bucket


def test_buckets_go_on_from_what_was_stored() -> None:
    before, after = LatestValues(), LatestValues()
    counted(before, [300, 2], [0.7, 3.0])
    for chunk, stored in read(before).items():
        after.restore(chunk, stored)
    counted(after, [300, 4], [0.7, 4.0])
    counted(before, [300, 4], [0.7, 4.0])
    assert after.packed([0, 1, 2]) == before.packed([0, 1, 2])


def test_what_was_counted_before_buckets_were_kept_is_in_none_of_them() -> None:
    latest = LatestValues()
    one = np.ones(1)
    latest.restore(0, Latest(np.zeros(1, np.uint8), one.astype(np.int64), one, one, np.array([7])))
    counted(latest, [0], [0.3])
    stored = read(latest)[0]
    assert (stored.counts.tolist(), stored.buckets.counts.tolist()) == ([8], [1])
