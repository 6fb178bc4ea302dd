"""Series in memory, as a test says them and as rules add to them; what selectors select of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from vigie_contracts.series import Labels
from vigie_query.matchers import predicate
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import EMPTY, STALE, Floats, Ints, Samples

MAX_SAMPLES: Final = 5_000_000
"""Of all series of a test, those that rules record included."""


class TooManySamplesError(ValueError):
    """The test is too large."""

    def __init__(self) -> None:
        super().__init__(f"a test has more than {MAX_SAMPLES:,} samples: use fewer series, or a shorter time")


@dataclass(slots=True)
class _One:
    times: list[int] = field(default_factory=list[int])
    values: list[float] = field(default_factory=list[float])
    columns: tuple[Ints, Floats] | None = None

    def arrays(self) -> tuple[Ints, Floats]:
        if self.columns is None:
            self.columns = np.array(self.times, np.int64), np.array(self.values, np.float64)
        return self.columns


class SeriesInMemory:
    """Samples of each series come in the order of their times."""

    def __init__(self) -> None:
        self._series: dict[Labels, _One] = {}
        self._size = 0
        self._selected: dict[Selector, tuple[int, Samples]] = {}
        """With the size of everything at that time."""

    def replace(self, labels: Labels, values: Sequence[float | None], interval_ms: int) -> None:
        """The series is this; None: there is no sample."""
        found = [(at * interval_ms, value) for at, value in enumerate(values) if value is not None]
        self._series[labels] = _One([at for at, _ in found], [value for _, value in found])
        self._grow(len(found))

    def add(self, labels: Labels, at_ms: int, value: float) -> None:
        """One more sample; in the place of one of the same time."""
        one = self._series.setdefault(labels, _One())
        if one.times and one.times[-1] == at_ms:
            one.values[-1] = value
        else:
            one.times.append(at_ms)
            one.values.append(value)
        one.columns = None
        self._grow(1)

    def end(self, labels: Labels, at_ms: int) -> None:
        """From now on the series has no value."""
        self.add(labels, at_ms, STALE)

    def _grow(self, by: int) -> None:
        self._size += by
        if self._size > MAX_SAMPLES:
            raise TooManySamplesError

    def samples(self, selector: Selector) -> Samples:
        """What a selector selects, of all times."""
        size, found = self._selected.get(selector, (-1, EMPTY))
        if size != self._size:
            found = self._select(selector)
            self._selected[selector] = self._size, found
        return found

    def _select(self, selector: Selector) -> Samples:
        accepts = predicate(selector.matchers)
        chosen = [(labels, one.arrays()) for labels, one in self._series.items() if accepts(dict(labels))]
        chosen = [(labels, columns) for labels, columns in chosen if len(columns[0])]
        if not chosen:
            return EMPTY
        bounds = np.cumsum([0, *(len(times) for _, (times, _) in chosen)]).astype(np.int64)
        times = np.concatenate([times for _, (times, _) in chosen])
        values = np.concatenate([values for _, (_, values) in chosen])
        return Samples([labels for labels, _ in chosen], bounds, times, values)
