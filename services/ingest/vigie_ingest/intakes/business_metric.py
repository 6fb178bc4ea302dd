"""One metric, under the second path that the replaced clients use."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vigie_ingest.intakes import custom_metric

INTAKE: Final = replace(
    custom_metric.INTAKE,
    path="/api/metrics/business",
    operation=replace(custom_metric.INTAKE.operation, id="recordBusinessMetric", summary="Record one business metric"),
)
