"""The permissions of every role and scope: the one table. `docs/roles.md` shows it, and tests compare the two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """The role of a user, the strongest first. SUPERADMIN and SUPPORT see every tenant; the others are what one is in a
    tenant, and may be another in each."""

    SUPERADMIN = "SUPERADMIN"
    SUPPORT = "SUPPORT"
    ADMIN = "ADMIN"
    USER = "USER"
    READONLY = "READONLY"


class Scope(StrEnum):
    """A scope of an API key: what the key may do in its tenant."""

    WRITE = "write"
    READ = "read"
    CONFIGURE = "configure"
    """Rules and channels, and what people do to alerts."""
    AGENT = "agent"
    """The agent of a host: what it sends and asks for."""


class Permission(StrEnum):
    """An action that a caller may be allowed. An endpoint asks for one of them, never for a role."""

    DATA_WRITE = "data.write"
    TELEMETRY_SEND = "telemetry.send"
    APPS_SEND = "apps.send"
    HOSTS_REPORT = "hosts.report"
    METRICS_READ = "metrics.read"
    SERVER_READ = "server.read"
    SITES_READ = "sites.read"
    SITES_READ_ALL = "sites.read-all"
    SERVICES_READ = "services.read"
    SERVICES_CONTROL = "services.control"
    ALERTS_READ = "alerts.read"
    ALERTS_READ_ALL = "alerts.read-all"
    ALERTS_ACKNOWLEDGE = "alerts.acknowledge"
    ALERTS_RESOLVE = "alerts.resolve"
    ALERTS_SILENCE = "alerts.silence"
    ALERTS_SILENCE_ALL = "alerts.silence-all"
    MONITORING_READ = "monitoring.read"
    MONITORING_CONFIGURE = "monitoring.configure"
    USERS_READ = "users.read"
    USERS_MANAGE = "users.manage"
    KEYS_READ = "keys.read"
    KEYS_MANAGE = "keys.manage"
    AUDIT_READ = "audit.read"
    TENANT_READ = "tenant.read"
    TELEMETRY_READ = "telemetry.read"
    PLATFORM_READ = "platform.read"
    TENANTS_MANAGE = "tenants.manage"
    LICENCES_MANAGE = "licences.manage"
    HISTORY_IMPORT = "history.import"


_P = Permission

PLATFORM_WIDE: Final = frozenset({Role.SUPERADMIN, Role.SUPPORT})
"""Roles that hold for every tenant. The others hold only in the tenants of their assignments."""

PLATFORM_ONLY: Final = frozenset(
    {_P.TELEMETRY_READ, _P.PLATFORM_READ, _P.TENANTS_MANAGE, _P.LICENCES_MANAGE, _P.HISTORY_IMPORT}
)
"""No role that is bound to tenants ever has one of these."""

_ASSIGNED: Final = frozenset({_P.METRICS_READ, _P.SITES_READ, _P.SERVICES_READ, _P.ALERTS_READ, _P.TENANT_READ})
_READS: Final = _ASSIGNED | {
    _P.SERVER_READ, _P.SITES_READ_ALL, _P.ALERTS_READ_ALL, _P.MONITORING_READ, _P.USERS_READ, _P.KEYS_READ,
    _P.AUDIT_READ,
}  # fmt: skip

ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.SUPERADMIN: frozenset(Permission),
    Role.SUPPORT: _READS | {_P.TELEMETRY_READ, _P.PLATFORM_READ},
    Role.ADMIN: frozenset(Permission) - PLATFORM_ONLY,
    Role.USER: _ASSIGNED | {_P.APPS_SEND, _P.SERVICES_CONTROL, _P.ALERTS_ACKNOWLEDGE, _P.ALERTS_SILENCE},
    Role.READONLY: _ASSIGNED,
}

SCOPES: Final[Mapping[Scope, frozenset[Permission]]] = {
    Scope.WRITE: frozenset({_P.DATA_WRITE, _P.TELEMETRY_SEND, _P.APPS_SEND}),
    Scope.READ: _ASSIGNED | {_P.SERVER_READ, _P.SITES_READ_ALL, _P.ALERTS_READ_ALL},
    Scope.CONFIGURE: frozenset(
        {
            *(_P.MONITORING_READ, _P.MONITORING_CONFIGURE),
            *(_P.ALERTS_ACKNOWLEDGE, _P.ALERTS_RESOLVE, _P.ALERTS_SILENCE, _P.ALERTS_SILENCE_ALL),
        }
    ),
    Scope.AGENT: frozenset({_P.HOSTS_REPORT}),
}


def strongest(roles: Iterable[Role]) -> Role | None:
    """Return the strongest role: each may do all that the weaker ones may, in the order of `Role`. None of none."""
    return min(roles, key=list(Role).index, default=None)


def of_scopes(scopes: frozenset[Scope]) -> frozenset[Permission]:
    """Return the permissions of all the scopes together."""
    return frozenset[Permission]().union(*(SCOPES[scope] for scope in scopes))
