"""Stored series, and a selection of series numbered for one query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tiers import CHUNK_SLOTS

from vigie_query.errors import QueryLimitExceeded

K = TypeVar("K", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Series:
    """`ordinal` is its place among the series of its tenant and partition, for life."""

    fingerprint: int
    """Unsigned."""
    name: str
    kind: Kind
    labels: Labels
    partition: int
    ordinal: int
    created_ms: int

    @property
    def chunk(self) -> tuple[int, int]:
        """(partition, chunk): where its windows are."""
        return self.partition, self.ordinal // CHUNK_SLOTS

    @property
    def slot(self) -> int:
        return self.ordinal % CHUNK_SLOTS

    def label(self, name: str) -> str:
        """The label's value; empty when it has none, which is the same."""
        return next((value for label, value in self.labels if label == name), "")


class Selection:
    """Series numbered for one question: chunks of all partitions get local numbers, a row is chunk * 256 + slot."""

    def __init__(self, series: Sequence[Series]) -> None:
        self.series = series
        self.chunks: dict[tuple[int, int], int] = {}
        """(partition, chunk) -> local chunk number."""
        rows = [self.chunks.setdefault(one.chunk, len(self.chunks)) * CHUNK_SLOTS + one.slot for one in series]
        self.rows: npt.NDArray[np.int64] = np.array(rows, np.int64)
        """The row of each series, in the order of `series`."""

    def chunks_of(self, rows: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
        """Of `chunks`, those that these rows are in."""
        numbers = set((rows // CHUNK_SLOTS).tolist())
        return {chunk: number for chunk, number in self.chunks.items() if number in numbers}

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(one.kind for one in self.series)

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(partition for partition, _ in self.chunks)

    def groups(
        self, labels: Sequence[str], chosen: Iterable[int] | None = None
    ) -> tuple[list[tuple[str, ...]], npt.NDArray[np.int64]]:
        """The different values of these labels, sorted, and the group of each row."""
        positions = list(range(len(self.series)) if chosen is None else chosen)
        return self.grouped(
            [tuple(self.series[position].label(label) for label in labels) for position in positions], positions
        )

    def grouped(self, keys: Sequence[K], chosen: Sequence[int] | None = None) -> tuple[list[K], npt.NDArray[np.int64]]:
        """The different keys, sorted, and the group of each row: -1 for series that were not `chosen`.

        keys: of each chosen series; `chosen` are positions in `series`, all by default.
        """
        names = sorted(set(keys))
        number = {name: index for index, name in enumerate(names)}
        group_of_row = np.full(len(self.chunks) * CHUNK_SLOTS, -1, np.int64)
        group_of_row[self.rows if chosen is None else self.rows[chosen]] = [number[name] for name in keys]
        return names, group_of_row


def too_many(limit: int, what: str) -> QueryLimitExceeded:
    """For a question that selects more series than one answer reads."""
    return QueryLimitExceeded(
        f"{what} selects more than {limit} series: narrow it down with match=label=value", "match"
    )
