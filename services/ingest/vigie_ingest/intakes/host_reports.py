"""What agents say of their hosts, the sites on them and their services: reports that are kept whole, and samples."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from msgspec import Struct
from vigie_contracts import hosts as contract
from vigie_contracts.hosts import HostReport
from vigie_contracts.payloads import payloads
from vigie_contracts.problems import MAX_WARNINGS, ItemProblem
from vigie_identity.audit import Actor
from vigie_identity.permissions import Permission
from vigie_publishing.errors import BusAwayError
from vigie_publishing.publishers import KeyedReport

from vigie_ingest import admission, hosts, listed, media, openapi
from vigie_ingest.decoding import Decoded
from vigie_ingest.errors import RejectedItem
from vigie_ingest.hosts import Said
from vigie_ingest.ignored import of_taken
from vigie_ingest.intake import Intake, Operation, Pipeline, Request, Verdict
from vigie_ingest.listed import BatchAnswer

_INLINE_SAMPLES: Final = 10_000
"""Of a request; the series of more are made in a thread."""
_EXAMPLE: Final[Any] = msgspec.json.decode(
    next(one.data for one in payloads("api.hosts.reports") if one.name == "v1-list.json")
)[0] | {"timestamp": 1_767_225_600_000}


class _Judged(Struct, gc=False):
    decoded: Decoded[Said]
    samples: int


def _decode(request: Request) -> _Judged:
    decoded = hosts.decode_reports(request.body)
    good: list[Said] = []
    indexes: list[int] = []
    for said in decoded.items:
        wrong = hosts.fault(said.report, request.now_ms, request.principal.host, request.settings.report_retention_ms)
        if wrong is None:
            good.append(said)
            indexes.append(said.index)
        else:
            decoded.rejected.append(RejectedItem(said.index, wrong))
    decoded.items, decoded.indexes = good, indexes
    return _Judged(decoded, sum(len(hosts.samples_of(said.report)) for said in good))


async def _take(pipeline: Pipeline, request: Request, judged: _Judged) -> Verdict:
    decoded = judged.decoded
    if not decoded.items:
        return Verdict(0, 0, decoded.rejected)
    host_of = await pipeline.sites.of(request.tenant)
    warnings = list(decoded.warnings)
    reports: dict[bytes, KeyedReport] = {}
    indexes: dict[bytes, int] = {}
    for said in decoded.items:
        report, left_out = hosts.own(said.report, host_of)
        warnings += hosts.problems(said.index, left_out)
        if judged.samples > _INLINE_SAMPLES:  # the loop is everybody's
            made = await asyncio.to_thread(hosts.keyed, request.tenant, report, request.now_ms)
        else:
            made = hosts.keyed(request.tenant, report, request.now_ms)
        reports.setdefault(made.key, made)
        indexes.setdefault(made.key, said.index)
    try:
        outcomes = await pipeline.reports.publish(list(reports.values()), request.span)
    except BusAwayError as e:
        raise BusAwayError(keyed=True) from e
    for index, outcome in zip(indexes.values(), outcomes, strict=True):
        warnings += [ItemProblem(index, error.field, error.detail) for error in outcome.refused]
    samples = sum(one.written for one in outcomes)
    principal, newest = request.principal, decoded.items[-1].report
    if principal.host is not None:
        actor = Actor(principal.id, principal.name, request.address)
        await pipeline.places.look(request.tenant, actor, newest.host, newest.agent.instance)
    taken = of_taken(warnings, decoded.rejected)[:MAX_WARNINGS]
    return Verdict(len(decoded.items), samples, decoded.rejected, taken)


def _refine(schemas: dict[str, Any]) -> None:
    hosts.whole_patterns(schemas)


INTAKE: Final = Intake(
    path="/api/hosts/reports",
    admission=admission.of_caller(Permission.HOSTS_REPORT),
    check=media.require_json,
    decode=_decode,
    samples=lambda judged: judged.samples,
    take=_take,
    encode=lambda _request, verdict: listed.response(verdict, "reports"),
    operation=Operation(
        id="sendHostReports",
        summary="Record reports of hosts; each is judged alone",
        description="One report, or a list of at most "
        f"{contract.MAX_REPORTS}; one has at most {contract.MAX_REPORT_BYTES} bytes. 201 is sent after Kafka "
        "acknowledged the reports and their samples. A host's report of the same time counts once, however often it is "
        "sent. A key that is bound to a host speaks for no other one; sites of another host are left out, and "
        "`warnings` name them.",
        body=openapi.body(
            {
                media.JSON: openapi.content(
                    {
                        "oneOf": [
                            openapi.ref(HostReport),
                            {
                                "type": "array",
                                "items": openapi.ref(HostReport),
                                "minItems": 1,
                                "maxItems": contract.MAX_REPORTS,
                            },
                        ]
                    },
                    one=_EXAMPLE,
                    several=[_EXAMPLE, {**_EXAMPLE, "timestamp": _EXAMPLE["timestamp"] + 10_000}],
                )
            }
        ),
        responses=openapi.created(
            BatchAnswer,
            "At least one report was taken; `errors` says which were not, `warnings` what was left out.",
            openapi.LISTED_ERRORS | {413: f"More than {contract.MAX_REPORTS} reports, or too many bytes."},
        ),
        schemas=(HostReport, BatchAnswer),
        refine=_refine,
    ),
)
