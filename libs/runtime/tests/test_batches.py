"""Splitting gathered columns into records, checked against the plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts import samples
from vigie_contracts.limits import MAX_RECORD_BYTES
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.batches import MAX_KEY_SAMPLES, GatheredSamples, distinct

FINGERPRINTS = st.integers(0, (1 << 64) - 1) | st.integers(0, 5) | st.sampled_from([1 << 63, (1 << 64) - 1])
KEY = b"k" * 16


@given(st.lists(FINGERPRINTS, min_size=1, max_size=200), st.integers(1, 13), st.integers(1, 50))
@settings(deadline=None)
def test_every_sample_is_in_one_record_of_its_partition_in_order(fps: list[int], partitions: int, most: int) -> None:
    columns = GatheredSamples()
    columns.add(SampleColumns(fps, list(range(len(fps))), [float(i) for i in range(len(fps))]))
    read: dict[int, list[tuple[int, int, float]]] = {}
    for record in columns.records(partitions, most):
        batch = samples.decode(record.value)
        assert len(batch) <= most
        assert len(np.unique(batch.fingerprints)) == len(batch.fingerprints)
        assert batch.timestamps.tolist() == record.members.tolist()
        rows = zip(
            batch.fingerprints[batch.index].tolist(), batch.timestamps.tolist(), batch.values.tolist(), strict=True
        )
        read.setdefault(record.partition, []).extend(rows)
    expected: dict[int, list[tuple[int, int, float]]] = {}
    for i, fp in enumerate(fps):
        expected.setdefault(fp % partitions, []).append((fp, i, float(i)))
    assert read == expected


@given(st.lists(FINGERPRINTS, min_size=1, max_size=300))
def test_distinct_places_every_fingerprint_even_when_all_bits_collide(fps: list[int]) -> None:
    column = np.array(fps, np.uint64)
    series, index = distinct(column)
    assert sorted(series.tolist()) == sorted(set(fps))
    assert (series[index] == column).all()


def test_adversarial_fingerprints_that_share_every_bucket_are_still_told_apart() -> None:
    # In each round of 16 bits, half of them collide with the others.
    fps = np.array(
        [(a << 48) | (b << 32) | (c << 16) | d for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1)]
    )
    series, index = distinct(np.repeat(fps.astype(np.uint64), 3))
    assert (series[index] == np.repeat(fps, 3)).all()
    assert len(series) == 16


def test_no_record_is_larger_than_kafka_takes() -> None:
    columns = GatheredSamples()
    n = 120_000
    columns.add(
        SampleColumns(np.random.default_rng(1).integers(0, 1 << 64, n, dtype=np.uint64), np.arange(n), np.zeros(n))
    )
    records = list(columns.records(1, 40_000))
    assert max(len(record.value) for record in records) <= MAX_RECORD_BYTES
    assert sum(len(record.members) for record in records) == n


def test_keys_follow_their_samples_and_callers_without_keys_have_none() -> None:
    columns = GatheredSamples()
    columns.add(SampleColumns([1, 2], [0, 0], [0.0, 0.0]))
    columns.add(SampleColumns([1, 2, 3], [1, 1, 1], [1.0, 2.0, 3.0], [b"a" * 16, b"b" * 16], [1, 0, -1]))
    columns.add(SampleColumns([1], [2], [4.0], [KEY]))
    seen = {}
    for record in columns.records(2, 100):
        batch = samples.decode(record.value)
        for j in range(len(batch)):
            key = None if batch.key_index is None or batch.key_index[j] < 0 else batch.keys[batch.key_index[j]]
            seen[float(batch.values[j]), int(batch.fingerprints[batch.index[j]])] = key
    assert seen == {
        (0.0, 1): None, (0.0, 2): None, (1.0, 1): b"b" * 16, (2.0, 2): b"a" * 16, (3.0, 3): None, (4.0, 1): KEY,
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ([1], [1, 2], [1.0]),
        ([-1], [1], [1.0]),
        ([1 << 64], [1], [1.0]),
        (["x"], [1], [1.0]),
        ([1], [1], ["x"]),
        ([1], [1], [1.0], [b"short"]),
        ([1, 2], [1, 2], [1.0, 2.0], [KEY, KEY]),
        ([1], [1], [1.0], [KEY], [1]),
        ([1] * (MAX_KEY_SAMPLES + 1), [1] * (MAX_KEY_SAMPLES + 1), [1.0] * (MAX_KEY_SAMPLES + 1), [KEY]),
        (np.array([1.5]), [1], [1.0]),
    ],
)
def test_columns_that_do_not_fit_are_refused_and_nothing_is_taken(arguments: tuple) -> None:
    columns = GatheredSamples()
    with pytest.raises(ValueError, match=r"columns|numbers|key"):
        columns.add(SampleColumns(*arguments))
    assert columns.count == 0
    assert list(columns.records(4, 10)) == []
