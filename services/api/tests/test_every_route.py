"""Every route of the app, with every kind of caller, about the own, a foreign, and an unknown tenant: what is answered
is what the permission table says. What a route needs is written down here a second time, by path and method."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_identity.permissions import Permission, Role
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_web.access import MOUNT, Access, AccessTable, declared

from tests.kit.callers import ACME, SECRET, TENANTS, Answer, Caller, Difference, Need, callers, difference

pytestmark = pytest.mark.connected

P = Permission
PUBLIC = Need()
LOGOUT = ("POST", "/auth/logout")


def of_tenants(read: Permission, change: Permission) -> tuple[Need, Need]:
    return Need(read), Need(change)


def of_platform(read: Permission, change: Permission) -> tuple[Need, Need]:
    return Need(read, platform=True), Need(change, platform=True)


NEEDS: list[tuple[str, tuple[Need, Need]]] = [
    (r"/auth/(login|refresh|session)", (PUBLIC, PUBLIC)),
    (r"/auth/.*", (Need(signed_in=True), Need(signed_in=True))),
    (r"/admin/tenants", of_platform(P.PLATFORM_READ, P.TENANTS_MANAGE)),
    (r"/admin/tenants/{tenant}", of_tenants(P.TENANT_READ, P.TENANTS_MANAGE)),
    (r"/admin/tenants/{tenant}/licences.*", of_tenants(P.TENANT_READ, P.LICENCES_MANAGE)),
    (r"/admin/tenants/{tenant}/users.*/assignments.*", of_tenants(P.TENANTS_MANAGE, P.TENANTS_MANAGE)),
    (r"/admin/tenants/{tenant}/(users|guests).*", of_tenants(P.USERS_READ, P.USERS_MANAGE)),
    (r"/admin/tenants/{tenant}/keys.*", of_tenants(P.KEYS_READ, P.KEYS_MANAGE)),
    (r"/admin/tenants/{tenant}/audit", of_tenants(P.AUDIT_READ, P.TENANTS_MANAGE)),
    (r"/admin/tenants/{tenant}/usage", of_tenants(P.TENANT_READ, P.TENANTS_MANAGE)),
    (r"/admin/tenant/{tenant}/metrics.*", of_tenants(P.TELEMETRY_READ, P.HISTORY_IMPORT)),
    (r"/admin/global/.*", of_platform(P.PLATFORM_READ, P.TENANTS_MANAGE)),
    (r"/admin/users.*", of_platform(P.USERS_READ, P.USERS_MANAGE)),
    (r"/admin/audit", of_platform(P.AUDIT_READ, P.TENANTS_MANAGE)),
    (r"/api/agents/config", of_tenants(P.HOSTS_REPORT, P.HOSTS_REPORT)),
    (r"/api/hosts.*", of_tenants(P.SERVER_READ, P.SERVER_READ)),
    (r"/api/sites/.*/services/.*", of_tenants(P.SERVICES_READ, P.SERVICES_CONTROL)),
    (r"/api/commands/.*", of_tenants(P.SERVICES_READ, P.SERVICES_READ)),
    (r"/api/sites.*", of_tenants(P.SITES_READ, P.MONITORING_CONFIGURE)),
    (r"/stats/server.*", of_tenants(P.SERVER_READ, P.SERVER_READ)),
    (r"/stats/(system|site/.*)", of_tenants(P.SITES_READ, P.SITES_READ)),
    (r"/stats/(sites|services)", of_tenants(P.SITES_READ_ALL, P.SITES_READ_ALL)),
    (r"/stats/services/.*", of_tenants(P.SERVICES_READ, P.SERVICES_READ)),
    (r"/stats/config", of_tenants(P.MONITORING_READ, P.MONITORING_CONFIGURE)),
    (r"/api/apps.*", of_tenants(P.SITES_READ, P.APPS_SEND)),
    (r"/api/v1/.*", of_tenants(P.METRICS_READ, P.METRICS_READ)),
    (r"/api/.*|/metrics", of_tenants(P.METRICS_READ, P.DATA_WRITE)),
    (r"/health(/.*)?|/internal/metrics|/api-docs|/docs.*|/redoc|/openapi.json", (PUBLIC, PUBLIC)),
]
"""For who reads, and who changes. The first that matches the whole path counts."""


def need_of(method: str, path: str) -> Need:
    patterns = ((pattern.replace("{tenant}", r"\{tenant\}"), needs) for pattern, needs in NEEDS)
    read, change = next(needs for pattern, needs in patterns if re.fullmatch(pattern, path))
    return read if method == "GET" else change


@dataclass
class Walk:
    """An app, and everybody who asks it."""

    app: Any
    http: httpx2.AsyncClient
    callers: tuple[Caller, ...]

    @property
    def table(self) -> AccessTable:
        return self.app.state.service.table

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Logout comes last: it ends the sessions of who asks."""
        found = {key for key in declared(self.app.routes) if key[0] != MOUNT}
        return sorted(found, key=lambda route: (route == LOGOUT, route))

    async def differences(self, *routes: tuple[str, str]) -> list[tuple[str, Difference]]:
        """What is answered otherwise than it should be, on these routes or on all."""
        found: list[tuple[str, Difference]] = []
        state = self.app.state.service
        for method, path in routes or self.routes:
            need = need_of(method, path)
            for caller in self.callers:
                access = replace(state.resources.access, authenticator=caller.identity.authenticator)
                state.resources = replace(state.resources, access=access)
                for asked in self._asked(path, need):
                    answer = await self._ask(method, path, caller, asked)
                    one = difference(caller, need, asked or ACME, answer)  # unsaid, it is the own or the default one
                    found += [(f"{method} {path}", one)] if one else []
        return found

    def _asked(self, path: str, need: Need) -> tuple[str | None, ...]:
        """The tenants to ask about; None: without saying one."""
        if need.permission is None or need.platform:
            return (None,)
        return TENANTS if "{tenant}" in path else (*TENANTS, None)

    async def _ask(self, method: str, path: str, caller: Caller, tenant: str | None) -> Answer:
        """Nobody changes anything: the body is none that is taken, and nothing has the name of the path."""
        filled = re.sub(r"\{\w+(:path)?\}", "nothing", path.replace("{tenant}", tenant or ""))
        headers = {**caller.headers, **({"x-scope-orgid": tenant} if tenant else {})}
        body: Any = {"json": {"no such field": 1}} if method in ("POST", "PUT", "PATCH") else {}
        answer = await self.http.request(method, filled, headers=headers, **body)
        is_problem = answer.headers.get("content-type") == "application/problem+json"
        if path.startswith("/api/v1/") and not answer.is_success:
            return Answer(answer.status_code, answer.json()["error"])
        return Answer(answer.status_code, answer.json()["detail"] if is_problem else None)


