"""What tokens of other issuers say: roles, tenants, apps and sites, as a principal. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from vigie_identity.errors import InvalidField
from vigie_identity.names import TenantId, is_tenant, place
from vigie_identity.permissions import PLATFORM_WIDE, Role, of_roles
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
        return frozenset(TenantId(text) for text in _texts(verified.claims.get(self.tenants)) if is_tenant(text))

    def principal(self, verified: Verified, active: Collection[TenantId]) -> Principal:
        """Who the token is about. Of its tenants only those that are `active`; words that are no role mean nothing.

        A platform-wide role stands alone: what a role bound to tenants allows must not hold everywhere beside it."""
        words = {text.upper() for text in _texts(verified.claims.get(self.roles))}
        roles = frozenset(role for role in Role if role in words and (self.platform_roles or role not in PLATFORM_WIDE))
        roles = roles & PLATFORM_WIDE or roles
        apps, sites = self._places(verified.claims, self.apps), self._places(verified.claims, self.sites)
        subject = str(verified.claims["sub"])[:MAX_ID_CHARS]
        name = verified.claims.get("name")
        return Principal(
            kind=PrincipalKind.EXTERNAL,
            id=f"{verified.issuer}|{subject}",
            name=name[:MAX_ID_CHARS] if isinstance(name, str) else subject,
            permissions=of_roles(roles),
            everywhere=bool(roles & PLATFORM_WIDE),
            assignments=assigned(
                *(Assignment(tenant, apps, sites) for tenant in sorted(self.tenants_of(verified)) if tenant in active)
            ),
            roles=roles,
        )

    def _places(self, claims: Mapping[str, Any], claim: str) -> frozenset[str]:
        found: set[str] = set()
        for text in _texts(claims.get(claim)):
            try:
                found.add(place(claim, text))
            except InvalidField:
                continue
        return frozenset(found)


def _texts(value: object) -> list[str]:
    """The texts of a claim that is a text or a list of them."""
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list):
        return []
    return [text for text in cast("list[object]", value)[:MAX_ENTRIES] if isinstance(text, str)]
