"""All ways of writing to Vigie: one file each, and one line here."""

from __future__ import annotations

from typing import Any, Final

from vigie_ingest.intake import Intake
from vigie_ingest.intakes import (
    app_metrics,
    business_metric,
    custom_metric,
    events,
    host_reports,
    metric_batch,
    node_history,
    node_telemetry,
)

INTAKES: Final[tuple[Intake[Any, Any], ...]] = (
    custom_metric.INTAKE,
    business_metric.INTAKE,
    metric_batch.INTAKE,
    events.INTAKE,
    node_telemetry.INTAKE,
    app_metrics.INTAKE,
    host_reports.INTAKE,
    node_history.INTAKE,
)
