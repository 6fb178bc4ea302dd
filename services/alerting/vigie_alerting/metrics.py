"""The metrics of this service's requests; those of the engine, of recording and of sending stand beside them."""

from __future__ import annotations

from typing import Final

from vigie_web.metrics import RequestMetrics

REQUESTS: Final = RequestMetrics(
    "alerting",
    {
        "/api/alerts/rules": "rules",
        "/api/alerts/channels": "channels",
        "/api/alerts": "alerts",
        "/api/slos": "slos",
        "/api/v1/": "prometheus",
        "/api/v2/": "alertmanager",
    },
)

ALL: Final = REQUESTS.all