@pytest_asyncio.fixture(loop_scope="session")
async def walk(database: Database, mongo_uri: str, redis_url: str) -> AsyncIterator[Walk]:
    settings = ApiSettings(
        kafka_bootstrap_servers="unused:9092",
        mongodb_uri=mongo_uri,
        redis_url=redis_url,
        mongodb_database=database.name,
        default_tenant=ACME,
        anonymous="nothing",
        jwt_secret=SecretStr(SECRET),
        admin_password=SecretStr("a password of nobody"),
    )
    clock = ManualClock(4_102_444_800_000)  # the year 2100: MongoDB's clock finds nothing that has expired
    app = create_app(settings, clock=clock)
    async with (
        Redis.from_url(redis_url) as redis,
        app.router.lifespan_context(app),
        callers(settings, app.state.service.resources.identity.tenants._db, redis, clock) as everybody,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api", timeout=30) as http,
    ):
        yield Walk(app, http, everybody)


async def test_every_route_asks_for_what_the_table_says(walk: Walk) -> None:
    assert len(walk.routes) > 50
    assert set(walk.routes) == {key for key in walk.table.rows if key[0] != MOUNT}
    found = await walk.differences()
    assert not found, "\n".join(f"{route} for {one}" for route, one in found)


async def test_every_caller_may_something_and_is_refused_something(walk: Walk) -> None:
    """The test above would also pass if nobody could ever do anything, or everybody everything."""
    needs = {need_of(method, path) for method, path in walk.routes}
    for caller in walk.callers:
        asked = {caller.refused(need, tenant) for need in needs for tenant in TENANTS}
        assert None in asked
        if caller.role is not Role.SUPERADMIN:
            assert {401} <= asked if caller.rule else {403} <= asked
        if caller.role not in (Role.SUPERADMIN, Role.SUPPORT) and not caller.rule:
            assert 404 in asked


GUARDED = [("GET", "/api/series"), ("POST", "/admin/tenants/{tenant}/keys"), ("GET", "/admin/users")]


@pytest.mark.parametrize("route", GUARDED)
@pytest.mark.parametrize(
    "instead",
    [Access(None), Access(None, signed_in=True), Access(P.HISTORY_IMPORT), Access(P.HISTORY_IMPORT, platform=True)],
)
async def test_a_route_that_asks_for_something_else_is_found(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, route: tuple[str, str], instead: Access
) -> None:
    monkeypatch.setitem(walk.table.rows, route, instead)
    assert await walk.differences(route)


async def test_a_route_that_asks_nobody_is_found(walk: Walk) -> None:
    async def open_to_all() -> None: ...

    walk.app.add_api_route("/api/open", open_to_all, methods=["GET"])
    assert ("GET", "/api/open") in walk.routes
    assert {one.expected for _, one in await walk.differences(("GET", "/api/open"))} == {401, 403, 404}
    with pytest.raises(ValueError, match="GET /api/open"):
        walk.table.check_complete(walk.app.routes)
