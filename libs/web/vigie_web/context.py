"""The context of an authorised request or WebSocket: the caller, the tenant and the resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic

from fastapi import Depends
from starlette.requests import HTTPConnection
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import Actor
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.principal import Principal, PrincipalKind
from vigie_runtime.addresses import FORWARDED_HEADER, Origin
from vigie_runtime.errors import ProblemError

from vigie_web.access import authorize
from vigie_web.middleware import QUOTA
from vigie_web.state import AccessControl, AppState, R, S, app_state

_ANONYMOUS: Final = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")


@dataclass(frozen=True, slots=True)
class Context(Generic[S, R]):
    """What a route works with. A service gives it its own settings and resources: `Context[Settings, Resources]`."""

    principal: Principal
    actor: Actor
    """The same, for the audit log."""
    tenant: TenantId
    """PLATFORM for routes that are about no tenant."""
    now_ms: int
    state: AppState[S, R]
    resources: R


async def context_of(connection: HTTPConnection) -> Context[Any, Any]:
    """The context of a request or a WebSocket: its caller is authorised, and charged, once.

    Raises StoreUnavailable while the service is not connected, ProblemError when the caller may not do this, or not so
    often."""
    made: Context[Any, Any] | None = getattr(connection.state, "context", None)
    if made is None:
        made = connection.state.context = await _authorize(connection)
    return made


AUTHORIZED: Final[Any] = Depends(context_of)
"""For a route's parameter: `Annotated[Context[Settings, Resources], AUTHORIZED]`."""


async def _authorize(connection: HTTPConnection) -> Context[Any, Any]:
    state = app_state(connection)
    resources = state.connected()
    control: AccessControl = resources.access
    access, origin = state.table.of(connection), origin_of(connection)
    quota = connection.scope[QUOTA] = control.rates.open(origin)
    try:
        principal = await control.authenticator.authenticate(connection.scope["headers"], quota)
        tenant = authorize(access, connection, principal, state.settings.default_tenant)
        if principal.everywhere and tenant is not None:  # others belong to it
            if access.deleted:
                await control.tenants.get(tenant, deleted=True)
            else:
                await _check_exists(control, tenant)
    except ProblemError as e:
        await quota.refused(e)
        raise
    # What the platform's people ask about a tenant, also one that is switched off, is not the tenant's use.
    await quota.admit(principal, None if principal.everywhere else tenant)
    actor = Actor(principal.id, principal.name, origin.address, agent_of(connection))
    return Context(principal, actor, tenant or PLATFORM, state.clock.now_ms(), state, resources)


async def _check_exists(control: AccessControl, tenant: TenantId) -> None:
    """Active or not; from memory, also while MongoDB does not answer. Raises NotFound; StoreUnavailable, Busy."""
    known = control.known_tenants
    try:
        _ = known.at_once(tenant) or await known.require(tenant)
    except TenantInactive:
        pass
    except NotFound:
        await control.tenants.get(tenant)  # it may have been made a moment ago, and its maker may ask at once


async def charge_anonymous(connection: HTTPConnection) -> None:
    """Charge a request of which no credential is looked at. Raises StoreUnavailable, Throttled."""
    control: AccessControl = app_state(connection).connected().access
    quota = connection.scope[QUOTA] = control.rates.open(origin_of(connection))
    await quota.admit(_ANONYMOUS, None)


def origin_of(connection: HTTPConnection) -> Origin:
    """Return the address that the request comes from."""
    forwarded = b",".join(value for name, value in connection.scope["headers"] if name == FORWARDED_HEADER)
    client = connection.client
    return app_state(connection).origins.of(client.host if client else None, forwarded or None)


def agent_of(connection: HTTPConnection) -> str:
    """The User-Agent of the client."""
    return connection.headers.get("user-agent", "")
