"""The newest values of a selection of series, in pages: what is told is a whole page, so that a newer one can take the
place of an older one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_query.promql.cells import BUCKET, COUNT, SUM
from vigie_query.promql.labels import NAME
from vigie_query.times import iso
from vigie_storage.latest import Chunks
from vigie_storage.promql.selection import Selected

from vigie_push.sources.values import Values

PAGE: Final = 50
"""Series in a page."""
Ints = npt.NDArray[np.int64]


class SeriesValue(msgspec.Struct, rename="camel"):
    """The newest value of a series."""

    name: str
    labels: dict[str, str]
    type: str
    """gauge, counter or histogram."""
    value: float | None
    """Of a counter the total, of a histogram the last observation; null where it is no finite number."""
    timestamp: str
    """Of the newest sample, UTC."""


class MetricTable:
    """Of one selection. What a histogram's buckets count is left out."""

    def __init__(self, selected: Selected) -> None:
        self.selected = selected
        series, shown = selected.selection.series, selected.shown
        place_of = dict(zip(selected.selection.rows.tolist(), range(len(series)), strict=True))
        items = [
            (place_of[row], part, labels)
            for row, part, labels in zip(shown.rows.tolist(), shown.parts.tolist(), shown.labels, strict=True)
            if part < BUCKET
        ]
        # In the order in which they were made: a new series comes last, and what stands in the pages stays there.
        items.sort(key=lambda item: (series[item[0]].created_ms, series[item[0]].fingerprint, item[1]))
        self._labels = [dict(labels) for _, _, labels in items]
        self._names = [labels.pop(NAME) for labels in self._labels]
        self._places = np.array([place for place, _, _ in items], np.int64)
        self._parts = [part for _, part, _ in items]
        self._kinds = [series[place].kind for place, _, _ in items]
        self._key = np.array([series[place].fingerprint for place, _, _ in items], np.uint64)
        fingerprints = np.array([one.fingerprint for one in series], np.uint64)
        self._by_fingerprint = np.argsort(fingerprints)
        self._fingerprints = fingerprints[self._by_fingerprint]
        self._by_row = np.argsort(selected.selection.rows)
        self._rows = selected.selection.rows[self._by_row]
        self._timestamps, self._counts = np.zeros(len(series), np.int64), np.zeros(len(series), np.int64)
        self._values, self._sums = np.zeros(len(series)), np.zeros(len(series))

    @property
    def pages(self) -> int:
        """How many there are."""
        return -(-len(self._names) // PAGE)

    def take(self, values: Values) -> None:
        """What changed, as it was announced."""
        rows, found = _matches(values.fingerprints, self._fingerprints)
        self._put(
            self._by_fingerprint[found],
            values.timestamps[rows],
            values.values[rows],
            values.sums[rows],
            values.counts[rows],
        )

    def read(self, chunks: Chunks) -> None:
        """What stands, as it is stored."""
        for chunk, number in self.selected.selection.chunks.items():
            latest = chunks.get(chunk)
            if latest is not None:
                found, rows = _matches(self._rows, number * CHUNK_SLOTS + latest.slots.astype(np.int64))
                self._put(
                    self._by_row[found],
                    latest.timestamps[rows],
                    latest.values[rows],
                    latest.sums[rows],
                    latest.counts[rows],
                )

    def known(self) -> Values:
        """What it holds, as if all of it had changed."""
        order = self._by_fingerprint
        return Values(
            self._fingerprints, self._timestamps[order], self._values[order], self._sums[order], self._counts[order]
        )

    def page(self, number: int) -> list[SeriesValue]:
        """Those of its series that have a value."""
        return list(self._page(number))

    def digests(self) -> list[int]:
        """Of each page what it shows, in 32 bits: the same in every process, and never 0."""
        return [self._digest(slice(begin, begin + PAGE)) or 1 for begin in range(0, len(self._names), PAGE)]

    def _digest(self, page: slice) -> int:
        places = self._places[page]
        columns = (self._timestamps, self._counts, self._values, self._sums)
        digest = crc32(self._key[page].tobytes())
        for column in columns:
            digest = crc32(column[places].tobytes(), digest)
        return digest

    def _page(self, number: int) -> Iterator[SeriesValue]:
        for item in range(number * PAGE, min((number + 1) * PAGE, len(self._names))):
            place = self._places[item]
            if self._counts[place]:
                value = self._value(item, int(place))
                yield SeriesValue(
                    self._names[item],
                    self._labels[item],
                    self._kinds[item].type,
                    value if math.isfinite(value) else None,
                    iso(int(self._timestamps[place])),
                )

    def _value(self, item: int, place: int) -> float:
        if self._parts[item] == COUNT:
            return float(self._counts[place])
        if self._parts[item] == SUM or self._kinds[item] is Kind.COUNTER:
            return float(self._sums[place])
        return float(self._values[place])

    def _put(
        self,
        places: Ints,
        timestamps: Ints,
        values: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        counts: Ints,
    ) -> None:
        # Every sample is counted: of two states of a series the one that counts more is the newer one.
        newer = counts >= self._counts[places]
        chosen = places[newer]
        self._timestamps[chosen], self._values[chosen] = timestamps[newer], values[newer]
        self._sums[chosen], self._counts[chosen] = sums[newer], counts[newer]


def _matches(keys: npt.NDArray[np.integer[Any]], wanted: npt.NDArray[np.integer[Any]]) -> tuple[Ints, Ints]:
    """Where `wanted` stands among the keys, which are sorted, and what of it does."""
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = np.flatnonzero(keys[at] == wanted)
    return at[found], found
