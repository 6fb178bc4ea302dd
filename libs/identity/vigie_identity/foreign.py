"""What tokens of other issuers say: roles, tenants, apps and sites, as a principal. Pure.

The claim of tenants is either a list of them, in all of which the claim of roles holds, or an object with the role in
each: `{"acme": "ADMIN", "beta": "READONLY"}`; then the claim of roles says nothing but platform-wide ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from vigie_contracts.tenants import TenantId, tenant_id

from vigie_identity.errors import InvalidField
from vigie_identity.names import app_or_site
from vigie_identity.permissions import PLATFORM_WIDE, Role, strongest
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.tokens import Verified

MAX_ENTRIES: Final = 1_000
MAX_ID_CHARS: Final = 256


@dataclass(frozen=True, slots=True)
class ForeignClaims:
    """How to read them. `platform_roles`: whether SUPERADMIN and SUPPORT are believed."""

    roles: str = "roles"
    tenants: str = "tenants"
    apps: str = "apps"
    sites: str = "sites"
    platform_roles: bool = False

    def tenants_of(self, verified: Verified) -> frozenset[TenantId]:
        """The tenants that the token names, as far as they can be names of tenants."""
        return frozenset(self._roles_by_tenant(verified.claims))

    def principal(self, verified: Verified, active: Collection[TenantId]) -> Principal:
        """Who the token is about. Of its tenants only those that are `active`; words that are no role mean nothing.
        A platform-wide role stands alone: it holds in the tenants of the token too."""
        claims = verified.claims
        apps, sites = self._apps_and_sites(claims, self.apps), self._apps_and_sites(claims, self.sites)
        everywhere = strongest(_roles(claims.get(self.roles)) & PLATFORM_WIDE) if self.platform_roles else None
        by_tenant = self._roles_by_tenant({} if everywhere else claims)
        subject = str(claims["sub"])[:MAX_ID_CHARS]
        name = claims.get("name")
        return Principal(
            kind=PrincipalKind.EXTERNAL,
            id=f"{verified.issuer}|{subject}",
            name=name[:MAX_ID_CHARS] if isinstance(name, str) else subject,
            role=everywhere,
            assignments=assigned(
                *(
                    Assignment.of(tenant, role, apps, sites) if role else Assignment(tenant, frozenset())
                    for tenant, role in sorted(by_tenant.items())
                    if tenant in active
                )
            ),
        )

    def _roles_by_tenant(self, claims: Mapping[str, Any]) -> Mapping[TenantId, Role | None]:
        """The role in each tenant; None: the token names the tenant, and no role that holds in it."""
        value = claims.get(self.tenants)
        if isinstance(value, dict):
            said = list(cast("dict[str, object]", value).items())[:MAX_ENTRIES]
            return {tenant: _role(words) for text, words in said if (tenant := tenant_id(text)) is not None}
        everywhere = _role(claims.get(self.roles))
        return {tenant: everywhere for text in _texts(value) if (tenant := tenant_id(text)) is not None}

    def _apps_and_sites(self, claims: Mapping[str, Any], claim: str) -> frozenset[str]:
        found: set[str] = set()
        for text in _texts(claims.get(claim)):
            try:
                found.add(app_or_site(claim, text))
            except InvalidField:
                continue
        return frozenset(found)


def _role(value: object) -> Role | None:
    """The strongest of those that are bound to tenants."""
    return strongest(_roles(value) - PLATFORM_WIDE)


def _roles(value: object) -> frozenset[Role]:
    words = {text.upper() for text in _texts(value)}
    return frozenset(role for role in Role if role in words)


def _texts(value: object) -> list[str]:
    """The texts of a claim that is a text or a list of them."""
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list):
        return []
    return [text for text in cast("list[object]", value)[:MAX_ENTRIES] if isinstance(text, str)]
