"""Every route of the gateway, with every kind of caller, about the own, a foreign, and an unknown tenant: what is
answered is what the permission table says. Who asks is known from real MongoDB and Redis; the bus is a double."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from redis.asyncio import Redis
from vigie_identity.permissions import Permission
from vigie_ingest import admission, intakes
from vigie_ingest.admission import Headers
from vigie_ingest.intake import Intake
from vigie_ingest.responses import Response
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import ProblemError

from tests.kit.callers import ACME, SECRET, TENANTS, Answer, Caller, Difference, Need, callers, difference

from .conftest import Gateway, build, settings
from .test_add_an_intake import DRAFT

pytestmark = pytest.mark.connected

INTAKES = (*intakes.INTAKES, DRAFT)
"""The how-to's too, whose errors have a form of their own."""
WRITE = Need(Permission.DATA_WRITE)
NEEDS: dict[str, Need] = {
    "POST /api/metrics/custom": WRITE,
    "POST /api/metrics/business": WRITE,
    "POST /api/metrics/batch": WRITE,
    "POST /api/events": WRITE,
    "POST /telemetry": Need(Permission.TELEMETRY_SEND),
    "POST /api/apps/{appId}/metrics": Need(Permission.APPS_SEND),
    "POST /api/import/telemetry": Need(Permission.HISTORY_IMPORT, platform=True),
    "GET /health": Need(),
    "GET /health/live": Need(),
    "GET /health/ready": Need(),
    "GET /metrics": Need(),
    "GET /docs": Need(),
    "GET /docs/oauth2-redirect": Need(),
    "GET /redoc": Need(),
    "GET /openapi.json": Need(),
}
DECLARED = {
    f"{one.method} {one.path}": Need(one.admission.permission, platform=one.admission.needs_credential)
    for one in INTAKES
}
for _route, _need in DECLARED.items():
    NEEDS.setdefault(_route, _need)  # a new intake need not be listed above, but does what it declares


@dataclass
class Walk:
    """A gateway, and everybody who sends to it."""

    gateway: Gateway
    callers: tuple[Caller, ...]
    said: list[ProblemError]
    """What the last request is refused for: each intake may answer it in a form of its own."""

    @property
    def routes(self) -> set[str]:
        """As `POST /path`: those of FastAPI, and those that requests are handed to before it."""
        rest = iter_route_contexts(self.gateway.app._rest.routes)
        slow = {(method, route.path) for route in rest for method in (route.methods or set[str]()) - {"HEAD"}}
        found = {f"{method} {path}" for method, path in slow | set(self.gateway.app._exact)}
        return {route.replace(":path}", "}") for route in found}

    async def differences(self, *routes: str) -> list[tuple[str, Difference]]:
        """What is answered otherwise than it should be."""
        found: list[tuple[str, Difference]] = []
        for route in routes or sorted(self.routes):
            need = NEEDS[route]
            for caller in self.callers:
                who = caller.identity
                access = replace(
                    self.gateway.resources.access, authenticator=who.authenticator, known_tenants=who.known_tenants
                )
                self.gateway.change(access=access)
                self.gateway.resources.pipeline.tenants = who.known_tenants
                for tenant in TENANTS if need.permission and not need.platform else (ACME,):
                    one = difference(caller, need, tenant, await self._ask(route, caller, tenant))
                    found += [(route, one)] if one else []
        return found

    async def _ask(self, route: str, caller: Caller, tenant: str) -> Answer:
        """Nothing is sent on: the body is none that is taken. That of telemetry names the tenant."""
        method, _, path = route.partition(" ")
        headers = {**caller.headers, "x-scope-orgid": tenant, "content-type": "application/json"}
        body = json.dumps({"tenantId": tenant}).encode() if path == "/telemetry" else b"{"
        reply = await self.gateway.request(method, path, body if method == "POST" else b"", headers)
        return Answer(reply.status, self.said.pop().detail if self.said else None)


def overheard(intake: Intake[Any, Any], said: list[ProblemError]) -> Intake[Any, Any]:
    """The same; its errors are also put into the list."""

    def encode_error(error: ProblemError, path: str, headers: Headers) -> Response:
        said.append(error)
        return intake.encode_error(error, path, headers)

    return replace(intake, encode_error=encode_error)


@pytest_asyncio.fixture(loop_scope="session")
async def walk(database: Any, mongo_uri: str, redis_url: str) -> AsyncIterator[Walk]:
    chosen = settings(default_tenant=ACME, jwt_secret=SecretStr(SECRET)).model_copy(
        update={"mongodb_uri": mongo_uri, "mongodb_database": database.name, "redis_url": redis_url}
    )
    clock = ManualClock(4_102_444_800_000)  # the year 2100: MongoDB's clock finds nothing that has expired
    said: list[ProblemError] = []
    gateway = build(default_tenant=ACME, intakes=[overheard(intake, said) for intake in INTAKES])
    async with (
        clients.mongo(chosen) as mongo,
        Redis.from_url(redis_url) as redis,
        callers(chosen, clients.database(mongo, chosen), redis, clock) as everybody,
    ):
        yield Walk(gateway, everybody, said)
    await gateway.registrar.close()


async def test_every_route_asks_for_what_the_table_says(walk: Walk) -> None:
    assert set(NEEDS) == walk.routes
    assert {route: need for route, need in NEEDS.items() if need.permission} == DECLARED
    found = await walk.differences()
    assert not found, "\n".join(f"{route} for {one}" for route, one in found)
    assert walk.gateway.publisher.sent == []


@pytest.mark.parametrize("instead", [Permission.METRICS_READ, Permission.TELEMETRY_SEND, Permission.HISTORY_IMPORT])
async def test_a_route_that_asks_for_something_else_is_found(walk: Walk, instead: Permission) -> None:
    route = walk.gateway.app._exact["POST", "/api/events"]
    route.intake = replace(route.intake, admission=admission.of_caller(instead))
    assert {route for route, _ in await walk.differences()} == {"POST /api/events"}


async def test_a_route_that_asks_nobody_is_found(walk: Walk) -> None:
    route = walk.gateway.app._exact["POST", "/api/metrics/batch"]
    nobody = admission.Admission(Permission.DATA_WRITE, lambda *_: ACME)
    route.intake = replace(route.intake, admission=nobody)
    found = await walk.differences("POST /api/metrics/batch")
    assert {one.expected for _, one in found} == {401, 403, 404}
