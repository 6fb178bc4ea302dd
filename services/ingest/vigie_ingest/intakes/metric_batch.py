"""Many metrics: each is judged alone, and the good ones are taken."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from vigie_contracts import limits
from vigie_contracts.samples import SampleColumns
from vigie_identity.permissions import Permission
from vigie_publishing import timestamps
from vigie_publishing.metric import Metric

from vigie_ingest import admission, listed, media, openapi, samples
from vigie_ingest.decoding import Decoded, MetricList, decode_metrics
from vigie_ingest.errors import RejectedItem
from vigie_ingest.ignored import of_taken
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.intakes.custom_metric import COUNTER, GAUGE
from vigie_ingest.listed import BatchAnswer


async def _take(pipeline: Pipeline, request: Request, decoded: Decoded[Metric]) -> Verdict:
    metrics, rejected, warnings = decoded.items, decoded.rejected, decoded.warnings
    if not metrics:
        return Verdict(0, 0, rejected)
    stamps = timestamps.column([metric.timestamp for metric in metrics], request.now_ms)
    values = np.array([metric.value for metric in metrics], np.float64)
    wrong = samples.faults(metrics, stamps, values, request.now_ms)
    fingerprints = await pipeline.series.many(request.tenant, metrics, wrong)
    if wrong:
        good = np.ones(len(metrics), np.bool_)
        good[list(wrong)] = False
        fingerprints, stamps, values = fingerprints[good], stamps[good], values[good]
        rejected = rejected + [RejectedItem(decoded.index(i), error) for i, error in wrong.items()]
    # Freed while the CPU's cache still holds them: after the wait for Kafka that takes as long as decoding did.
    del metrics, decoded
    count = len(values)
    if count:
        columns = SampleColumns(fingerprints, stamps, values, request.keys, received_ms=request.now_ms)
        await pipeline.publisher.publish(columns, request.span)
    return Verdict(count, count, rejected, of_taken(warnings, rejected))


def _refine(schemas: dict[str, Any]) -> None:
    schemas["MetricList"]["properties"]["metrics"].update(minItems=1, maxItems=limits.MAX_BATCH_ITEMS)


INTAKE: Final = Intake(
    path="/api/metrics/batch",
    admission=admission.of_caller(Permission.DATA_WRITE),
    check=media.require_json,
    decode=lambda request: decode_metrics(request.body),
    samples=lambda decoded: len(decoded.items),
    take=_take,
    encode=lambda _request, verdict: listed.response(verdict, "metrics"),
    operation=Operation(
        id="recordMetrics",
        summary="Record up to 10,000 metrics; each is judged alone",
        body=openapi.body(
            {
                media.JSON: openapi.content(
                    {"oneOf": [openapi.ref(MetricList), openapi.list_of(Metric)]},
                    wrapped={"metrics": [COUNTER, GAUGE]},
                    bare=[COUNTER, GAUGE],
                )
            }
        ),
        responses=openapi.created(
            BatchAnswer,
            "At least one item was taken; `errors` says which were not, `warnings` what was ignored.",
            openapi.LISTED_ERRORS,
        ),
        schemas=(Metric, MetricList, BatchAnswer),
        refine=_refine,
    ),
)
