"""Access of callers without a credential: the permissions and the tenant, from one setting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vigie_contracts.tenants import TenantId

from vigie_identity.errors import InvalidField
from vigie_identity.names import tenant_id
from vigie_identity.permissions import Permission, Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned


class AnonymousAccess(StrEnum):
    """A kind of anonymous access, as it is written in the setting."""

    TELEMETRY = "telemetry"
    WRITE = "write"
    READ = "read"
    CONFIGURE = "configure"


NOTHING: Final = "nothing"
HELP: Final = (
    f"`{NOTHING}`, `{AnonymousAccess.TELEMETRY}` (POST /telemetry for the active tenant that it names), "
    "or a tenant and its rights: `default:read,write,telemetry`"
)


@dataclass(frozen=True, slots=True)
class AnonymousRule:
    """What anonymous callers may do. `tenant` is None when no right is bound to one."""

    rights: frozenset[AnonymousAccess]
    tenant: TenantId | None = None

    @classmethod
    def parse(cls, text: str) -> AnonymousRule:
        """Parse the setting. Raises InvalidField."""
        tenant, colon, words = text.strip().rpartition(":")
        if not colon and words == NOTHING:
            return cls(frozenset())
        try:
            rights = frozenset(AnonymousAccess(word.strip()) for word in words.split(","))
        except ValueError:
            raise InvalidField("anonymous", f"must be {HELP}") from None
        if bool(colon) != bool(rights - {AnonymousAccess.TELEMETRY}):
            raise InvalidField(
                "anonymous", f"read, write and configure need a tenant, telemetry alone takes none: {HELP}"
            )
        return cls(rights, tenant_id(tenant) if colon else None)

    def __str__(self) -> str:
        words = ",".join(right for right in AnonymousAccess if right in self.rights) or NOTHING
        return f"{self.tenant}:{words}" if self.tenant else words

    def without_tenant(self) -> AnonymousRule:
        """Return the rule without its tenant, for when that is not active."""
        return AnonymousRule(self.rights & {AnonymousAccess.TELEMETRY})

    def principal(self) -> Principal:
        """Return the principal of a caller without a credential."""
        scopes = frozenset(Scope(right.value) for right in self.rights if right is not AnonymousAccess.TELEMETRY)
        permissions = of_scopes(scopes) - {Permission.TELEMETRY_SEND}
        telemetry = {Permission.TELEMETRY_SEND} if AnonymousAccess.TELEMETRY in self.rights else set[Permission]()
        return Principal(
            kind=PrincipalKind.ANONYMOUS,
            id="anonymous",
            name="anonymous",
            assignments=assigned(Assignment(self.tenant, permissions)) if self.tenant else assigned(),
            anywhere=frozenset(telemetry),
            scopes=scopes,
        )
