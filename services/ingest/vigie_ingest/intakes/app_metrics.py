"""What an app says of itself: a report that is kept whole, and whose numbers are samples. The same as the message
`metrics` of a live connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from vigie_contracts import apps as contract
from vigie_contracts.days import to_datetime
from vigie_contracts.problems import ItemProblem
from vigie_identity.permissions import Permission
from vigie_publishing import apps
from vigie_publishing.errors import BusAwayError, ItemError
from vigie_publishing.metric import UNREADABLE
from vigie_publishing.publishers import KeyedReport

from vigie_ingest import admission, media, openapi, responses
from vigie_ingest.bodies import Bounds
from vigie_ingest.decoding import single_error
from vigie_ingest.errors import ItemRefusedError, RejectedItem
from vigie_ingest.ignored import Warnings
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.responses import Response

_BEFORE: Final = "/api/apps/"
_AFTER: Final = "/metrics"
SAID: Final = {
    "userId": "user-1",
    "metrics": {
        "cpu": {"usage": 42.5, "system": 12.1, "user": 30.4},
        "memory": {"used": 734003200, "total": 1073741824, "free": 339738624},
    },
    "timestamp": "2026-01-01T00:00:00.000Z",
}
_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "required": [contract.METRICS],
    "properties": {
        contract.METRICS: {
            "type": "object",
            "description": f"Anything, kept whole: up to {contract.MAX_KEYS} keys in all and {contract.MAX_DEPTH} "
            f"levels. Its numbers become samples, also those written as text: {', '.join(contract.NUMBERS)}, which "
            f"must be numbers, and the first {contract.MAX_OTHERS} others.",
        },
        contract.USER: {"type": ["string", "integer", "null"], "maxLength": contract.MAX_USER_CHARS},
        contract.APP: {"type": ["string", "integer", "null"], "description": "if said, that of the path"},
        contract.TIMESTAMP: {
            "type": ["string", "number", "null"],
            "description": "ISO 8601, or a number since 1970 in seconds or milliseconds; absent: the gateway's clock",
        },
    },
}
_PARAMETER: Final = {
    "name": "appId",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{contract.APP_ID.pattern.removesuffix(chr(92) + 'Z')}$"},
    "example": "shop",
}


class AppMetricsAnswer(Struct, rename="camel", omit_defaults=True):
    """201: the report is on the bus, acknowledged. `warnings` name numbers that became no samples, if there are any."""

    success: bool
    message: str
    app_id: str
    timestamp: str
    """The report's time."""
    samples: int
    warnings: Warnings = []


class _Said(Struct, gc=False):
    report: KeyedReport
    keyed: bool


class _Taken(Verdict, gc=False, kw_only=True):
    report: KeyedReport


def app_of(path: str) -> str:
    """The app of a request's path."""
    return path.removeprefix(_BEFORE).removesuffix(_AFTER)


def _decode(request: Request) -> _Said:
    app, body = app_of(request.path), request.body
    request.principal.require_app_sender(request.tenant, app)
    try:
        decoded = msgspec.json.decode(body)
    except UNREADABLE as e:
        raise single_error(body, e) from e
    said = apps.judge(decoded, app, request.now_ms, request.settings.report_retention_ms)
    if isinstance(said, ItemError):
        raise ItemRefusedError(said)
    key = request.key or apps.key_of(request.tenant, said, None, body)
    return _Said(said.report(request.tenant, key), request.key is not None or said.timed)


async def _take(pipeline: Pipeline, request: Request, said: _Said) -> _Taken:
    try:
        [(written, without)] = await pipeline.reports.publish([said.report], request.span)
    except BusAwayError as e:
        raise BusAwayError(said.keyed) from e
    return _Taken(1, written, [RejectedItem(0, error) for error in without], report=said.report)


def _encode(_request: Request, verdict: _Taken) -> Response:
    report = verdict.report
    when = to_datetime(report.at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    warnings = _warnings(verdict.rejected)
    return responses.created(
        AppMetricsAnswer(True, "metrics recorded", report.subject, when, verdict.samples, warnings)
    )


def _warnings(rejected: Sequence[RejectedItem]) -> Warnings:
    return [ItemProblem(0, one.error.field, one.error.detail) for one in rejected]


INTAKE: Final = Intake(
    path="/api/apps/{appId}/metrics",
    admission=admission.of_caller(Permission.APPS_SEND),
    check=media.require_json,
    bounds=Bounds(contract.MAX_MESSAGE_BYTES, contract.MAX_MESSAGE_BYTES),
    decode=_decode,
    samples=lambda said: len(said.report.samples),
    take=_take,
    encode=_encode,
    operation=Operation(
        id="sendAppMetrics",
        summary="Record what an app says of itself",
        description="201 is sent after Kafka acknowledged the report and its samples. The same body with a time in it, "
        "or with the same Idempotency-Key, counts once. Without `data.write` one sends the metrics of the apps that "
        "one is assigned to.",
        parameters=(_PARAMETER,),
        body=openapi.body({media.JSON: openapi.content(_BODY, said=SAID)}),
        responses=openapi.created(
            AppMetricsAnswer,
            "Taken and acknowledged by Kafka.",
            openapi.ERRORS
            | {
                400: "Not JSON, or a field is missing, of the wrong type or out of bounds: `errors` names it.",
                403: "The permission is missing.",
                404: "There is no such tenant or app, or it is not the caller's.",
                413: f"More than {contract.MAX_MESSAGE_BYTES} bytes.",
            },
        ),
        schemas=(AppMetricsAnswer,),
    ),
)
