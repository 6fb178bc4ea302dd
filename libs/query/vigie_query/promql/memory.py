"""Samples in memory, read as a store's are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from vigie_contracts.series import Labels

from vigie_query.matchers import predicate
from vigie_query.promql.reading import Read, Wanted
from vigie_query.promql.samples import Samples


class MemoryReader:
    """A SamplesReader over samples that are there already."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @classmethod
    def of(cls, series: Mapping[Labels, Iterable[tuple[int, float]]]) -> MemoryReader:
        """Of the points (Unix milliseconds, value) of each series, in any order; labels with `__name__`."""
        points = [sorted(dict(found).items()) for found in series.values()]
        bounds = np.cumsum([0, *(len(found) for found in points)]).astype(np.int64)
        times = np.array([at for found in points for at, _ in found], np.int64)
        values = np.array([value for found in points for _, value in found], np.float64)
        return cls(Samples(list(series), bounds, times, values))

    async def read(self, wanted: Sequence[Wanted]) -> Read:
        """The series that match, with all their samples."""
        return Read({one.selector: self._matching(one) for one in wanted})

    def _matching(self, wanted: Wanted) -> Samples:
        test = predicate(wanted.selector.matchers)
        return self._samples.rows([row for row, labels in enumerate(self._samples.labels) if test(dict(labels))])
