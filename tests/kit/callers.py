"""Callers of every kind, and what each may do: worked out from the permission table alone, for tests that walk routes.

The tenants are ACME, which callers belong to, GLOBEX, which is there too, and NOWHERE, which is not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.identity import Identity, identity
from vigie_identity.passwords import HashCost
from vigie_identity.permissions import ROLES, SCOPES, Permission, Role, Scope
from vigie_identity.sessions import ClientInfo
from vigie_identity.settings import IdentitySettings
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock

ACME, GLOBEX, NOWHERE = TenantId("acme"), TenantId("globex"), TenantId("nowhere")
TENANTS: Final = (ACME, GLOBEX, NOWHERE)
SECRET: Final = "own-secret-" * 4
PASSWORD: Final = "correct horse battery"
CHEAP: Final = HashCost(memory_kib=64, passes=1, lanes=1)
"""Of passwords: takes no time."""
EVERYWHERE: Final = (Role.SUPERADMIN, Role.SUPPORT)
TELEMETRY: Final = "telemetry"
RULES: Final = (
    "nothing",
    TELEMETRY,
    "acme:read",
    "acme:write",
    "acme:read,write",
    "acme:read,write,telemetry",
    "acme:configure",
)


_ABOUT_TENANTS: Final = ("there is no such tenant", "tenant: ")


@dataclass(frozen=True)
class Need:
    """What a route asks of its caller: a permission in a tenant or, with `platform`, for the platform itself; with
    `signed_in`, any credential; nothing at all."""

    permission: Permission | None = None
    platform: bool = False
    signed_in: bool = False


@dataclass(frozen=True)
class Caller:
    """Who sends these headers. `rule` is the words of VIGIE_ANONYMOUS, of who sends no credential."""

    name: str
    headers: dict[str, str] = field(repr=False)
    identity: Identity = field(repr=False)
    role: Role | None = None
    scopes: tuple[Scope, ...] = ()
    rule: str | None = None

    def holds(self) -> frozenset[Permission]:
        """What the caller may do where it belongs."""
        if self.role is not None:
            return ROLES[self.role]
        scopes = list(self.scopes)
        if self.rule is not None and ":" in self.rule:
            scopes = [Scope(word) for word in self.rule.partition(":")[2].split(",") if word != TELEMETRY]
        held = frozenset[Permission]().union(*(SCOPES[scope] for scope in scopes))
        return held if self.rule is None else held - {Permission.TELEMETRY_SEND}

    def refused(self, need: Need, tenant: str) -> int | None:
        """The status that the caller gets for asking this about the tenant; None when it may."""
        if need.permission is None:
            return 401 if need.signed_in and self.rule is not None else None
        if self.role in EVERYWHERE:
            return None if need.permission in self.holds() else 403
        if self.rule is not None and TELEMETRY in self.rule and need.permission is Permission.TELEMETRY_SEND:
            return None
        mine = tenant == ACME and not need.platform
        if mine and need.permission in self.holds():
            return None
        if self.rule is not None:
            return 401
        return 403 if mine or need.platform else 404


@asynccontextmanager
async def callers(
    settings: IdentitySettings, db: Database, redis: Redis, clock: Clock
) -> AsyncGenerator[tuple[Caller, ...]]:
    """A caller of every role, of every kind of key, and without a credential under every kind of rule."""
    async with AsyncExitStack() as stack:

        async def under(rule: str) -> Identity:
            changed = settings.model_copy(update={"anonymous": rule})
            return await stack.enter_async_context(identity(changed, db, redis, clock, CHEAP))

        who = await under("nothing")
        await who.ensure_indexes()
        for tenant in (ACME, GLOBEX):
            await who.tenants.ensure(tenant)
        made = [Caller(role, await _session(who, role), who, role=role) for role in Role]
        for scopes in ((Scope.WRITE,), (Scope.READ,), tuple(Scope)):
            key = await who.keys.create(ACME, "key", scopes, SYSTEM)
            made.append(Caller(f"key {scopes}", {"x-api-key": key.secret}, who, scopes=scopes))
        made += [Caller(f"anonymous {rule}", {}, await under(rule), rule=rule) for rule in RULES]
        yield tuple(made)


async def _session(who: Identity, role: Role) -> dict[str, str]:
    """The headers of the session of a new user with that role."""
    home = PLATFORM if role in EVERYWHERE else ACME
    await who.users.create(home, role, PASSWORD, role, SYSTEM)
    assert who.sessions is not None
    tokens = await who.sessions.login(role, PASSWORD, ClientInfo(), None if home == PLATFORM else home)
    return {"authorization": f"Bearer {tokens.access}"}


@dataclass(frozen=True)
class Answer:
    """What a route answered; `detail` is that of the problem, if it is one."""

    status: int
    detail: str | None


@dataclass(frozen=True)
class Difference:
    """An answer that is not what the table says. `expected` is a status, None when the caller may."""

    caller: Caller
    tenant: str
    expected: int | None
    answer: Answer

    def __str__(self) -> str:
        return f"{self.caller.name} about {self.tenant}: {self.expected or 'allowed'}, and it was {self.answer}"


def difference(caller: Caller, need: Need, tenant: str, answer: Answer) -> Difference | None:
    """None when the answer is what the table says. Whoever may is not refused for who it is; whoever may not is
    refused in the right words."""
    expected = caller.refused(need, tenant)
    if expected is None:
        told = tenant == NOWHERE  # who may everywhere is told that there is none
        fine = answer.status not in (401, 403) and (told or not (answer.detail or "").startswith(_ABOUT_TENANTS))
    else:
        fine = answer.status == expected and (expected != 404 or answer.detail == _ABOUT_TENANTS[0])
    return None if fine else Difference(caller, tenant, expected, answer)
