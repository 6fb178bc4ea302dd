"""Which samples of repeated requests are dropped."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vigie_aggregator.samples.keys import FirstUse, RequestKeys, kept
from vigie_contracts.samples import KeyedBatch
from vigie_storage.partitions.document import Uses

ONE, TWO = b"1" * 16, b"2" * 16
NOW, DAY = 1_700_000_000_000, 24 * 3_600_000


def keyed(*keys: bytes, at: int = 0) -> KeyedBatch:
    return KeyedBatch(0, keys, np.zeros(0, np.int32), (at,) * len(keys))


def test_key_of_an_earlier_record_is_a_repeat_and_the_record_read_again_is_not() -> None:
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(5, keyed(ONE), {}) == []
    assert keys.duplicates(5, keyed(ONE), {}) == []
    assert keys.duplicates(6, keyed(TWO, ONE), {}) == [1]
    assert keys.duplicates(7, keyed(TWO), {TWO: (FirstUse(0, 6),)}) == [0]
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(7, keyed(ONE), {ONE: (FirstUse(0, 7),)}) == []
    assert keys.duplicates(7, keyed(ONE), {ONE: (FirstUse(1, 7),)}) == [0], "of another log"


def test_second_entry_of_a_key_in_one_record_is_a_repeat_also_when_it_is_read_again() -> None:
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(5, keyed(ONE, TWO, ONE), {}) == [2]
    assert keys.duplicates(5, keyed(ONE, TWO, ONE), {ONE: (FirstUse(0, 5),)}) == [2]
    counted = kept(KeyedBatch(0, (ONE, TWO, ONE), np.array([0, 1, 2, -1], np.int32), (0, 0, 0)), [2])
    assert counted.tolist() == [True, True, False, True]


def test_a_day_after_its_request_was_received_a_key_is_new_though_it_is_still_stored() -> None:
    stored: dict[bytes, Uses] = {ONE: (FirstUse(0, 5, NOW),)}
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(6, keyed(ONE, at=NOW + DAY - 1), stored) == [0]
    assert keys.duplicates(7, keyed(ONE, at=NOW + DAY), stored) == []
    assert keys.pending == {ONE: (FirstUse(0, 5, NOW), FirstUse(0, 7, NOW + DAY))}
    assert keys.duplicates(8, keyed(ONE, at=NOW + DAY + 1), stored) == [0]
    # Read again, for a tier that lags, each is judged as before.
    again = [RequestKeys(epoch=0).duplicates(at, keyed(ONE, at=ms), keys.pending) for at, ms in HISTORY]
    assert again == [[], [0], [], [0]]


HISTORY = ((5, NOW), (6, NOW + DAY - 1), (7, NOW + DAY), (8, NOW + DAY + 1))


def test_the_newest_use_is_kept_however_old_it_is_because_the_store_may_still_have_it() -> None:
    stored: dict[bytes, Uses] = {ONE: tuple(FirstUse(0, day, NOW + day * DAY) for day in range(3))}
    keys = RequestKeys(epoch=0)
    assert keys.duplicates(99, keyed(ONE, at=NOW + 99 * DAY), stored) == []
    assert keys.pending == {ONE: (FirstUse(0, 2, NOW + 2 * DAY), FirstUse(0, 99, NOW + 99 * DAY))}
    assert keys.duplicates(199, keyed(ONE, at=NOW + 199 * DAY), {}) == []
    assert keys.pending == {ONE: (FirstUse(0, 99, NOW + 99 * DAY), FirstUse(0, 199, NOW + 199 * DAY))}


def test_key_whose_time_is_not_said_is_a_repeat_as_long_as_it_is_stored() -> None:
    for before, now in ((0, NOW), (NOW, 0), (0, 0)):
        keys = RequestKeys(epoch=0)
        assert keys.duplicates(6, keyed(ONE, at=now), {ONE: (FirstUse(0, 5, before),)}) == [0]


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(0, 3 * DAY)), min_size=1, max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_partitions_judge_alike_whatever_they_have_committed(
    sent: list[tuple[bytes, int]], here: list[bool], there: list[bool]
) -> None:
    """One event's samples lie in two partitions, at other offsets, which commit at other moments; and one of the stores
    has removed everything that it may."""

    def judged(commits: list[bool], step: int, swept: bool) -> list[bool]:
        stored: dict[bytes, Uses] = {}
        keys, verdicts = RequestKeys(epoch=0), list[bool]()
        for number, (key, at) in enumerate(sent):
            known = {k: u for k, u in stored.items() if not (swept and at - u[-1].received_ms + NOW >= 2 * DAY)}
            verdicts.append(bool(keys.duplicates(number * step, keyed(key, at=NOW + at), known)))
            if commits[number]:
                stored |= keys.pending
                keys.pending = {}
        return verdicts

    assert judged(here, 1, swept=False) == judged(there, 7, swept=True)
