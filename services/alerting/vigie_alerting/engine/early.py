"""Samples of clocks that are far ahead: they are held until their time comes, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

MAX_HELD: Final = 500_000
"""Samples, of 32 bytes each. What comes when there is no more room is not looked at."""
MAX_PARTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """Samples of series that rules select; all columns are as long."""

    fingerprints: UInt64s
    times: Ints
    values: Floats
    records: Ints
    """In which record each came."""
    traceparent: Callable[[int], str]
    """Of a record."""

    def __len__(self) -> int:
        return len(self.times)

    def select(self, which: Bools) -> Arrived:
        """Some of them."""
        return Arrived(
            self.fingerprints[which], self.times[which], self.values[which], self.records[which], self.traceparent
        )


class EarlySamples:
    """Those that are held."""

    def __init__(self) -> None:
        self._parts: list[Arrived] = []
        self._next_ms: int | None = None

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, arrived: Arrived) -> bool:
        """Whether there was room for them."""
        if len(self) + len(arrived) > MAX_HELD or len(self._parts) >= MAX_PARTS:
            return False
        # Of few records: what they came in is not kept with them.
        traces = {record: arrived.traceparent(record) for record in np.unique(arrived.records).tolist()}
        self._parts.append(
            Arrived(arrived.fingerprints, arrived.times, arrived.values, arrived.records, traces.__getitem__)
        )
        self._next_ms = min(int(arrived.times.min()), self._next_ms or int(arrived.times.min()))
        return True

    def due(self, until_ms: int) -> list[Arrived]:
        """Those up to that time, which are held no longer."""
        if self._next_ms is None or self._next_ms > until_ms:
            return []
        parts = [(part, part.times <= until_ms) for part in self._parts]
        self._parts = [part.select(~due) for part, due in parts if not due.all()]
        self._next_ms = min((int(part.times.min()) for part in self._parts), default=None)
        return [part.select(due) for part, due in parts if due.any()]
