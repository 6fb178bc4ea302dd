"""What a caller needs for each route: the one table. Requests are judged by it, and an app with a route that is not in
it cannot be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from vigie_identity.names import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import TENANT_HEADER, Principal

TENANT_PARAMETER: Final = "tenant"
"""Name of the path parameter of routes that are about the tenant they name."""


@dataclass(frozen=True, slots=True)
class Access:
    """`permission` None: anybody, also without a credential. `platform`: not about a tenant, or about all of them."""

    permission: Permission | None
    platform: bool = False


_PUBLIC: Final = Access(None)
_READ: Final = Access(Permission.METRICS_READ)
_TELEMETRY: Final = Access(Permission.TELEMETRY_READ)
_PLATFORM: Final = Access(Permission.PLATFORM_READ, platform=True)

ACCESS: Final[Mapping[tuple[str, str], Access]] = {
    ("GET", "/api/metrics/system"): _READ,
    ("GET", "/api/metrics/application"): _READ,
    ("GET", "/api/metrics/business"): _READ,
    ("GET", "/api/metrics/summary"): _READ,
    ("GET", "/api/dashboard/summary"): _READ,
    ("GET", "/api/dashboard/realtime"): _READ,
    ("GET", "/api/dashboard/charts/{type}"): _READ,
    ("GET", "/api/query_range"): _READ,
    ("GET", "/api/series"): _READ,
    ("GET", "/metrics"): _READ,
    ("GET", "/admin/tenant/{tenant}/metrics"): _TELEMETRY,
    ("GET", "/admin/tenant/{tenant}/metrics/latest"): _TELEMETRY,
    ("GET", "/admin/tenant/{tenant}/metrics/aggregated"): _TELEMETRY,
    ("GET", "/admin/global/summary"): _PLATFORM,
    ("GET", "/admin/global/usage-trends"): _PLATFORM,
    ("GET", "/health/live"): _PUBLIC,
    ("GET", "/health/ready"): _PUBLIC,
    ("GET", "/internal/metrics"): _PUBLIC,
    ("GET", "/api-docs"): _PUBLIC,
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/docs/oauth2-redirect"): _PUBLIC,
    ("GET", "/redoc"): _PUBLIC,
    ("GET", "/openapi.json"): _PUBLIC,
}
"""By method and path, as the routes declare them."""


def check_complete(routes: Iterable[BaseRoute]) -> None:
    """Raises ValueError for a route that is not in the table."""
    missing = sorted(
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set[str]()) - {"HEAD"}
        if (method, route.path) not in ACCESS
    )
    if missing:
        raise ValueError(f"vigie_api.access does not say what these routes need: {', '.join(missing)}")


def tenant_of(request: Request, principal: Principal, default: str) -> TenantId | None:
    """Judges the request. The tenant it is about, None when it is about none.

    Raises NotFound for a tenant that is not the caller's, Forbidden, CredentialMissing, InvalidField."""
    access = ACCESS[request.method, request.scope["route"].path]
    if access.permission is None:
        return None
    if access.platform:
        principal.require_platform(access.permission)
        return None
    asked = request.path_params.get(TENANT_PARAMETER, request.headers.get(TENANT_HEADER.decode()))
    return principal.tenant(access.permission, asked, TenantId(default))
