"""A record of the reports topic: what is stored of it, or why nobody can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from vigie_contracts import apps, hosts, telemetry
from vigie_contracts.days import END_MS, to_datetime
from vigie_contracts.hosts import HostReport
from vigie_contracts.reports import Report
from vigie_contracts.series import InvalidSeriesError, validate_tenant
from vigie_contracts.telemetry import Telemetry
from vigie_runtime.bus import decoding
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.errors import DeadReason, InvalidMessage
from vigie_storage.reports.documents import EncodedReport, HostReportDocument, ReportDocument, encoded

MAX_WORD_CHARS: Final = 200
"""Of the words that name a report: id, kind, subject."""
MAX_DEPTH: Final = 64
"""Levels of objects and lists in a body: MongoDB takes no more than 100."""

_decoded: Final = decoding.json(Report)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What is counted of a node's report."""

    id: str
    tenant: str
    at_ms: int
    numbers: dict[str, float]
    """By field of `telemetry.NUMBERS` and `ADDITIONAL_NUMBERS`: what the node said."""
    version: str | None
    partition: int

    @property
    def at(self) -> datetime:
        return to_datetime(self.at_ms)


@dataclass(frozen=True, slots=True)
class AppReport:
    """What is counted of an app's report."""

    tenant: str
    app: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Incoming:
    """A report that can be stored."""

    id: str
    partition: int
    document: EncodedReport
    """A `ReportDocument`."""
    node: NodeReport | None
    app: AppReport | None
    """Of another kind than these two it is kept, and nothing is counted."""
    host: HostReportDocument | None = None
    """A host's: it is kept apart, for as long as its tenant says, and not as `document`."""


def read(record: KafkaRecord) -> Incoming:
    """Raises InvalidMessage."""
    report = _decoded(record)
    _check_words(report)
    if not 0 <= report.timestamp < END_MS:
        raise InvalidMessage(DeadReason.INVALID, "timestamp: must be in the years 1970 to 9998, in milliseconds")
    if _deeper_than(MAX_DEPTH, report.body):
        raise InvalidMessage(DeadReason.INVALID, f"body: is nested more than {MAX_DEPTH} levels deep")
    try:
        document = ReportDocument(
            _id=report.id,
            tenant=report.tenant,
            kind=report.kind,
            subject=report.subject,
            at=to_datetime(report.timestamp),
            received=to_datetime(record.timestamp),
            body=report.body,
        )
        raw = encoded(document)
    except (ValueError, OverflowError) as e:  # the record's own time may be any, too
        raise InvalidMessage(DeadReason.INVALID, f"cannot be stored: {e}") from e
    node = _node(report, record.partition) if report.kind == telemetry.KIND else None
    app = _app(report, document["at"]) if report.kind == apps.KIND else None
    host = _host(report, document) if report.kind == hosts.KIND else None
    return Incoming(report.id, record.partition, raw, node, app, host)


def _check_words(report: Report) -> None:
    for name, word in (("id", report.id), ("kind", report.kind), ("subject", report.subject)):
        if not 1 <= len(word) <= MAX_WORD_CHARS:
            raise InvalidMessage(DeadReason.INVALID, f"{name}: must have 1 to {MAX_WORD_CHARS} characters")
    try:
        validate_tenant(report.tenant)
    except InvalidSeriesError as e:
        raise InvalidMessage(DeadReason.INVALID, str(e)) from e


def _node(report: Report, partition: int) -> NodeReport:
    try:
        node = msgspec.convert(report.body, Telemetry)
    except msgspec.ValidationError as e:
        raise InvalidMessage(DeadReason.INVALID, f"body: {e}") from e
    return NodeReport(report.id, report.tenant, report.timestamp, node.numbers(), node.version, partition)


def _app(report: Report, at: datetime) -> AppReport:
    if not isinstance(report.body.get(apps.METRICS), dict):
        raise InvalidMessage(DeadReason.INVALID, "body: has no metrics")
    return AppReport(report.tenant, report.subject, at)


def _host(report: Report, document: ReportDocument) -> HostReportDocument:
    try:
        said = msgspec.convert(report.body, HostReport)
    except msgspec.ValidationError as e:
        raise InvalidMessage(DeadReason.INVALID, f"body: {e}") from e
    if said.host != report.subject:
        raise InvalidMessage(DeadReason.INVALID, "body: is about another host than the report")
    return HostReportDocument(
        _id=report.id,
        tenant=report.tenant,
        host=report.subject,
        at=document["at"],
        received=document["received"],
        body=report.body,
    )


def _deeper_than(levels: int, value: object) -> bool:
    match value:
        case dict():
            inner = value.values()
        case list():
            inner = value
        case _:
            return False
    return levels == 0 or any(_deeper_than(levels - 1, one) for one in inner)
