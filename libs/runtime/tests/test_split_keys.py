"""A request key never spans records: the aggregator would drop what came in the second one as a repeat."""

import pytest
from vigie_contracts import samples
from vigie_contracts.limits import MAX_RECORD_BYTES
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.batches import GatheredSamples


@pytest.mark.parametrize("sizes", [[10_000] * 5, [10_000] * 9, [1] * 50_000, [9_999, 1, 30_001, 2]], ids=len)
def test_samples_of_one_request_stay_in_one_record(sizes: list[int]) -> None:
    columns = GatheredSamples()
    for number, size in enumerate(sizes):
        columns.add(SampleColumns([12] * size, [1] * size, [1.0] * size, [number.to_bytes(16, "big")]))
    home: dict[bytes, int] = {}
    total = 0
    for number, record in enumerate(columns.records(12, 40_000)):
        batch = samples.decode(record.value)
        assert len(record.value) <= MAX_RECORD_BYTES
        assert all(home.setdefault(key, number) == number for key in batch.keys)
        total += len(batch)
    assert total == sum(sizes)
    assert len(home) == len(sizes)


def test_samples_without_a_key_may_be_cut_anywhere() -> None:
    columns = GatheredSamples()
    columns.add(SampleColumns([12], [1], [1.0], [b"k" * 16]))
    columns.add(SampleColumns([12] * 60_000, [1] * 60_000, [1.0] * 60_000))
    assert [len(record.members) for record in columns.records(12, 40_000)] == [30_000, 30_001]
