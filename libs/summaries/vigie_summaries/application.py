"""The numbers of applications."""

from __future__ import annotations

from typing import Final

from vigie_contracts import names
from vigie_query.functions import Function
from vigie_query.series import Series

from vigie_summaries.numbers import Numbers, Source, between, finite, percent, rounded
from vigie_summaries.schemas.application import Connections, Queries, Requests, Service, Work
from vigie_summaries.schemas.common import Breakdown

NAMES = names.APPLICATION
MAX_STATUSES: Final = 100
PREFIXES = ("http_", "https_", "rpc_", "grpc_", "db_", "app_", "application_", "process_", "cache_", "queue_", "api_")


def work(source: Source) -> Work:
    """Of all services, or of a part."""
    return Work(
        requests=requests(source),
        latency=breakdown(source, names.HTTP_DURATION),
        active_connections=connections(source),
        database=breakdown(source, names.DB_QUERY_DURATION),
    )


def connections(source: Source) -> Connections:
    """Open connections of all services together, or of one."""
    total = source.total(names.ACTIVE_CONNECTIONS)
    if total is None:
        return Connections(current=None, avg=None, max=None)
    return Connections(current=finite(total.last), avg=between(total.avg, None, total.max), max=finite(total.max))


def services(numbers: Numbers) -> list[Service]:
    """Each service by itself, by name."""
    found = numbers.label_values(NAMES, "service")
    return [Service(service=service, **dict(work(numbers.part("service", service)))) for service in found]


def queries(numbers: Numbers) -> list[Queries]:
    """Database queries by operation."""
    operations = numbers.label_values((names.DB_QUERY_DURATION,), "operation")
    return [
        Queries(operation=name, **dict(breakdown(numbers.part("operation", name), names.DB_QUERY_DURATION)))
        for name in operations
    ]


def requests(source: Source) -> Requests:
    """Counts and shares of HTTP requests."""
    total = source.value(Function.INCREASE, names.HTTP_REQUESTS)
    refused = source.value(Function.INCREASE, names.HTTP_REQUESTS, refused_requests)
    failed = source.value(Function.INCREASE, names.HTTP_REQUESTS, failed_requests)
    if total is not None:
        refused, failed = refused or 0.0, failed or 0.0
    return Requests(
        total=total,
        per_second=None if total is None else rounded(total / source.seconds),
        client_errors=refused,
        server_errors=failed,
        client_error_rate_percent=percent(refused, total),
        server_error_rate_percent=percent(failed, total),
        error_rate_percent=percent((refused or 0.0) + (failed or 0.0), total),
        by_status=by_status(source),
    )


def by_status(source: Source) -> dict[str, float]:
    """Counts of each status that was answered, in the order of the statuses; of more than MAX_STATUSES the greatest."""
    counts: dict[str, float] = {}
    for label, where in (("status", has_status), ("status_code", has_status_code)):
        for status, count in source.by_label(Function.INCREASE, names.HTTP_REQUESTS, label, where).items():
            counts[status] = counts.get(status, 0.0) + count
    kept = sorted(counts, key=lambda status: -counts[status])[:MAX_STATUSES]
    return {status: counts[status] for status in sorted(kept)}


def breakdown(source: Source, name: str) -> Breakdown:
    """Mean and percentiles of a histogram in seconds."""

    def value(function: Function) -> float | None:
        return rounded(source.value(function, name))

    return Breakdown(
        count=value(Function.COUNT),
        avg_seconds=value(Function.AVG),
        p50_seconds=value(Function.P50),
        p90_seconds=value(Function.P90),
        p95_seconds=value(Function.P95),
        p99_seconds=value(Function.P99),
    )


def refused_requests(one: Series) -> bool:
    """Those with a status of 400 to 499."""
    return _status(one).startswith("4")


def failed_requests(one: Series) -> bool:
    """Those with a status of 500 to 599."""
    return _status(one).startswith("5")


def has_status(one: Series) -> bool:
    """Says its status in the label `status`."""
    return bool(one.label("status"))


def has_status_code(one: Series) -> bool:
    """Says its status in the label `status_code` only."""
    return not one.label("status") and bool(one.label("status_code"))


def _status(one: Series) -> str:
    """Clients of prom-client call it status or status_code."""
    return one.label("status") or one.label("status_code")
