"""What is wrong with the values and timestamps of metrics; and the samples that Vigie derives from other things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts import limits
from vigie_contracts.series import Kind

from vigie_ingest import timestamps
from vigie_ingest.decoding import Metric
from vigie_ingest.errors import ItemError, Reason

NEGATIVE: Final = ItemError(
    Reason.VALUE, "value", "must not be negative: a counter only goes up. Use a gauge for what goes down"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that is derived from an event, or read from a protocol that does not speak of metrics in JSON.

    Name and labels need not be valid: `SeriesResolver.derived` says of each whether they are."""

    name: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    """In any order; the same one each time is found faster."""
    value: float


def faults(
    metrics: Sequence[Metric], stamps: npt.NDArray[np.int64], values: npt.NDArray[np.float64], now_ms: int
) -> dict[int, ItemError]:
    """Position -> what is wrong with its timestamp or value. Costs three vector operations when nothing is."""
    wrong: dict[int, ItemError] = {}
    if float(values.min()) < 0:
        for i in np.flatnonzero(values < 0).tolist():
            if metrics[i].type == "counter":
                wrong[i] = NEGATIVE
    oldest, newest = timestamps.bounds(now_ms)
    if int(stamps.min()) < oldest or int(stamps.max()) > newest:
        for i in np.flatnonzero((stamps < oldest) | (stamps > newest)).tolist():
            if error := timestamps.check(int(stamps[i]), now_ms):
                wrong[i] = error
    return wrong


def fault(metric: Metric, ms: int, now_ms: int) -> ItemError | None:
    """`faults` for the one item of a single request."""
    if metric.value < 0 and metric.type == "counter":
        return NEGATIVE
    # The bounds once more, without a call: this runs for every request.
    good = now_ms - limits.MAX_AGE_MS <= ms <= now_ms + limits.MAX_FUTURE_SKEW_MS
    return None if good else timestamps.check(ms, now_ms)
