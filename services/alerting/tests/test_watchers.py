"""The watches of a series are those that were added and are not gone, however they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.engine import watchers
from vigie_alerting.engine.watchers import Watchers

pair = st.tuples(st.integers(0, 12), st.integers(0, 5), st.booleans())
added = st.lists(pair, min_size=1, max_size=8)
moved = st.one_of(added, st.integers(0, 5))


def found(made: Watchers, homes: list[int]) -> list[tuple[int, int, bool]]:
    columns = made.of(np.array(homes, np.int64))
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(st.lists(moved, max_size=12), st.lists(st.integers(0, 20), max_size=8), st.sampled_from([0, 3, 1_000]))
def test_each_series_has_the_watches_that_were_added_and_not_removed(
    moves: list[list[tuple[int, int, bool]] | int], asked: list[int], few: int
) -> None:
    made, expected = Watchers(), list[tuple[int, int, bool]]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchers, "FEW", few)
        for move in moves:
            if isinstance(move, int):
                made.remove(move)
                expected = [one for one in expected if one[1] != move]
            else:
                homes, numbers, plain = (np.array(column) for column in zip(*move, strict=True))
                made.add(homes, numbers, plain)
                expected += move
            own = found(made, asked)
            assert [at for at, *_ in own] == sorted(at for at, *_ in own)
            assert sorted(own) == sorted(
                (at, number, plain) for at, home in enumerate(asked) for one, number, plain in expected if one == home
            )
