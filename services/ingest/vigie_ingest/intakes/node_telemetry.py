"""What a node says of itself: a report that is kept whole, and whose numbers are samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct
from vigie_contracts import limits
from vigie_contracts import telemetry as contract
from vigie_contracts.days import to_datetime
from vigie_identity.permissions import Permission
from vigie_publishing.errors import BusAwayError
from vigie_publishing.publishers import KeyedReport

from vigie_ingest import admission, media, openapi, responses
from vigie_ingest.bodies import Bounds
from vigie_ingest.errors import RejectedItem
from vigie_ingest.ignored import Ignored, Warnings, warnings_of
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.responses import Response
from vigie_ingest.telemetry import NodeReport, TelemetryDto, decode_telemetry, decode_tenant

NODE: Final = {
    "tenantId": "550e8400-e29b-41d4-a716-446655440000",
    "uptime": 86400,
    "activeUsers": 42,
    "exercisesCompletedToday": 156,
    "aiLatency": 247.5,
    "version": "1.2.0",
}
_NODE_WITH_MORE: Final = NODE | {
    "additionalData": {"cpuUsage": 45.2, "memoryUsage": 62.8, "diskUsage": 38.1, "errorCount": 3}
}
_ADDITIONAL: Final = {
    "description": f"Anything, kept whole: up to {contract.MAX_ADDITIONAL_KEYS} keys in all, "
    f"{contract.MAX_ADDITIONAL_DEPTH} levels and {contract.MAX_ADDITIONAL_BYTES} bytes of JSON. "
    "Numbers at its top become samples.",
    "type": ["object", "null"],
    "properties": {
        name: {"type": ["number", "null"], "minimum": 0, "maximum": contract.MAX_NUMBER}
        for name in contract.ADDITIONAL_NUMBERS
    },
    "default": None,
}


class TelemetryAnswer(Struct, rename="camel", omit_defaults=True):
    """201: the report is on the bus, acknowledged. As the replaced service answers; and `warnings` if anything was
    ignored."""

    success: bool
    message: str
    timestamp: str
    """The report's time, by the gateway's clock."""
    tenant_id: str
    warnings: Warnings = []


class _Reported(Struct, gc=False):
    report: KeyedReport
    ignored: Sequence[Ignored]


def _decode(request: Request) -> _Reported:
    said, ignored = decode_telemetry(request.body)
    writes = request.principal.may(Permission.DATA_WRITE, request.tenant)
    report = NodeReport(request.tenant, request.now_ms, request.key or uuid4().bytes, said, others_too=writes)
    return _Reported(report.keyed(), ignored)


async def _take(pipeline: Pipeline, request: Request, reported: _Reported) -> Verdict:
    try:
        [(written, without)] = await pipeline.reports.publish([reported.report], request.span)
    except BusAwayError as e:
        raise BusAwayError(keyed=request.key is not None) from e
    rejected = [RejectedItem(0, error) for error in without]
    return Verdict(1, written, rejected, warnings_of(reported.ignored))


def _encode(request: Request, verdict: Verdict) -> Response:
    when = to_datetime(request.now_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message, warnings = "Télémétrie enregistrée avec succès", list(verdict.warnings)
    return responses.created(TelemetryAnswer(True, message, when, request.tenant, warnings))


def _refine(schemas: dict[str, Any]) -> None:
    schemas["TelemetryAnswer"]["properties"]["timestamp"]["format"] = "date-time"
    node = schemas["TelemetryDto"]["properties"]
    node["additionalData"] = _ADDITIONAL
    node["tenantId"]["maxLength"] = limits.MAX_TENANT_CHARS


INTAKE: Final = Intake(
    path="/telemetry",
    admission=admission.of_body(Permission.TELEMETRY_SEND, decode_tenant),
    check=media.require_json,
    bounds=Bounds(contract.MAX_TELEMETRY_BYTES, contract.MAX_TELEMETRY_BYTES),
    decode=_decode,
    samples=lambda reported: len(reported.report.samples),
    take=_take,
    encode=_encode,
    operation=Operation(
        id="sendTelemetry",
        summary="Record what a node says of itself",
        body=openapi.body({media.JSON: openapi.content(openapi.ref(TelemetryDto), node=NODE, more=_NODE_WITH_MORE)}),
        responses=openapi.created(
            TelemetryAnswer,
            "Taken and acknowledged by Kafka.",
            openapi.NODE_ERRORS | {413: f"More than {contract.MAX_TELEMETRY_BYTES} bytes."},
        ),
        schemas=(TelemetryDto, TelemetryAnswer),
        refine=_refine,
    ),
)
