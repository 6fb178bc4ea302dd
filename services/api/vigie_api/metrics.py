"""The metrics of this service."""

from __future__ import annotations

from typing import Final

from vigie_runtime.metrics import Counter, Gauge
from vigie_web.metrics import RequestMetrics

REQUESTS: Final = RequestMetrics(
    "api",
    {
        "/api/metrics/": "metrics",
        "/api/dashboard/": "dashboard",
        "/api/series": "series",
        "/api/query_range": "query",
        "/admin/tenant/": "telemetry",
        "/admin/global/": "telemetry",
        "/api/v1/": "promql",
        "/metrics": "exposition",
        "/auth/": "auth",
        "/admin/": "admin",
    },
)
STALE_SCRAPES: Final = Counter(
    "vigie_api_stale_scrapes_total",
    "answers",
    "Answers of /metrics without what MongoDB alone knows, because it did not answer in time",
)
EXPOSED: Final = Gauge("vigie_api_exposed_series", "series", "Series whose names are kept in memory for /metrics")

ALL: Final = (*REQUESTS.all, STALE_SCRAPES, EXPOSED)
