"""Reports of nodes, and what the aggregator keeps of them, written by its own store."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
from vigie_aggregator.reports.reading import read
from vigie_aggregator.reports.storing import ReportStore
from vigie_contracts import telemetry as words
from vigie_contracts.reports import Report
from vigie_runtime.clients import Database
from vigie_runtime.clock import SystemClock

PARTITIONS = 3
_BATCH = 500


@dataclass(frozen=True)
class NodeReport:
    """What a tenant's node said of itself at a time, in milliseconds since the epoch."""

    tenant: str
    at: int
    body: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True)
class _Record:
    value: bytes
    partition: int
    timestamp: int
    headers: tuple[()] = ()


def report(tenant: str, at: int, users: float = 1, exercises: float = 1, uptime: float = 60, **more: Any) -> NodeReport:
    """`more` as in the body: aiLatency, version, additionalData."""
    body = {words.UPTIME: uptime, words.ACTIVE_USERS: users, words.EXERCISES: exercises, **more}
    return NodeReport(tenant, at, {"tenantId": tenant, **body})


async def store(database: Database, reports: Sequence[NodeReport], zones: Sequence[str] = ("UTC",)) -> None:
    """Have the reports kept."""
    made = ReportStore(database, "reports", SystemClock(), zones=zones, retention=timedelta(days=90))
    await made.prepare()
    records = [read(_record(one)) for one in reports]
    for start in range(0, len(records), _BATCH):
        await made.store(records[start : start + _BATCH])


def _record(one: NodeReport) -> _Record:
    made = Report(one.id, one.tenant, words.KIND, words.SUBJECT, one.at, one.body)
    return _Record(msgspec.json.encode(made), sum(one.tenant.encode()) % PARTITIONS, one.at)


def every(minutes: float, start: int, end: int) -> Iterable[int]:
    """Times from `start` until before `end`."""
    return itertools.takewhile(lambda at: at < end, itertools.count(start, round(minutes * 60_000)))
