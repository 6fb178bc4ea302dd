"""The authenticated caller and its permissions per tenant. Immutable; made by the authenticator, read by every
endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from vigie_contracts.tenants import TenantId, tenant_id

from vigie_identity.errors import CredentialMissing, Forbidden, HostForbidden, InvalidField, NotFound, TenantNamedTwice
from vigie_identity.permissions import ROLES, Permission, Role, Scope

TENANT_HEADER: Final = b"x-scope-orgid"
"""Names the tenant that a request is about, as with Mimir and Loki; as ASGI has it."""
TENANT: Final = "tenant"
"""The word that NotFound says, whether the tenant does not exist or is not the caller's."""
APP: Final = "app"
"""The same of an app."""


class PrincipalKind(StrEnum):
    USER = "user"
    EXTERNAL = "external"
    KEY = "key"
    ANONYMOUS = "anonymous"


class Place(StrEnum):
    """What of a tenant is assigned to people one by one; the value is the field of an assignment."""

    APPS = "apps"
    SITES = "sites"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A tenant that somebody belongs to, what they may do there, and the apps and sites of it that are theirs.

    `role` is what a person is there; None for keys, for anonymous callers, and for who is nothing there."""

    tenant: TenantId
    permissions: frozenset[Permission]
    role: Role | None = None
    apps: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, tenant: TenantId, role: Role, apps: frozenset[str] = frozenset(), sites: frozenset[str] = frozenset()
    ) -> Self:
        """A person's, with what the role may do."""
        return cls(tenant, ROLES[role], role, apps, sites)


_NO_ASSIGNMENTS: Final[Mapping[TenantId, Assignment]] = MappingProxyType({})
_NOTHING: Final = frozenset[Permission]()


