"""The catalogue of a tenant as an exposition needs it: by metric name and kind, compact, and only ever growing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from vigie_contracts.latest import BUCKET_BOUNDS, Latest
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tiers import CHUNK_SLOTS
from vigie_query.series import Series

from vigie_summaries.families.escaping import Escaping
from vigie_summaries.families.names import classic_labels, label_text

T = TypeVar("T", bound=np.generic)


@dataclass(slots=True)
class Family:
    """All series of one name and kind. `labels` are ready text where they are the same in every format."""

    name: str
    kind: Kind
    placements: array[int] = field(default_factory=lambda: array("q"))
    """partition << 32 | ordinal."""
    labels: list[str | Labels] = field(default_factory=list[str | Labels])

    def __len__(self) -> int:
        return len(self.labels)


class FamilyIndex:
    """The families of one tenant. A series never changes, so the index is only ever extended, by ordinals."""

    def __init__(self) -> None:
        self._families: dict[tuple[str, Kind], Family] = {}
        self.known: dict[int, int] = {}
        """Partition -> how many of its series are here."""
        self.size = 0
        self.complete_at = 0.0
        """When every series there was was here, by the monotonic clock."""
        self.age_s = 0.0
        """How long ago that is, while the store does not say which are new."""

    def add(self, series: Iterable[Series]) -> None:
        """Series of one partition, by ordinal, from `known` on; those that are here already are skipped."""
        for one in series:
            if one.ordinal < self.known.get(one.partition, 0):
                continue
            self.known[one.partition] = one.ordinal + 1
            family = self._families.get((one.name, one.kind))
            if family is None:
                family = self._families[one.name, one.kind] = Family(one.name, one.kind)
            classic = classic_labels(one.labels)
            family.placements.append(one.partition << 32 | one.ordinal)
            family.labels.append(label_text(one.labels, one.kind, Escaping.UTF8) if classic else one.labels)
            self.size += 1

    def chunks(self) -> Iterator[tuple[int, int]]:
        """(partition, chunk) of all places where its series are."""
        for partition, count in self.known.items():
            yield from ((partition, chunk) for chunk in range(-(-count // CHUNK_SLOTS)))

    def family(self, name: str, kind: Kind) -> Family:
        """An empty one when there is none."""
        return self._families.get((name, kind)) or Family(name, kind)

    def families(self) -> list[Family]:
        """By name, then kind."""
        return [self._families[key] for key in sorted(self._families)]


class Values(NamedTuple):
    """Latest values of a family's series that have one: `place` is their position in the family."""

    place: npt.NDArray[np.int64]
    placements: npt.NDArray[np.int64]
    timestamps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    def between(self, begin: int, end: int) -> Values:
        """A part of them."""
        return Values(
            self.place[begin:end],
            self.placements[begin:end],
            self.timestamps[begin:end],
            self.values[begin:end],
            self.sums[begin:end],
            self.counts[begin:end],
        )


class LatestTable:
    """The latest values of all chunks as one set of columns, for many look-ups."""

    def __init__(self, chunks: Mapping[tuple[int, int], Latest]) -> None:
        places = sorted(chunks)
        placements = [
            (partition << 32) + chunk * CHUNK_SLOTS + chunks[partition, chunk].slots.astype(np.int64)
            for partition, chunk in places
        ]
        self._homes = np.concatenate(placements) if placements else np.empty(0, np.int64)
        columns = [chunks[place] for place in places]
        self._timestamps = _joined([one.timestamps for one in columns], np.int64)
        self._values = _joined([one.values for one in columns], np.float64)
        self._sums = _joined([one.sums for one in columns], np.float64)
        self._counts = _joined([one.counts for one in columns], np.int64)
        self._bucket_homes = _joined(
            [
                (partition << 32) + chunk * CHUNK_SLOTS + chunks[partition, chunk].buckets.slots.astype(np.int64)
                for partition, chunk in places
            ],
            np.int64,
        )
        self._bucket_bounds = _joined([one.buckets.bounds for one in columns], np.uint8)
        self._bucket_counts = _joined([one.buckets.counts for one in columns], np.int64)

    def of(self, family: Family, since_ms: int) -> Values:
        """The values of the family's series whose newest sample is not older than `since_ms`."""
        placements = np.array(family.placements, np.int64)
        if not len(self._homes):
            placements = placements[:0]
        at = np.minimum(np.searchsorted(self._homes, placements), max(len(self._homes) - 1, 0))
        place = np.flatnonzero((self._homes[at] == placements) & (self._timestamps[at] >= since_ms))
        at = at[place]
        return Values(
            place, placements[place], self._timestamps[at], self._values[at], self._sums[at], self._counts[at]
        )

    def at_or_below(self, placements: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64[n, bounds]: how many observations of each of these histograms lie at or below each bound."""
        first = np.searchsorted(self._bucket_homes, placements)
        sizes = np.searchsorted(self._bucket_homes, placements, side="right") - first
        starts: npt.NDArray[np.int64] = np.repeat(first - np.cumsum(sizes) + sizes, sizes)
        own = starts + np.arange(sizes.sum(), dtype=np.int64)
        counts = np.zeros((len(placements), len(BUCKET_BOUNDS)), np.int64)
        counts[np.repeat(np.arange(len(placements)), sizes), self._bucket_bounds[own]] = self._bucket_counts[own]
        return counts.cumsum(axis=1)

    def newest(self, since_ms: int) -> tuple[int | None, int]:
        """The time of the newest sample of all, and how many series have one since `since_ms`."""
        newest = int(self._timestamps.max()) if len(self._timestamps) else None
        return newest, int((self._timestamps >= since_ms).sum())


def _joined(columns: list[npt.NDArray[T]], dtype: type[T]) -> npt.NDArray[T]:
    return np.concatenate(columns) if columns else np.empty(0, dtype)
