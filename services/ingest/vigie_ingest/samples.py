"""Samples of one request as columns, and what is wrong with their values and timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind

from vigie_ingest import timestamps
from vigie_ingest.decoding import Metric
from vigie_ingest.errors import ItemError, Reason

NEGATIVE: Final = ItemError(
    Reason.VALUE, "value", "must not be negative: a counter only goes up. Use a gauge for what goes down"
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Timestamps and values of the items, in their order."""

    timestamps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that Vigie derives from an event."""

    name: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    value: float


def columns(metrics: Sequence[Metric], now_ms: int) -> Columns:
    """One pass over the items per column; no judgement yet."""
    return Columns(
        timestamps.column([metric.timestamp for metric in metrics], now_ms),
        np.array([metric.value for metric in metrics], np.float64),
    )


def faults(metrics: Sequence[Metric], found: Columns, now_ms: int) -> dict[int, ItemError]:
    """Position -> what is wrong. Costs three vector operations when nothing is."""
    wrong: dict[int, ItemError] = {}
    if float(found.values.min()) < 0:
        for i in np.flatnonzero(found.values < 0).tolist():
            if metrics[i].type == "counter":
                wrong[i] = NEGATIVE
    oldest, newest = timestamps.bounds(now_ms)
    if int(found.timestamps.min()) < oldest or int(found.timestamps.max()) > newest:
        outside = (found.timestamps < oldest) | (found.timestamps > newest)
        for i in np.flatnonzero(outside).tolist():
            if error := timestamps.check(int(found.timestamps[i]), now_ms):
                wrong[i] = error
    return wrong


def fault(metric: Metric, ms: int, now_ms: int) -> ItemError | None:
    """`faults` for the one item of a single request."""
    if metric.value < 0 and metric.type == "counter":
        return NEGATIVE
    return timestamps.check(ms, now_ms)
