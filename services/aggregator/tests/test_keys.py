"""Which samples of repeated requests are dropped."""

from __future__ import annotations

import numpy as np
from vigie_aggregator.samples.keys import FirstUse, RequestKeys, kept
from vigie_contracts.samples import KeyedBatch

ONE, TWO = b"1" * 16, b"2" * 16


def test_key_of_an_earlier_record_is_a_repeat_and_the_record_read_again_is_not() -> None:
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(5, [ONE], {}) == []
    assert keys.duplicates(5, [ONE], {}) == []
    assert keys.duplicates(6, [TWO, ONE], {}) == [1]
    assert keys.duplicates(7, [ONE], {ONE: FirstUse(0, 7)}) == []
    assert keys.duplicates(7, [ONE], {ONE: FirstUse(1, 7)}) == [0], "of another log"


def test_second_entry_of_a_key_in_one_record_is_a_repeat_also_when_it_is_read_again() -> None:
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(5, [ONE, TWO, ONE], {}) == [2]
    assert keys.duplicates(5, [ONE, TWO, ONE], {ONE: FirstUse(0, 5)}) == [2]
    counted = kept(KeyedBatch(0, (ONE, TWO, ONE), np.array([0, 1, 2, -1], np.int32)), [2])
    assert counted.tolist() == [True, True, False, True]
