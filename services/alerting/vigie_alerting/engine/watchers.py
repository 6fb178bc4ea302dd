"""Which watches show each series, told for whole arrays of series."""

from __future__ import annotations

from typing import Final

import numpy as np
from vigie_query.promql.samples import spread

from vigie_alerting.engine.bank import Bools, Ints

FEW: Final = 1_000
"""So many pairs, or a quarter of all, are looked up beside the index before it is made anew: series come one by one."""


class Watchers:
    """Pairs of a series, by its home, and a watch that shows it or a part of it, by its number."""

    def __init__(self) -> None:
        self._homes, self._numbers = np.empty(0, np.int64), np.empty(0, np.int64)
        """[pairs]: in the order of homes, first those of the index, then the others."""
        self._plain = np.empty(0, np.bool_)
        self._begins = np.zeros(1, np.int64)
        """The index: [homes + 1] where the pairs of each home begin."""
        self._gone: set[int] = set()

    def add(self, homes: Ints, numbers: Ints, plain: Bools) -> None:
        """Pairs that are new; `plain`: whether the watch shows the values as they are, and no running totals."""
        self._forget()
        self._homes = np.concatenate([self._homes, homes])
        self._numbers = np.concatenate([self._numbers, numbers])
        self._plain = np.concatenate([self._plain, plain])
        indexed = int(self._begins[-1])
        self._order(indexed if len(self._homes) - indexed <= max(FEW, indexed // 4) else 0)

    def remove(self, number: int) -> None:
        """This watch shows nothing any more."""
        self._gone.add(number)

    def of(self, homes: Ints) -> tuple[Ints, Ints, Bools]:
        """Positions in `homes`, ascending, and for each the number of a watch that shows this series, and whether it
        shows the values as they are."""
        self._forget()
        known = np.minimum(homes, len(self._begins) - 2)
        sizes = np.where(known == homes, self._begins[known + 1] - self._begins[known], 0)
        positions, places = np.repeat(np.arange(len(homes)), sizes), spread(self._begins[known], sizes)
        indexed = int(self._begins[-1])
        others = self._homes[indexed:]
        begins = np.searchsorted(others, homes)
        sizes = np.searchsorted(others, homes, side="right") - begins
        if sizes.any():
            positions = np.concatenate([positions, np.repeat(np.arange(len(homes)), sizes)])
            places = np.concatenate([places, spread(indexed + begins, sizes)])
            order = np.argsort(positions, kind="stable")
            positions, places = positions[order], places[order]
        return positions, self._numbers[places], self._plain[places]

    def _forget(self) -> None:
        if not self._gone:
            return
        kept = ~np.isin(self._numbers, list(self._gone))
        self._homes, self._numbers, self._plain = self._homes[kept], self._numbers[kept], self._plain[kept]
        self._gone.clear()
        self._order(0)

    def _order(self, begin: int) -> None:
        """Pairs from there on are in any order. Those before it are in the index; with 0, all are from now on."""
        order = np.argsort(self._homes[begin:], kind="stable")
        for column in (self._homes, self._numbers, self._plain):
            column[begin:] = column[begin:][order]
        if not begin:
            self._begins = np.searchsorted(self._homes, np.arange(int(self._homes.max(initial=-1)) + 2))
