"""Every route of alerting, with every kind of caller, about the own, a foreign, and an unknown tenant: what is answered
is what the permission table says. What a route needs is written down here a second time, by path and method."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from vigie_alerting.app import create_app
from vigie_identity.permissions import Permission
from vigie_runtime.clients import Database
from vigie_web.access import MOUNT, declared

from services.alerting.tests.office import settings_for
from tests.kit.callers import ACME, TENANTS, Answer, Need, callers, difference

pytestmark = pytest.mark.connected

P = Permission
NEEDS: list[tuple[str, Permission | None, Permission | None]] = [
    (r"/api/alerts/(rules|channels).*", P.MONITORING_READ, P.MONITORING_CONFIGURE),
    (r"/api/alerts/\{alert\}/notifications/.*", None, P.MONITORING_CONFIGURE),
    (r"/api/alerts/\{alert\}/resolve", None, P.ALERTS_RESOLVE),
    (r"/api/alerts/\{alert\}/.*acknowledge", None, P.ALERTS_ACKNOWLEDGE),
    (r"/api/alerts.*|/api/v1/alerts", P.ALERTS_READ, None),
    (r"/api/v1/rules", P.ALERTS_READ_ALL, None),
    (r"/health(/.*)?|/internal/metrics|/api-docs|/docs.*|/redoc|/openapi.json", None, None),
]
"""For who reads, and who changes. The first that matches the whole path counts."""


def need_of(method: str, path: str) -> Need:
    read, change = next((read, change) for pattern, read, change in NEEDS if re.fullmatch(pattern, path))
    return Need(read if method == "GET" else change)


async def test_every_route_asks_for_what_the_table_says(
    database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    settings = settings_for(servers, database.name)
    app = create_app(settings)
    state: Any = app.state.service  # pyright: ignore[reportUnknownMemberType]
    routes = sorted(key for key in declared(app.routes) if key[0] != MOUNT)
    assert len(routes) > 20
    found: list[str] = []
    async with (
        Redis.from_url(redis_url) as redis,
        app.router.lifespan_context(app),
        callers(settings, state.resources.access.tenants._db, redis, state.clock) as everybody,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://alerting", timeout=30) as http,
    ):
        for caller in everybody:
            access = replace(state.resources.access, authenticator=caller.identity.authenticator)
            state.resources = replace(state.resources, access=access)
            for method, path in routes:
                need = need_of(method, path)
                for asked in (*TENANTS, None) if need.permission else (None,):
                    headers = {**caller.headers, **({"x-scope-orgid": asked} if asked else {})}
                    body: Any = {"json": {"no such field": 1}} if method in ("POST", "PUT", "PATCH") else {}
                    answer = await http.request(method, re.sub(r"\{\w+\}", "nothing", path), headers=headers, **body)
                    detail = (
                        answer.json().get("detail") or answer.json().get("error") if answer.status_code > 399 else None
                    )
                    one = difference(caller, need, asked or ACME, Answer(answer.status_code, detail))
                    found += [f"{method} {path} for {one}"] if one else []
    assert not found, "\n".join(found)
