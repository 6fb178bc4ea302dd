"""GET /api/metrics/application."""

from __future__ import annotations

from pydantic import Field

from vigie_summaries.schemas.base import Model, Number, Ranged
from vigie_summaries.schemas.common import Breakdown, CustomMetric


class Requests(Model):
    """HTTP requests."""

    total: Number = Field(description="in the range")
    per_second: Number
    client_errors: Number = Field(description="requests whose status is 400 to 499")
    server_errors: Number = Field(description="requests whose status is 500 to 599")
    client_error_rate_percent: Number = Field(description="share of all requests, 0 to 100")
    server_error_rate_percent: Number = Field(description="share of all requests, 0 to 100")
    error_rate_percent: Number = Field(description="both together")
    by_status: dict[str, float] = Field(
        description="requests by status, as it was sent; of more than 100 the greatest",
        examples=[{"200": 90, "404": 6}],
    )


class Connections(Model):
    """Open connections: the sum over the services at each moment of the range."""

    current: Number = Field(description="at the newest moment with a sample")
    avg: Number
    max: Number = Field(description="where several services changed within one window, the greatest of each added")


class Queries(Breakdown):
    """Database queries of one operation."""

    operation: str


class Work(Model):
    """What an application did."""

    requests: Requests
    latency: Breakdown
    active_connections: Connections
    database: Breakdown


class Service(Work):
    """One service; empty when the samples do not say which."""

    service: str


class ApplicationMetrics(Ranged):
    """What the services did. Percentiles are at most 1 % from an observation."""

    overall: Work
    services: list[Service]
    queries: list[Queries] = Field(description="database queries by operation, of all services")
    other: list[CustomMetric] = Field(description="other metrics whose names begin like those of applications")
    other_truncated: bool = Field(description="there are more than 500 of them")
