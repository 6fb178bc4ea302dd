"""Metrics of recording rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import Counter, Gauge


class Outcome(StrEnum):
    """What became of a sample of a recording rule."""

    WRITTEN = "written"
    REFUSED = "refused"
    """Its labels break a rule, or the tenant may have no more series."""


WRITTEN: Final = Counter(
    "vigie_alerting_recorded_samples_total", "samples", "Samples that recording rules gave", {"outcome": Outcome}
)
FILLED: Final = Counter(
    "vigie_alerting_recording_filled_total", "times", "Times of recording rules that were evaluated on stored windows"
)
LOST: Final = Counter(
    "vigie_alerting_recording_lost_total", "times", "Times of recording rules that nobody can evaluate any more"
)
WAITING: Final = Gauge("vigie_alerting_recording_waiting", "samples", "Samples of recording rules that are not written")
RECORDING_METRICS: Final = (WRITTEN, FILLED, LOST, WAITING)
