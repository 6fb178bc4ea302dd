"""What a caller needs for each route: the one table. Requests are judged by it, and an app with a route that is not in
it cannot be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.routing import BaseRoute
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing
from vigie_identity.permissions import Permission
from vigie_identity.principal import TENANT_HEADER, Principal, PrincipalKind

TENANT_PARAMETER: Final = "tenant"
"""Name of the path parameter of routes that are about the tenant they name."""


@dataclass(frozen=True, slots=True)
class Access:
    """`permission` None: anybody, also without a credential; `signed_in`: anybody with a credential. `platform`: not
    about a tenant, or about all of them. `deleted`: who sees every tenant is also answered about a deleted one."""

    permission: Permission | None
    platform: bool = False
    signed_in: bool = False
    deleted: bool = False

    @property
    def public(self) -> bool:
        """Whether nothing is asked of the caller: no credential is looked at."""
        return self.permission is None and not self.signed_in


_P: Final = Permission
_PUBLIC: Final = Access(None)
_SIGNED_IN: Final = Access(None, signed_in=True)
_READ: Final = Access(_P.METRICS_READ)
_TELEMETRY: Final = Access(_P.TELEMETRY_READ)
_PLATFORM: Final = Access(_P.PLATFORM_READ, platform=True)

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
    ("POST", "/auth/login"): _PUBLIC,
    ("POST", "/auth/refresh"): _PUBLIC,
    ("POST", "/auth/logout"): _SIGNED_IN,
    ("GET", "/auth/me"): _SIGNED_IN,
    ("PUT", "/auth/password"): _SIGNED_IN,
    ("GET", "/admin/tenants"): Access(_P.PLATFORM_READ, platform=True),
    ("POST", "/admin/tenants"): Access(_P.TENANTS_MANAGE, platform=True),
    ("GET", "/admin/tenants/{tenant}"): Access(_P.TENANT_READ),
    ("PATCH", "/admin/tenants/{tenant}"): Access(_P.TENANTS_MANAGE),
    ("DELETE", "/admin/tenants/{tenant}"): Access(_P.TENANTS_MANAGE),
    ("GET", "/admin/tenants/{tenant}/licences"): Access(_P.TENANT_READ),
    ("POST", "/admin/tenants/{tenant}/licences"): Access(_P.LICENCES_MANAGE),
    ("DELETE", "/admin/tenants/{tenant}/licences/{licence}"): Access(_P.LICENCES_MANAGE),
    ("GET", "/admin/tenants/{tenant}/users"): Access(_P.USERS_READ),
    ("POST", "/admin/tenants/{tenant}/users"): Access(_P.USERS_MANAGE),
    ("GET", "/admin/tenants/{tenant}/users/{user}"): Access(_P.USERS_READ),
    ("PATCH", "/admin/tenants/{tenant}/users/{user}"): Access(_P.USERS_MANAGE),
    ("DELETE", "/admin/tenants/{tenant}/users/{user}"): Access(_P.USERS_MANAGE),
    ("PUT", "/admin/tenants/{tenant}/users/{user}/password"): Access(_P.USERS_MANAGE),
    ("PUT", "/admin/tenants/{tenant}/users/{user}/assignments/{other}"): Access(_P.TENANTS_MANAGE),
    ("DELETE", "/admin/tenants/{tenant}/users/{user}/assignments/{other}"): Access(_P.TENANTS_MANAGE),
    ("GET", "/admin/tenants/{tenant}/guests"): Access(_P.USERS_READ),
    ("GET", "/admin/tenants/{tenant}/keys"): Access(_P.KEYS_READ),
    ("POST", "/admin/tenants/{tenant}/keys"): Access(_P.KEYS_MANAGE),
    ("GET", "/admin/tenants/{tenant}/keys/{key}"): Access(_P.KEYS_READ),
    ("POST", "/admin/tenants/{tenant}/keys/{key}/rotate"): Access(_P.KEYS_MANAGE),
    ("DELETE", "/admin/tenants/{tenant}/keys/{key}"): Access(_P.KEYS_MANAGE),
    ("GET", "/admin/tenants/{tenant}/audit"): Access(_P.AUDIT_READ, deleted=True),
    ("GET", "/admin/tenants/{tenant}/usage"): Access(_P.TENANT_READ),
    ("GET", "/admin/users"): Access(_P.USERS_READ, platform=True),
    ("POST", "/admin/users"): Access(_P.USERS_MANAGE, platform=True),
    ("GET", "/admin/users/{user}"): Access(_P.USERS_READ, platform=True),
    ("PATCH", "/admin/users/{user}"): Access(_P.USERS_MANAGE, platform=True),
    ("DELETE", "/admin/users/{user}"): Access(_P.USERS_MANAGE, platform=True),
    ("PUT", "/admin/users/{user}/password"): Access(_P.USERS_MANAGE, platform=True),
    ("GET", "/admin/audit"): Access(_P.AUDIT_READ, platform=True),
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


def check_complete(routes: Sequence[BaseRoute]) -> None:
    """Raises ValueError for a route that is not in the table."""
    found = {
        (method, route.path)
        for route in iter_route_contexts(routes)  # those of included routers too, which `routes` does not list
        for method in (route.methods or set[str]()) - {"HEAD"}
    }
    missing = sorted(f"{method} {path}" for method, path in found - ACCESS.keys())
    if missing:
        raise ValueError(f"vigie_api.access does not say what these routes need: {', '.join(missing)}")


def access_of(request: Request) -> Access:
    """What the route that was chosen for the request needs."""
    return ACCESS[request.method, request.scope["route"].path]


def tenant_of(request: Request, principal: Principal, default: str) -> TenantId | None:
    """Judges the request. The tenant it is about, None when it is about none.

    Raises NotFound for a tenant that is not the caller's, Forbidden, CredentialMissing, InvalidField."""
    access = access_of(request)
    if access.permission is None:
        if access.signed_in and principal.kind is PrincipalKind.ANONYMOUS:
            raise CredentialMissing
        return None
    if access.platform:
        principal.require_platform(access.permission)
        return None
    asked = request.path_params.get(TENANT_PARAMETER, request.headers.get(TENANT_HEADER.decode()))
    return principal.tenant(access.permission, asked, TenantId(default))
