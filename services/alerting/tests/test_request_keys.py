"""Repeated requests are told apart, also when the first came before a restart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vigie_alerting.engine.request_keys import RequestKeys
from vigie_contracts.samples import SampleBatch, encode, join
from vigie_storage.partitions.document import FirstUse

KEY = b"k" * 16


def counted(keys: RequestKeys, offset: int) -> list[bool]:
    batch = SampleBatch(
        np.array([7], np.uint64), np.zeros(1, np.uint32), np.array([1]), np.ones(1), (KEY,), np.zeros(1, np.int32)
    )
    record: Any = SimpleNamespace(partition=0, offset=offset, value=encode(batch), timestamp=1_000)
    return keys.first([record], join([record.value])[0]).tolist()


@pytest.mark.parametrize(("offset", "counts"), [(4, True), (5, True), (6, False)])
def test_a_request_that_was_counted_before_the_start_counts_once(offset: int, counts: bool) -> None:
    keys = RequestKeys()
    keys.remember([(0, KEY, FirstUse(0, 5, 900))])
    assert counted(keys, offset) == [counts]