@dataclass(frozen=True, slots=True)
class Principal:
    """`role` is a platform-wide one, which holds in every tenant and for the platform itself; what else one may is in
    `assignments`, tenant by tenant. `anywhere` holds for whatever tenant a request names, without belonging to it."""

    kind: PrincipalKind
    id: str
    name: str
    role: Role | None = None
    assignments: Mapping[TenantId, Assignment] = field(default_factory=lambda: _NO_ASSIGNMENTS)
    anywhere: frozenset[Permission] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    session: str | None = None
    """The session behind an access token of our own: what logout ends."""
    host: str | None = None
    """The only host that the key of an agent speaks for; None: any."""

    @property
    def everywhere(self) -> bool:
        """Whether every tenant is the caller's."""
        return self.role is not None

    @property
    def roles(self) -> frozenset[Role]:
        """The roles that the caller has anywhere: to show, not to decide by."""
        all_ = (self.role, *(assignment.role for assignment in self.assignments.values()))
        return frozenset(role for role in all_ if role is not None)

    def permissions(self, tenant: str) -> frozenset[Permission]:
        """Return the caller's permissions in this tenant, `anywhere` not included."""
        if self.role is not None:
            return ROLES[self.role]
        assignment = self.assignments.get(TenantId(tenant))
        return _NOTHING if assignment is None else assignment.permissions

    def belongs_to(self, tenant: str) -> bool:
        """Return whether the tenant is one of the caller's."""
        return self.role is not None or tenant in self.assignments

    def may(self, permission: Permission, tenant: str) -> bool:
        """Return whether the caller has the permission in this tenant."""
        return permission in self.anywhere or permission in self.permissions(tenant)

    def require(self, permission: Permission, tenant: str) -> None:
        """Check the permission for the tenant. Raises NotFound for a tenant that is not the caller's, as for one that
        does not exist; Forbidden when only the permission is missing; CredentialMissing for an anonymous caller."""
        if self.may(permission, tenant):
            return
        if self.kind is PrincipalKind.ANONYMOUS:
            raise CredentialMissing
        if not self.belongs_to(tenant):
            raise NotFound(TENANT)
        raise Forbidden(permission)

    def require_platform(self, permission: Permission) -> None:
        """Check a platform-wide permission. Raises Forbidden or CredentialMissing."""
        if self.role is not None and permission in ROLES[self.role]:
            return
        if self.kind is PrincipalKind.ANONYMOUS:
            raise CredentialMissing
        raise Forbidden(permission)

    def tenant(self, permission: Permission, requested: str | None = None, default: TenantId | None = None) -> TenantId:
        """Return the tenant of a request, after `require`: the requested one, else the caller's only one, else
        `default`. Raises as `require`, also when no tenant could be one; InvalidField when several are possible."""
        if requested is None:
            if len(self.assignments) == 1 and not self.everywhere:
                chosen = next(iter(self.assignments))
            elif default is not None and self.may(permission, default):
                chosen = default
            else:
                raise self._which(permission)
        elif (named := tenant_id(requested)) is not None:
            chosen = named
        else:
            raise NotFound(TENANT)
        self.require(permission, chosen)
        return chosen

    def may_site(self, permission: Permission, tenant: str, site: str) -> bool:
        """`may`, for one site: without SITES_READ_ALL it must be one of the caller's."""
        return self.may(permission, tenant) and _within(self.sites(tenant), site)

    def may_app(self, permission: Permission, tenant: str, app: str) -> bool:
        """`may`, for one app: without SITES_READ_ALL it must be one of the caller's."""
        return self.may(permission, tenant) and _within(self.apps(tenant), app)

    def require_app(self, permission: Permission, tenant: str, app: str) -> None:
        """`require`, and `may_app`. Raises also NotFound for an app that is not the caller's."""
        self.require(permission, tenant)
        if not _within(self.apps(tenant), app):
            raise NotFound(APP)

    def require_app_sender(self, tenant: str, app: str) -> None:
        """Check that the caller may send the metrics of an app: whoever writes all data of the tenant, or is assigned
        to the app. Raises as `require_app`."""
        self.require(Permission.APPS_SEND, tenant)
        assignment = self.assignments.get(TenantId(tenant))
        if not (self.may(Permission.DATA_WRITE, tenant) or (assignment is not None and app in assignment.apps)):
            raise NotFound(APP)

    def require_host(self, tenant: str, host: str) -> None:
        """Check that the caller may speak for a host, as its agent. Raises as `require`, and HostForbidden for a key
        that is bound to another host."""
        self.require(Permission.HOSTS_REPORT, tenant)
        if self.host is not None and self.host != host:
            raise HostForbidden(self.host)

    def sites(self, tenant: str) -> frozenset[str] | None:
        """The sites of the tenant that the caller sees; None: all. To filter a query with."""
        if self.may(Permission.SITES_READ_ALL, tenant):
            return None
        assignment = self.assignments.get(TenantId(tenant))
        return assignment.sites if assignment else frozenset()

    def apps(self, tenant: str) -> frozenset[str] | None:
        """The apps of the tenant that the caller sees; None: all."""
        if self.may(Permission.SITES_READ_ALL, tenant):
            return None
        assignment = self.assignments.get(TenantId(tenant))
        return assignment.apps if assignment else frozenset()

    def _which(self, permission: Permission) -> InvalidField | CredentialMissing | Forbidden:
        if self.kind is PrincipalKind.ANONYMOUS:
            return CredentialMissing()
        places = [one.permissions for one in self.assignments.values()] if self.role is None else [ROLES[self.role]]
        if places and not any(permission in allowed for allowed in places):
            return Forbidden(permission)
        return InvalidField(TENANT, "say which one: the credential holds for several tenants, or for none")


def _within(theirs: frozenset[str] | None, one: str) -> bool:
    """Whether it is among theirs; None: all are."""
    return theirs is None or one in theirs


def named_tenant(values: Sequence[str]) -> str | None:
    """The tenant that the values of the header TENANT_HEADER name; None without any. Raises TenantNamedTwice: a proxy
    and a service might go by another one each."""
    if len(values) > 1 or any("," in value for value in values):
        raise TenantNamedTwice
    return values[0] if values else None


def assigned(*assignments: Assignment) -> Mapping[TenantId, Assignment]:
    """Assignments by tenant, unchangeable."""
    return MappingProxyType({assignment.tenant: assignment for assignment in assignments})
