"""The charts: which lines each one draws, from which metric, by which function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts import names
from vigie_query.functions import Function
from vigie_summaries.application import failed_requests, has_status, has_status_code, refused_requests
from vigie_summaries.numbers import Where
from vigie_summaries.system import one_core, whole_host

MAX_LINES: Final = 100
"""Lines of one chart; the first ones by name are drawn."""


@dataclass(frozen=True, slots=True)
class LineSpec:
    """One line for each combination of values of the labels `by`. `name` stands before them, if it is not empty."""

    metric: str
    function: Function
    name: str = ""
    by: tuple[str, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """`unit` is that of the numbers of all lines; per step means that a point counts what happened in its step."""

    title: str
    unit: str
    lines: tuple[LineSpec, ...]

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(line.metric for line in self.lines)


_F = Function
_LATENCIES: Final = ((_F.P50, "p50"), (_F.P90, "p90"), (_F.P95, "p95"), (_F.P99, "p99"), (_F.AVG, "avg"))


def _one(metric: str, function: Function, *by: str) -> tuple[LineSpec, ...]:
    return (LineSpec(metric, function, by=by),)


def _errors() -> tuple[LineSpec, ...]:
    return (
        LineSpec(names.HTTP_REQUESTS, _F.RATE, "4xx", where=refused_requests),
        LineSpec(names.HTTP_REQUESTS, _F.RATE, "5xx", where=failed_requests),
    )


def _latency(metric: str) -> tuple[LineSpec, ...]:
    return tuple(LineSpec(metric, function, name) for function, name in _LATENCIES)


_BOOKINGS: Final = (
    LineSpec(names.BOOKINGS_CREATED, _F.INCREASE, "created"),
    LineSpec(names.BOOKINGS_COMPLETED, _F.INCREASE, "completed"),
    LineSpec(names.BOOKINGS_CANCELLED, _F.INCREASE, "cancelled"),
)
CHARTS: Final = {
    # The three areas, each by what is looked at first.
    "system": Chart(
        "CPU, memory and disk usage", "percent",
        (LineSpec(names.CPU_USAGE, _F.AVG, "cpu", where=whole_host), LineSpec(names.MEMORY_USAGE, _F.AVG, "memory"),
         LineSpec(names.DISK_USAGE, _F.AVG, "disk")),
    ),
    "application": Chart(
        "HTTP requests and errors", "requests/s", (LineSpec(names.HTTP_REQUESTS, _F.RATE, "requests"), *_errors())
    ),
    "business": Chart("Bookings", "bookings per step", _BOOKINGS),
    "requests": Chart("HTTP requests", "requests/s", _one(names.HTTP_REQUESTS, _F.RATE, "service")),
    "latency": Chart("HTTP request duration", "seconds", _latency(names.HTTP_DURATION)),
    "errors": Chart("HTTP errors", "requests/s", _errors()),
    "statuses": Chart(
        "HTTP requests by status", "requests/s",
        (LineSpec(names.HTTP_REQUESTS, _F.RATE, by=("status",), where=has_status),
         LineSpec(names.HTTP_REQUESTS, _F.RATE, by=("status_code",), where=has_status_code)),
    ),
    "connections": Chart("Active connections", "connections", _one(names.ACTIVE_CONNECTIONS, _F.SUM, "service")),
    "database": Chart("Database query duration", "seconds", _latency(names.DB_QUERY_DURATION)),
    "bookings": Chart("Bookings", "bookings per step", _BOOKINGS),
    "revenue": Chart(
        "Revenue by currency", "units of the currency per step", _one(names.REVENUE, _F.INCREASE, "currency")
    ),
    "refunds": Chart(
        "Refunds by currency", "units of the currency per step", _one(names.REFUNDS, _F.INCREASE, "currency")
    ),
    "payments": Chart("Payments by outcome", "payments per step", _one(names.PAYMENTS, _F.INCREASE, "status")),
    "users": Chart("Active users", "users", _one(names.ACTIVE_USERS, _F.SUM, "service")),
    "funnel": Chart("Conversion funnel", "events per step of time", _one(names.FUNNEL_STEPS, _F.INCREASE, "step")),
    "satisfaction": Chart(
        "Customer satisfaction", "score",
        (LineSpec(names.SATISFACTION, _F.AVG, "avg"), LineSpec(names.SATISFACTION, _F.P50, "p50")),
    ),
    "sessions": Chart(
        "Sessions", "sessions per step",
        (LineSpec(names.SESSIONS_STARTED, _F.INCREASE, "started"),
         LineSpec(names.SESSIONS_ENDED, _F.INCREASE, "ended")),
    ),
    "events": Chart("Business events", "events per step", _one(names.EVENTS, _F.INCREASE, "type")),
    "cpu": Chart("CPU usage by host", "percent", (LineSpec(names.CPU_USAGE, _F.AVG, by=("host",), where=whole_host),)),
    "cores": Chart(
        "CPU usage by core", "percent", (LineSpec(names.CPU_USAGE, _F.AVG, by=("host", "core"), where=one_core),)
    ),
    "memory": Chart("Memory usage by host", "percent", _one(names.MEMORY_USAGE, _F.AVG, "host")),
    "memory-bytes": Chart(
        "Memory used and available by host", "bytes",
        (LineSpec(names.MEMORY_USED, _F.AVG, "used", by=("host",)),
         LineSpec(names.MEMORY_AVAILABLE, _F.AVG, "available", by=("host",))),
    ),
    "disk": Chart("Disk usage by host", "percent", _one(names.DISK_USAGE, _F.AVG, "host")),
    "load": Chart("Load average by host", "processes", _one(names.LOAD_AVERAGE, _F.AVG, "host", "period")),
    "network": Chart(
        "Network traffic", "bytes/s",
        (LineSpec(names.NETWORK_RECEIVED, _F.RATE, "received"), LineSpec(names.NETWORK_SENT, _F.RATE, "sent")),
    ),
    "disk-io": Chart(
        "Disk traffic", "bytes/s",
        (LineSpec(names.DISK_READ, _F.RATE, "read"), LineSpec(names.DISK_WRITTEN, _F.RATE, "written")),
    ),
    "disk-operations": Chart(
        "Disk operations", "operations/s",
        (LineSpec(names.DISK_READS, _F.RATE, "reads"), LineSpec(names.DISK_WRITES, _F.RATE, "writes")),
    ),
}  # fmt: skip
