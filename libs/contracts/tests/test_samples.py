"""The batch codec refuses whatever could harm a consumer, whoever wrote it."""

import contextlib
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import limits, samples
from vigie_contracts.payloads import payloads

GOOD = [p.data for p in payloads("vigie.samples.v1") if p.good]
ALL = [p.data for p in payloads("vigie.samples.v1")]


def _spoilt(data: bytes, position: int, value: int) -> bytes:
    changed = bytearray(data)
    changed[position % len(changed)] = value
    return bytes(changed)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_not_crashed_on(data: bytes) -> None:
    with pytest.raises(samples.InvalidBatchError):
        samples.decode(b"\x01" + data)


@given(st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_gives_a_valid_batch_or_a_refusal(data: bytes, position: int, value: int) -> None:
    changed = _spoilt(data, position, value)
    with contextlib.suppress(samples.InvalidBatchError):
        batch = samples.decode(changed)
        assert np.isfinite(batch.values).all()
        assert int(batch.index.max()) < len(batch.fingerprints)


@given(
    st.lists(
        st.sampled_from(ALL) | st.builds(_spoilt, st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 255)),
        max_size=6,
    )
)
def test_joined_records_are_what_each_of_them_is_alone(records: list[bytes]) -> None:
    good: list[samples.SampleBatch] = []
    refused: dict[int, str] = {}
    for at, record in enumerate(records):
        try:
            good.append(samples.decode(record))
        except samples.InvalidBatchError as e:
            refused[at] = str(e)
    joined, errors = samples.join(records)
    assert {at: str(error) for at, error in errors.items()} == refused
    assert joined.ends.tolist() == list(accumulate(map(len, good)))
    assert joined.series_ends.tolist() == list(accumulate(len(batch.fingerprints) for batch in good))
    assert joined.fingerprints[joined.index].tolist() == [fp for b in good for fp in b.fingerprints[b.index].tolist()]
    assert joined.timestamps.tolist() == [ts for batch in good for ts in batch.timestamps.tolist()]
    assert joined.values.tolist() == [value for batch in good for value in batch.values.tolist()]
    keyed = [(at, b.keys, b.key_index.tolist()) for at, b in enumerate(good) if b.key_index is not None]
    assert [(one.record, one.keys, one.key_index.tolist()) for one in joined.keyed] == keyed


def test_the_largest_record_stays_under_the_byte_limit() -> None:
    """The bound on samples alone keeps a record of known series under the limit; keys and new series cost more."""
    n = limits.MAX_RECORD_SAMPLES
    batch = samples.SampleBatch(
        np.zeros(1, np.uint64), np.zeros(n, np.uint32), np.zeros(n, np.int64), np.zeros(n, np.float64)
    )
    assert len(samples.encode(batch)) < limits.MAX_RECORD_BYTES


def _listed(batch: samples.SampleBatch) -> list[tuple[int, int, float, bytes | None]]:
    places = range(len(batch)) if batch.key_index is None else batch.key_index.tolist()
    keys = [batch.keys[at] if batch.key_index is not None and at >= 0 else None for at in places]
    series = batch.fingerprints[batch.index].tolist()
    return list(zip(series, batch.timestamps.tolist(), batch.values.tolist(), keys, strict=True))


@given(st.sampled_from(GOOD), st.integers(0, 10_000))
def test_the_rest_of_a_batch_follows_what_was_counted_of_it(data: bytes, counted: int) -> None:
    batch = samples.decode(data)
    counted %= len(batch)
    left = samples.decode(samples.encode(samples.rest(batch, counted)))
    assert _listed(left) == _listed(batch)[counted:]


def test_the_rest_of_a_batch_is_no_repeat_of_itself() -> None:
    own, other = b"o" * 16, b"p" * 16
    batch = samples.SampleBatch(
        np.array([7], np.uint64), np.zeros(5, np.uint32), np.arange(5, dtype=np.int64), np.ones(5),
        (own, other, own), np.array([0, 0, 1, -1, 2], np.int32), (0, 0, 0),
    )  # fmt: skip
    assert [key for *_, key in _listed(samples.rest(batch, 1, {own}))] == [None, other, None, own]
