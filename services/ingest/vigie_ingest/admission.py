"""Who may send what, and whose it is: decided before the body is read, as far as that is possible.

For most routes the credential and a header say whose samples these are. Telemetry names its tenant in the body; history
is about many tenants, and belongs to the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.errors import CredentialMissing
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.permissions import Permission
from vigie_identity.principal import TENANT_HEADER, Principal, PrincipalKind, named_tenant
from vigie_identity.tenants import Tenant

Headers = Mapping[bytes, bytes]
"""By lower-case name."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How one route decides."""

    permission: Permission
    by_headers: Callable[[Principal, Headers, TenantId], TenantId | None]
    """Whose request it is, the last argument when nothing says; None: that is in the body. Raises ProblemErrors."""
    named: Callable[[bytes], str] = lambda _: PLATFORM
    """The tenant in a body; asked only when the headers do not say."""
    tenant_header: bool = False
    """Whether the header X-Scope-OrgID may say whose request it is."""
    needs_credential: bool = False
    """Whether it is for nobody without one, whatever VIGIE_ANONYMOUS says."""

    async def by_body(self, principal: Principal, body: bytes, tenants: KnownTenants) -> Tenant:
        """Whose request it is: the active tenant that the body names. Raises ProblemErrors."""
        tenant = self.named(body)
        principal.require(self.permission, tenant)
        return tenants.at_once(tenant) or await tenants.require(tenant)


def asked_tenant(headers: Headers) -> str | None:
    """The tenant that the header names. Raises TenantNamedTwice."""
    asked = headers.get(TENANT_HEADER)
    return None if asked is None else named_tenant([asked.decode("latin-1")])


def of_caller(permission: Permission) -> Admission:
    """In the caller's tenant, or the one of its tenants that a header names."""

    def by_headers(principal: Principal, headers: Headers, default: TenantId) -> TenantId:
        return principal.tenant(permission, asked_tenant(headers), default)

    return Admission(permission, by_headers, tenant_header=True)


def of_body(permission: Permission, named: Callable[[bytes], str]) -> Admission:
    """In the tenant that the body names. Nobody who may do it nowhere sends a body."""

    def by_headers(principal: Principal, headers: Headers, _default: TenantId) -> None:
        asked_tenant(headers)
        somewhere = permission in principal.anywhere or principal.assignments
        if principal.kind is PrincipalKind.ANONYMOUS and not somewhere:
            raise CredentialMissing

    return Admission(permission, by_headers, named)


def of_platform(permission: Permission) -> Admission:
    """For those who may do it everywhere; each line of the body names a tenant."""

    def by_headers(principal: Principal, headers: Headers, _default: TenantId) -> TenantId:
        asked_tenant(headers)
        principal.require_platform(permission)
        return PLATFORM

    return Admission(permission, by_headers, needs_credential=True)
