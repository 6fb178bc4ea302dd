"""The path table: which service serves which path of the one origin.

`vigie up` hands requests on by it in one process. The proxy of the compose stack is written from it, by
`python -m tools.proxy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Service(StrEnum):
    """What a request can be handed to; the value is the host name in compose and Kubernetes. The
    dashboard is files, which the front door itself serves."""

    INGEST = "ingest"
    API = "api"
    ALERTING = "alerting"
    HEALTHCHECK = "healthcheck"
    PUSH = "push"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class PathRule:
    """One path, or with `/*` at its end all paths below, with `*` at its beginning all that end so, and the methods
    that belong to the service."""

    path: str
    methods: tuple[str, ...]
    service: Service


EVERY: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Of a path that only one service has: that one refuses the methods that it does not take. A browser asks by OPTIONS
before it writes across origins: the answer belongs to the service that takes the write."""

PATH_RULES: Final[tuple[PathRule, ...]] = (
    PathRule("/telemetry", EVERY, Service.INGEST),
    PathRule("/api/import/telemetry", EVERY, Service.INGEST),
    PathRule("/api/events", EVERY, Service.INGEST),
    PathRule("/api/metrics/custom", EVERY, Service.INGEST),
    PathRule("/api/metrics/batch", EVERY, Service.INGEST),
    PathRule("/v1/metrics", EVERY, Service.INGEST),
    PathRule("/api/v1/write", EVERY, Service.INGEST),
    PathRule("/api/metrics/system", EVERY, Service.API),
    PathRule("/api/metrics/application", EVERY, Service.API),
    PathRule("/api/metrics/summary", EVERY, Service.API),
    PathRule("/api/metrics/*", ("POST", "OPTIONS"), Service.INGEST),
    PathRule("*/metrics/aggregated", EVERY, Service.API),
    PathRule("/api/apps/*", ("POST", "OPTIONS"), Service.INGEST),
    PathRule("/api/alerts", EVERY, Service.ALERTING),
    PathRule("/api/alerts/*", EVERY, Service.ALERTING),
    PathRule("/api/oncall", EVERY, Service.ALERTING),
    PathRule("/api/oncall/*", EVERY, Service.ALERTING),
    PathRule("/api/slos", EVERY, Service.ALERTING),
    PathRule("/api/slos/*", EVERY, Service.ALERTING),
    PathRule("/api/v1/rules", EVERY, Service.ALERTING),
    PathRule("/api/v1/alerts", EVERY, Service.ALERTING),
    PathRule("/api/v2/*", EVERY, Service.ALERTING),
    PathRule("/api/health", EVERY, Service.HEALTHCHECK),
    PathRule("/api/health/*", EVERY, Service.HEALTHCHECK),
    PathRule("/status/*", EVERY, Service.HEALTHCHECK),
    PathRule("/ws", EVERY, Service.PUSH),
    PathRule("/socket.io", EVERY, Service.PUSH),
    PathRule("/socket.io/*", EVERY, Service.PUSH),
    PathRule("/api/stream", EVERY, Service.PUSH),
    PathRule("/", ("GET", "HEAD"), Service.DASHBOARD),
    PathRule("/assets/*", ("GET", "HEAD"), Service.DASHBOARD),
)
"""What is not listed is the api's, so that a new read needs no row, but for one below `/*` of another service: it would
be told there that there is nothing where it is asked with another method. Of rows whose paths overlap the longer one
comes first."""
FALLBACK: Final = Service.API


_Owner = tuple[frozenset[str], Service]
_EXACT: Final[dict[str, _Owner]] = {row.path: (frozenset(row.methods), row.service) for row in PATH_RULES}
_BELOW: Final = [(path[:-1], owner) for path, owner in _EXACT.items() if path.endswith("/*")]
_ENDING: Final = [(path[1:], owner) for path, owner in _EXACT.items() if path.startswith("*")]


def service_of(method: str, path: str) -> Service:
    """Return the service that handles a request."""
    owner = _EXACT.get(path)
    if owner is None:  # the row of the path itself comes before one for all paths below another
        for prefix, below in _BELOW:
            if path.startswith(prefix):
                owner = below
        for suffix, ending in _ENDING:
            if path.endswith(suffix):
                owner = ending
    return FALLBACK if owner is None or method not in owner[0] else owner[1]
