"""Walks every route of a service with every kind of caller, about the own, a foreign and an unknown tenant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
from fastapi import FastAPI
from redis.asyncio import Redis
from vigie_web.access import MOUNT, declared
from vigie_web.access_control import AccessSettings

from tests.kit.callers import ACME, TENANTS, Answer, Need, callers, difference


async def differences(
    app: FastAPI, settings: AccessSettings, redis_url: str, need_of: Callable[[str, str], Need]
) -> list[str]:
    """What is answered otherwise than the permission table says; `need_of`: what a method and path ask for. The app is
    not connected yet, and callers without a credential may do nothing in it."""
    state: Any = app.state.service  # pyright: ignore[reportUnknownMemberType]
    routes = sorted(key for key in declared(app.routes) if key[0] != MOUNT)
    assert len(routes) > 20
    found: list[str] = []
    async with (
        Redis.from_url(redis_url) as redis,
        app.router.lifespan_context(app),
        callers(settings, state.resources.access.tenants._db, redis, state.clock) as everybody,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service", timeout=30) as http,
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
                    said = answer.json() if answer.status_code > 399 else {}
                    told = Answer(answer.status_code, _sentence(said))
                    one = difference(caller, need, asked or ACME, told)
                    found += [f"{method} {path} for {one}"] if one else []
    return found


def _sentence(said: Any) -> str | None:
    """What an error says, in whichever shape: problem details, Prometheus', Alertmanager's."""
    return said if isinstance(said, str) else said.get("detail") or said.get("error") or said.get("message")
