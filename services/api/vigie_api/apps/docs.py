"""What the routes about apps may answer, for the documentation."""

from __future__ import annotations

from typing import Any, Final

from vigie_contracts.problems import Problem
from vigie_identity.errors import CredentialMissing, Forbidden, NotFound
from vigie_identity.permissions import Permission
from vigie_identity.principal import APP
from vigie_web.problem_schema import problem_response

_METRICS: Final = {
    "cpu": {"usage": 42.5, "system": 12.1, "user": 30.4},
    "memory": {"used": 734003200, "total": 1073741824, "free": 339738624},
}
_APPS: Final = {
    "apps": [
        {
            "appId": "shop", "firstReport": "2026-01-01T00:00:00.000Z", "lastReport": "2026-01-31T12:00:00.000Z",
            "reports": 89280,
        },
    ],
    "nextCursor": None,
}  # fmt: skip
_RANGE: Final = {"from": "2026-01-31T11:00:00.000Z", "to": "2026-01-31T12:00:00.000Z", "period": "hour"}
_HISTORY: Final = {
    "appId": "shop",
    **_RANGE,
    "data": [
        {
            "id": "5b6fb4cf-0b1f-5a4e-9a80-2f7d8a3b9c11", "userId": "user-1", "metrics": _METRICS,
            "timestamp": "2026-01-31T11:59:30.000Z",
        },
    ],
    "nextCursor": "ks8AAAGcE_uW0A",
}  # fmt: skip
_AGGREGATED: Final = {
    "appId": "shop",
    **_RANGE,
    "step": 1800,
    "tier": "1m",
    "errorBound": 0.01,
    "data": [
        {
            "path": "cpu.usage", "metric": "app_cpu_usage", "count": 120, "min": 12.5, "max": 91.2, "avg": 41.7,
            "steps": [
                {
                    "count": 120, "min": 12.5, "max": 91.2, "avg": 41.7, "last": 42.5, "p50": 40.1, "p90": 66.3,
                    "p95": 78.9, "p99": 90.4, "at": 1769858400000,
                },
            ],
        },
    ],
}  # fmt: skip


def _documented(example: dict[str, Any], path: str, missing: Problem) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {"application/json": {"example": example}}},
        401: problem_response("No credential was sent, or one that is not good", CredentialMissing().problem(path)),
        403: problem_response("The permission is missing", Forbidden(Permission.SITES_READ).problem(path)),
        404: problem_response("There is no such tenant or app, or none that the caller may see", missing),
    }


_PATH: Final = "/api/apps/shop/metrics"
APPS: Final = _documented(_APPS, "/api/apps", NotFound("tenant").problem("/api/apps"))
HISTORY: Final = _documented(_HISTORY, _PATH, NotFound(APP).problem(_PATH))
AGGREGATED: Final = _documented(_AGGREGATED, f"{_PATH}/aggregated", NotFound(APP).problem(f"{_PATH}/aggregated"))
