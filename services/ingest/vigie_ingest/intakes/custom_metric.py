"""One metric: the simplest way to send, and the one that the replaced clients use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from vigie_contracts import limits
from vigie_contracts.samples import SampleColumns
from vigie_identity.permissions import Permission
from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import Metric

from vigie_ingest import admission, media, openapi, responses, samples
from vigie_ingest.decoding import decode_metric
from vigie_ingest.errors import ItemRefusedError, SeriesLimitError
from vigie_ingest.ignored import Ignored, Warnings, warnings_of
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.responses import Response

COUNTER: Final = {
    "name": "custom_counter",
    "type": "counter",
    "value": 1,
    "labels": {"service": "booking", "endpoint": "/api/bookings"},
}
GAUGE: Final = {
    "name": "active_users",
    "type": "gauge",
    "value": 412,
    "labels": {"service": "web"},
    "timestamp": 1767225600000,
}
_LABELS: Final = {
    "description": "Label names and values; numbers and booleans become text, empty values are dropped.",
    "type": ["object", "null"],
    "maxProperties": limits.MAX_LABELS,
    "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": limits.MAX_LABEL_VALUE_CHARS},
}
_STAMP: Final = {
    "description": "Milliseconds since 1970, or RFC 3339 with an offset; absent: the gateway's clock. "
    f"At most {limits.MAX_FUTURE_SKEW_MS // 60_000} minutes ahead and {limits.MAX_AGE_MS // 86_400_000} days old.",
    "anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}, {"type": "null"}],
    "default": None,
}


class Echo(Struct, gc=False):
    """The metric as it was taken."""

    name: str
    fingerprint: str
    """16 hex digits: the series."""
    timestamp: int
    """Milliseconds."""


class SingleAnswer(Struct, gc=False, omit_defaults=True):
    """201: the metric is on the bus, acknowledged. `warnings` say what was ignored of it, if anything was."""

    success: bool
    accepted: int
    message: str
    metric: Echo
    warnings: Warnings = []


class Recorded(Verdict, gc=False, kw_only=True):
    """The one metric is on the bus."""

    metric: Echo


class _Point(Struct, gc=False):
    """A metric whose value and timestamp (ms) are good."""

    metric: Metric
    timestamp: int
    ignored: Sequence[Ignored]


def _decode(request: Request) -> _Point:
    metric, ignored = decode_metric(request.body)
    at_ms = timestamps.to_ms(metric.timestamp, request.now_ms)
    if error := samples.fault(metric, at_ms, request.now_ms):
        raise ItemRefusedError(error)
    return _Point(metric, at_ms, ignored)


async def take(pipeline: Pipeline, request: Request, point: _Point, *, business: bool = False) -> Recorded:
    """Publish the point; before, its series is in the catalogue. A business metric is noted there too, in a moment."""
    metric, at_ms = point.metric, point.timestamp
    fingerprint = pipeline.series.at_once(request.tenant, metric)
    if fingerprint is None:
        fingerprint = await pipeline.series.one(request.tenant, metric)
        if isinstance(fingerprint, ItemError):
            limit = fingerprint.reason is Reason.LIMIT
            raise SeriesLimitError(fingerprint) if limit else ItemRefusedError(fingerprint)
    if business:
        pipeline.series.mark_business(fingerprint)
    columns = SampleColumns([fingerprint], [at_ms], [metric.value], request.keys, None, request.now_ms)
    await pipeline.publisher.publish(columns, request.span)
    echo = Echo(metric.name, f"{fingerprint:016x}", at_ms)
    return Recorded(1, 1, warnings=warnings_of(point.ignored), metric=echo)


def _encode(_request: Request, verdict: Recorded) -> Response:
    return responses.created(SingleAnswer(True, 1, "metric recorded", verdict.metric, list(verdict.warnings)))


def _refine(schemas: dict[str, Any]) -> None:
    metric = schemas["Metric"]["properties"]
    metric["labels"] = _LABELS
    metric["timestamp"] = _STAMP
    metric["name"]["maxLength"] = limits.MAX_NAME_CHARS


INTAKE: Final = Intake(
    path="/api/metrics/custom",
    admission=admission.of_caller(Permission.DATA_WRITE),
    check=media.require_json,
    decode=_decode,
    samples=lambda _point: 1,
    take=take,
    encode=_encode,
    operation=Operation(
        id="recordCustomMetric",
        summary="Record one metric",
        body=openapi.body({media.JSON: openapi.content(openapi.ref(Metric), counter=COUNTER, gauge=GAUGE)}),
        responses=openapi.created(SingleAnswer, "Taken and acknowledged by Kafka.", openapi.ERRORS),
        schemas=(Metric, SingleAnswer),
        refine=_refine,
    ),
)
