"""What is wrong with the values and timestamps of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts import limits
from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import Metric

NEGATIVE: Final = ItemError(
    Reason.VALUE, "value", "must not be negative: a counter only goes up. Use a gauge for what goes down"
)


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
