"""The access table: the permission that each route requires. Requests are authorised by it, and an app with a route
that is not in it cannot be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing
from vigie_identity.permissions import Permission
from vigie_identity.principal import TENANT_HEADER, Principal, PrincipalKind, named_tenant

TENANT_PARAMETER: Final = "tenant"
"""Name of the path parameter of routes that are about the tenant they name."""
WEBSOCKET: Final = "WEBSOCKET"
"""In the place of the method, for a WebSocket route."""
MOUNT: Final = "MOUNT"
"""In the place of the method, for an app that is mounted: nothing is asked here of who asks it, so it is public."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks of its caller.

    `permission` None: anybody, also without a credential; `signed_in`: anybody with a credential. `platform`: not about
    a tenant, or about all of them. `deleted`: who sees every tenant is also answered about a deleted one."""

    permission: Permission | None
    platform: bool = False
    signed_in: bool = False
    deleted: bool = False

    @property
    def public(self) -> bool:
        """Whether nothing is asked of the caller: no credential is looked at."""
        return self.permission is None and not self.signed_in


PUBLIC: Final = Access(None)
SIGNED_IN: Final = Access(None, signed_in=True)

RouteKey: TypeAlias = tuple[str, str]
"""Method, WEBSOCKET or MOUNT, and the path as the route declares it."""
Rows: TypeAlias = Mapping[RouteKey, Access]


class AccessTable:
    """The rows of all features of a service."""

    def __init__(self, *features: Rows) -> None:
        """Raises ValueError for a route that two features claim, and for a mounted app that is not public."""
        self.rows: dict[RouteKey, Access] = {}
        for rows in features:
            if twice := self.rows.keys() & rows.keys():
                raise ValueError(f"more than one feature says what these routes need: {_listed(twice)}")
            self.rows.update(rows)
        if asking := {key for key, access in self.rows.items() if key[0] == MOUNT and not access.public}:
            raise ValueError(f"mounted apps ask their callers themselves, the table cannot: {_listed(asking)}")

    def of(self, connection: HTTPConnection) -> Access:
        """Return what the matched route of a request or WebSocket requires."""
        scope = connection.scope
        method = scope["method"] if scope["type"] == "http" else WEBSOCKET
        return self.rows[method, scope["route"].path]

    def check_complete(self, routes: Sequence[BaseRoute]) -> None:
        """Raises ValueError for a route that is not in the table, and for a row without a route."""
        found = set(declared(routes))
        if missing := found - self.rows.keys():
            raise ValueError(f"no access table says what these routes need: {_listed(missing)}")
        if unused := self.rows.keys() - found:
            raise ValueError(f"the access table has rows for routes that are not there: {_listed(unused)}")


def declared(routes: Sequence[BaseRoute]) -> Iterator[RouteKey]:
    """The keys of all routes: of included routers too, which `routes` does not list, of WebSockets and of mounts."""
    for context in iter_route_contexts(routes):
        yield from ((kind, context.path or "/") for kind in _kinds(context))


def _kinds(context: RouteContext) -> Iterator[str]:
    if context.methods:
        yield from context.methods - {"HEAD"}
    elif isinstance(context.original_route, WebSocketRoute):
        yield WEBSOCKET
    elif isinstance(context.original_route, Mount):
        yield MOUNT
    else:
        yield type(context.original_route).__name__.upper()  # of no kind that the table knows: refused as missing


def _listed(keys: set[RouteKey]) -> str:
    return ", ".join(sorted(f"{method} {path}" for method, path in keys))


def authorize(access: Access, connection: HTTPConnection, principal: Principal, default: str) -> TenantId | None:
    """Authorise the principal for a route. Returns the tenant of the request, None when it is about none.

    Raises NotFound for a tenant that is not the caller's, Forbidden, CredentialMissing, InvalidField,
    TenantNamedTwice."""
    asked = named_tenant(connection.headers.getlist(TENANT_HEADER.decode()))
    if access.permission is None:
        if access.signed_in and principal.kind is PrincipalKind.ANONYMOUS:
            raise CredentialMissing
        return None
    if access.platform:
        principal.require_platform(access.permission)
        return None
    requested = connection.path_params.get(TENANT_PARAMETER, asked)
    return principal.tenant(access.permission, requested, TenantId(default))
