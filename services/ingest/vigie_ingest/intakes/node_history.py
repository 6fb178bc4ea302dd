"""Telemetry of the past: what is stored already adds nothing, whenever and however often it is sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.permissions import Permission
from vigie_publishing.errors import ItemError, Reason
from vigie_runtime.errors import Retryable

from vigie_ingest import admission, history, listed, openapi, responses
from vigie_ingest.decoding import Decoded
from vigie_ingest.errors import ItemProblems, RejectedItem, StoreAwayError, item_problems
from vigie_ingest.ignored import Warnings, of_taken
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.intakes.node_telemetry import NODE
from vigie_ingest.responses import Response
from vigie_ingest.telemetry import NodeReport

_CHUNK: Final = 500
"""Lines that are published together: with them their samples, and the new series of as many tenants."""
_LOOKUPS: Final = 16
"""Tenants that are asked for at the same time."""
_TEXT: Final = {"type": "string"}
_LINES: Final = json.dumps(NODE | {"timestamp": "2026-01-01T00:00:00Z"}) + "\n"
_TABLE: Final = (
    "tenantId,uptime,activeUsers,exercisesCompletedToday,aiLatency,version,additionalData,timestamp\n"
    '550e8400-e29b-41d4-a716-446655440000,86400,42,156,247.5,1.2.0,"{""cpuUsage"": 45.2}",2026-01-01 00:00:00+00\n'
)
_ERRORS: Final = {status: text for status, text in openapi.NODE_ERRORS.items() if status != 404} | {
    400: "No line could be taken, or the CSV header is wrong.",
    403: "The permission history.import is missing.",
}


class HistoryAnswer(Struct, omit_defaults=True):
    """201: `accepted` lines are on the bus, acknowledged, or were stored before: `repeated` of them. `errors` lists the
    first 100 of the `rejected` others, `warnings` what was ignored of those that were taken, if anything was."""

    success: bool
    accepted: int
    repeated: int
    rejected: int
    message: str
    errors: ItemProblems
    warnings: Warnings = []


class Imported(Verdict, kw_only=True):
    """`repeated` of the accepted lines were stored before."""

    repeated: int


def _decode(request: Request) -> Decoded[NodeReport]:
    retention_ms = request.settings.report_retention_ms
    return history.decode_history(request.headers, request.body, request.now_ms, retention_ms)


async def _take(pipeline: Pipeline, request: Request, decoded: Decoded[NodeReport]) -> Imported:
    """What is good is taken. When something is away some lines may be taken, and to send all of them again adds nothing
    to those."""
    refused = await _refused(pipeline.tenants, {line.tenant for line in decoded.items})
    rejected = list(decoded.rejected)
    good: dict[str, NodeReport] = {}
    accepted = new = samples = 0
    for at, line in enumerate(decoded.items):
        if error := refused.get(line.tenant):
            rejected.append(RejectedItem(decoded.index(at), error))
        else:
            accepted += 1
            good[line.id] = line
    lines = list(good.values())
    for start in range(0, len(lines), _CHUNK):
        chunk = await _unknown(pipeline, lines[start : start + _CHUNK])
        if chunk:
            outcomes = await pipeline.reports.publish([line.keyed() for line in chunk], request.span)
            samples += sum(one.written for one in outcomes)
        new += len(chunk)
    return Imported(accepted, samples, rejected, of_taken(decoded.warnings, rejected), repeated=accepted - new)


async def _unknown(pipeline: Pipeline, lines: Sequence[NodeReport]) -> list[NodeReport]:
    """Those that are not stored yet. Raises StoreAwayError."""
    try:
        known = await pipeline.stored.among([line.id for line in lines])
    except Retryable as e:
        raise StoreAwayError from e
    return [line for line in lines if line.id not in known]


async def _refused(tenants: KnownTenants, named: Iterable[str]) -> dict[str, ItemError]:
    """Why nothing is taken for some of the tenants."""
    at_once = asyncio.Semaphore(_LOOKUPS)
    refused: dict[str, ItemError] = {}

    async def ask(tenant: str) -> None:
        async with at_once:
            try:
                await tenants.require(tenant)
            except (NotFound, TenantInactive) as e:
                refused[tenant] = ItemError(Reason.TENANT, "tenantId", e.detail)

    await asyncio.gather(*map(ask, named))
    return refused


def _encode(_request: Request, verdict: Imported) -> Response:
    listed.require_accepted(verdict, "lines", "there are none")
    rejected = len(verdict.rejected)
    message = f"{verdict.accepted} lines recorded, {verdict.repeated} of them before"
    message += f", {rejected} refused" if rejected else ""
    errors, warnings = item_problems(verdict.rejected), list(verdict.warnings)
    answer = HistoryAnswer(True, verdict.accepted, verdict.repeated, rejected, message, errors, warnings)
    return responses.created(answer)


INTAKE: Final = Intake(
    path="/api/import/telemetry",
    admission=admission.of_platform(Permission.HISTORY_IMPORT),
    check=history.check_media,
    decode=_decode,
    samples=lambda _decoded: 0,  # the platform's own work: no tenant's limit is charged
    take=_take,
    encode=_encode,
    operation=Operation(
        id="importTelemetry",
        summary="Record up to 10,000 lines of the past; what is known adds nothing",
        body=openapi.body(
            {
                history.JSON_LINES: openapi.content(_TEXT, lines=_LINES),
                history.CSV: openapi.content(_TEXT, table=_TABLE),
            }
        ),
        responses=openapi.created(HistoryAnswer, "At least one line was taken or known.", _ERRORS),
        schemas=(HistoryAnswer,),
    ),
)
