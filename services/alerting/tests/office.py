"""The whole service over real servers, and requests by anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from pydantic import SecretStr
from vigie_alerting.alert import Alert
from vigie_alerting.alerts.stored import stored
from vigie_alerting.app import create_app
from vigie_alerting.lifecycle import step
from vigie_alerting.resources import Resources
from vigie_alerting.settings import AlertingSettings
from vigie_contracts.alerts import Rule, Transition
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Role, Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_storage.alerts.states import Move

ACME = TenantId("acme")


@dataclass
class Callers:
    """The authenticator: everybody is `principal`."""

    principal: Principal

    async def authenticate(self, _headers: list[tuple[bytes, bytes]], _asker: object = None) -> Principal:
        return self.principal


def person(name: str, role: Role = Role.ADMIN, tenant: TenantId = ACME, **places: frozenset[str]) -> Principal:
    assignment = Assignment.of(tenant, role, **places)
    return Principal(PrincipalKind.USER, f"u-{name}", name, assignments=assigned(assignment))


def key(*scopes: Scope) -> Principal:
    assignment = Assignment(ACME, of_scopes(frozenset(scopes)))
    return Principal(PrincipalKind.KEY, "vk_1", "a key", assignments=assigned(assignment))


@dataclass
class Office:
    """The running app. `alice` asks, unless somebody else is said."""

    http: httpx2.AsyncClient
    app: Any
    callers: Callers

    @property
    def resources(self) -> Resources:
        return self.app.state.service.resources

    async def call(self, method: str, path: str, status: int = 200, *, by: Principal | None = None, **more: Any) -> Any:
        """The JSON answer; None when it has none."""
        self.callers.principal = by or person("alice")
        answer = await self.http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        kind = answer.headers.get("content-type", "")
        return answer.json() if "json" in kind and answer.content else answer.text or None

    async def fires(self, rule: Rule, labels: tuple[tuple[str, str], ...], value: float, now_ms: int) -> Alert:
        """An alert of the rule that fires, as the engine stores it; the rule has no `for`."""
        made = self.resources.compiled.of(rule)
        after, transitions = step(None, made.observe(labels, value), made, now_ms)
        assert after is not None
        await self.store(transitions, Move(None, stored(after, made)))
        return after

    async def store(self, transitions: list[Transition], move: Move) -> None:
        states = self.resources.stores.states
        await self.resources.dispatcher.dispatch(transitions, also=lambda session: states.write([move], session))


@asynccontextmanager
async def opened(settings: AlertingSettings) -> AsyncGenerator[Office]:
    """The app, with the tenant ACME and alice."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://alerting", timeout=30) as http,
    ):
        state = app.state.service
        callers = Callers(person("alice"))
        state.resources = replace(state.resources, access=replace(state.resources.access, authenticator=callers))
        yield Office(http, app, callers)
        await asyncio.sleep(0)


def settings_for(servers: dict[str, str], name: str, **more: Any) -> AlertingSettings:
    """Topics and database of their own."""
    return AlertingSettings(
        **servers,
        mongodb_database=name,
        samples_topic=f"samples-{name}",
        rules_topic=f"rules-{name}",
        alerting_group=name,
        partitions=2,
        default_tenant=ACME,
        anonymous="nothing",
        jwt_secret=SecretStr("own-secret-" * 4),
        **{"alerting_canary": False, **more},
    )
