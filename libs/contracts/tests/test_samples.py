"""The batch codec refuses whatever could harm a consumer, whoever wrote it."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import limits, samples
from vigie_contracts.payloads import payloads

GOOD = [p.data for p in payloads("vigie.samples.v1") if p.good]


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_not_crashed_on(data: bytes) -> None:
    with pytest.raises(samples.InvalidBatchError):
        samples.decode(b"\x01" + data)


@given(st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_gives_a_valid_batch_or_a_refusal(data: bytes, position: int, value: int) -> None:
    changed = bytearray(data)
    changed[position % len(changed)] = value
    with contextlib.suppress(samples.InvalidBatchError):
        batch = samples.decode(bytes(changed))
        assert np.isfinite(batch.values).all()
        assert int(batch.index.max()) < len(batch.fingerprints)


def test_the_largest_record_stays_under_the_byte_limit() -> None:
    """The bound on samples alone keeps a record of known series under the limit; keys and new series cost more."""
    n = limits.MAX_RECORD_SAMPLES
    batch = samples.SampleBatch(
        np.zeros(1, np.uint64), np.zeros(n, np.uint32), np.zeros(n, np.int64), np.zeros(n, np.float64)
    )
    assert len(samples.encode(batch)) < limits.MAX_RECORD_BYTES
