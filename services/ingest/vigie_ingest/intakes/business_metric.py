"""One business metric: as a custom one, and the summary of the business shows it whatever its name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from vigie_ingest.intakes import custom_metric

INTAKE: Final = replace(
    custom_metric.INTAKE,
    path="/api/metrics/business",
    take=partial(custom_metric.take, business=True),
    operation=replace(custom_metric.INTAKE.operation, id="recordBusinessMetric", summary="Record one business metric"),
)
