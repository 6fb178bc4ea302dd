"""In which record the samples came that a rule has not looked at yet: whose trace a notification is a part of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Labels

Ints: TypeAlias = npt.NDArray[np.int64]

MAX_CAME: Final = 64
"""Arrivals that are remembered of each rule, the newest ones."""
MAX_LOOKED_AT: Final = 1_000
"""Samples of them that are looked at for one alert."""


class Came(NamedTuple):
    """Samples that came together."""

    homes: Ints
    """[samples]: of their series."""
    records: Ints
    """[samples]: the position of the record that each came in."""
    traceparent: Callable[[int], str]
    """Of a record, by its position."""


class Origins:
    """Of one rule, since it was evaluated last."""

    def __init__(self) -> None:
        self._came: deque[Came] = deque(maxlen=MAX_CAME)

    def add(self, came: Came) -> None:
        """The oldest are forgotten."""
        self._came.append(came)

    def clear(self) -> None:
        """They were looked at."""
        self._came.clear()

    def traceparent(self, labels: Labels, labels_of: Callable[[int], Labels]) -> str:
        """Of the newest sample of the series with these labels; where the result has others, of the newest that may be
        a part of it; empty when none came."""
        wanted, part = dict(labels), ""
        for place, (came, at) in enumerate(self._newest_first()):
            if place == MAX_LOOKED_AT:
                break
            own = dict(labels_of(int(came.homes[at])))
            if own == wanted:
                return came.traceparent(int(came.records[at]))
            if not part and all(own.get(name, text) == text for name, text in labels):
                part = came.traceparent(int(came.records[at]))
        return part

    def _newest_first(self) -> Iterator[tuple[Came, int]]:
        for came in reversed(self._came):
            for at in range(len(came.homes) - 1, -1, -1):
                yield came, at
