"""What the routes about nodes may answer, for the documentation, with the examples of the TelemetryService guide."""

from __future__ import annotations

from typing import Any, Final

from vigie_contracts.problems import Problem
from vigie_identity.errors import CredentialMissing, Forbidden, NotFound
from vigie_identity.permissions import Permission
from vigie_runtime.errors import ProblemError
from vigie_web.problem_schema import problem_response

from vigie_api.node_reports.errors import NoReport

TENANT_ID: Final = "550e8400-e29b-41d4-a716-446655440000"

_PATH: Final = f"/admin/tenant/{TENANT_ID}/metrics"
_TENANT: Final = {"tenantId": TENANT_ID, "tenantName": "acme-corp"}
_SAID: Final = {
    "id": "metric-uuid", "uptime": 86400, "activeUsers": 42, "exercisesCompletedToday": 156, "aiLatency": 247.5,
    "version": "1.2.0",
}  # fmt: skip
_AT: Final = {"timestamp": "2025-11-24T10:30:00.000Z"}

_HISTORY: Final = {
    **_TENANT,
    "data": [{**_SAID, "additionalData": {"cpuUsage": 45.2}, **_AT}],
    "pagination": {"total": 245, "limit": 50, "offset": 0, "hasMore": True},
}
_LATEST: Final = {**_TENANT, "metric": {**_SAID, **_AT}}
_AGGREGATED: Final = {
    "period": "24h",
    "startDate": "2025-11-23T10:30:00.000Z",
    "endDate": "2025-11-24T10:30:00.000Z",
    "dataPoints": 144,
    "metrics": {
        "avgUptime": 82345, "avgActiveUsers": 38.5, "avgExercisesPerDay": 142.3, "avgAiLatency": 245.7,
        "maxActiveUsers": 67, "maxExercises": 234, "maxAiLatency": 456.2,
        "minActiveUsers": 12, "minExercises": 45, "minAiLatency": 156.3,
        "totalExercises": 20491,
    },
    "trend": {"activeUsers": "increasing", "exercises": "stable", "aiLatency": "decreasing"},
}  # fmt: skip
_SUMMARY: Final = {
    **_AT,
    "tenants": {"total": 42, "active": 38, "inactive": 4, "withRecentData": 35},
    "licenses": {"total": 56, "active": 45, "expired": 8, "expiringSoon": 5},
    "usage": {
        "totalActiveUsers": 1847, "totalExercisesCompletedToday": 4532, "averageAiLatency": 245.67,
        "totalUptime": 3245678,
    },
    "health": {"healthy": 32, "warning": 3, "critical": 2, "noData": 1},
    "versions": [
        {"version": "1.2.0", "count": 25}, {"version": "1.1.0", "count": 10}, {"version": "1.0.0", "count": 3},
    ],
}  # fmt: skip
_TRENDS: Final = {
    "period": "2 days",
    "startDate": "2025-11-23T00:00:00.000Z",
    "endDate": "2025-11-24T10:30:00.000Z",
    "timezone": "UTC",
    "dataPoints": 2,
    "trends": [
        {
            "date": "2025-11-24", "avgActiveUsers": 42.5, "totalExercises": 1456, "avgAiLatency": 245.7,
            "tenantsReporting": 35, "uptimePercentage": 99.9,
        },
        {
            "date": "2025-11-23", "avgActiveUsers": 38.2, "totalExercises": 1342, "avgAiLatency": 247.3,
            "tenantsReporting": 34, "uptimePercentage": 99.8,
        },
    ],
    "summary": {
        "avgDailyUsers": 40.35, "avgDailyExercises": 1399, "avgAiLatency": 246.5, "peakUsers": 67,
        "peakDate": "2025-11-23",
    },
}  # fmt: skip


def _documented(
    example: dict[str, Any], permission: Permission, path: str, **problems: tuple[str, Problem]
) -> dict[int | str, dict[str, Any]]:
    # Not in the model: there the names of an example would be sorted.
    return {
        200: {"content": {"application/json": {"example": example}}},
        401: problem_response("No credential was sent, or one that is not good", CredentialMissing().problem(path)),
        403: problem_response("The permission is missing", Forbidden(permission).problem(path)),
        **{int(status[1:]): problem_response(*problem) for status, problem in problems.items()},
    }


def _invalid(field: str, reason: str, path: str) -> Problem:
    return ProblemError(f"{field}: {reason}", field=field).problem(path)


_UNKNOWN: Final = ("There is no such tenant, or none that the caller may see", NotFound("tenant").problem(_PATH))

HISTORY: Final = _documented(
    _HISTORY, Permission.TELEMETRY_READ, _PATH,
    _404=_UNKNOWN,
    _422=(
        "A parameter is wrong, or more than one request may ask for",
        _invalid("limit", "must be at most 1000", _PATH),
    ),
)  # fmt: skip
LATEST: Final = _documented(
    _LATEST, Permission.TELEMETRY_READ, f"{_PATH}/latest",
    _404=(
        "There is no such tenant, or it has not sent a report yet: the message says which",
        NoReport().problem(f"{_PATH}/latest"),
    ),
)  # fmt: skip
AGGREGATED: Final = _documented(
    _AGGREGATED, Permission.TELEMETRY_READ, f"{_PATH}/aggregated",
    _404=_UNKNOWN,
    _422=(
        "The period is none of those that there are",
        _invalid("period", "must be '24h', '7d' or '30d'", f"{_PATH}/aggregated"),
    ),
)  # fmt: skip
SUMMARY: Final = _documented(_SUMMARY, Permission.PLATFORM_READ, "/admin/global/summary")
TRENDS: Final = _documented(
    _TRENDS, Permission.PLATFORM_READ, "/admin/global/usage-trends",
    _422=(
        "More days than there may be, or a time zone in which days are not kept",
        _invalid("days", "must be at most 90", "/admin/global/usage-trends"),
    ),
)  # fmt: skip
