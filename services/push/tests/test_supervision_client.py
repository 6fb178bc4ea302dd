"""The client of the replaced server supervision, message by message as its documentation has it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from bson import Int64
from vigie_contracts.payloads import payloads
from vigie_contracts.reports import Report
from vigie_contracts.topics import REPORTS
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push.channels.hosts import ServerChannel, ServicesChannel, SiteChannel
from vigie_push.channels.report_feed import ReportSources
from vigie_storage.hosts.totals import Totals
from websockets.asyncio.client import connect

from .served import TENANT, Served, served

HOST = msgspec.json.decode(next(one.data for one in payloads(REPORTS.name) if one.name == "v1-host.json"), type=Report)
SUBSCRIPTIONS = (
    {"type": "subscribe", "channel": "server"},
    {"type": "subscribe", "channel": "site", "siteId": "shop"},
    {"type": "subscribe", "channel": "alerts"},
    {"type": "subscribe", "channel": "services", "siteId": "shop"},
)


class _Nobody:
    def __getitem__(self, _name: str) -> Any:
        return None


@dataclass
class Stored:
    """In the place of what is read of the store."""

    reports: list[Report] = field(default_factory=list[Report])

    async def of(self, _tenant: str, _kind: str, subject: str, limit: int, since_ms: int | None = None) -> list[Report]:
        known = [one for one in self.reports if one.subject == subject and one.timestamp >= (since_ms or 0)]
        return known[-limit:]

    async def names(self, _tenant: str, limit: int) -> list[str]:
        return sorted({one.subject for one in self.reports})[:limit]


class _Sites:
    async def get(self, _tenant: str, site: str) -> Any:
        return SimpleNamespace(host="web-1") if site in ("shop", "blog") else None


class _Totals:
    async def of(self, _tenant: str, _host: str) -> Totals:
        return Totals(sites=2, users=3)


class _Quiet:
    name = "reports"

    async def run(self) -> None: ...
    def stop(self) -> None: ...
    async def follow(self, _tenant: str) -> None: ...
    async def leave(self, _tenant: str) -> None: ...


def person(role: Role, *sites: str) -> Principal:
    assignment = Assignment.of(TENANT, role, sites=frozenset(sites))
    return Principal(PrincipalKind.USER, role.value, role.value, assignments=assigned(assignment))


def supervised(live: Served, stored: Stored) -> None:
    """The channels of hosts, over doubles, and a token for each role."""
    recent: Any = SimpleNamespace(of=lambda *_: [])
    resources: Any = SimpleNamespace(database=_Fake(), recent_reports=recent)
    made: list[Any] = [kind(resources) for kind in (ServerChannel, SiteChannel, ServicesChannel)]
    for channel in made:
        channel._newest, channel._sites, channel._totals = stored, _Sites(), _Totals()
        channel._reports = ReportSources(stored, recent)  # type: ignore[arg-type]
    live.hub.channels = {**live.hub.channels, **{channel.name: channel for channel in made}}
    live.hub.add_source(_Quiet())
    callers = {
        b"admin": person(Role.ADMIN),
        b"user": person(Role.USER, "shop"),
        b"other": person(Role.USER, "blog"),
    }

    async def credential(sent: bytes, _quota: object = None) -> Principal:
        return callers[sent]

    live.callers.credential = credential  # type: ignore[method-assign]


class _Fake:
    def __getitem__(self, _name: str) -> Any:
        return SimpleNamespace()


def later(number: int) -> Report:
    body = HOST.body | {"uptime": float(number)}
    return Report(f"r-{number}", TENANT, "host", "web-1", HOST.timestamp + number, body)


class Browser:
    """What `ws.onmessage` is given, by type."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def message(self, *types: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while (found := json.loads(await self._socket.recv()))["type"] not in types:
                continue
        return found


async def test_its_client_is_told_everything_at_every_collection() -> None:
    async with served() as live:
        stored = Stored([later(1)])
        supervised(live, stored)
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token=admin") as socket:
            browser = Browser(socket)
            for one in SUBSCRIPTIONS:
                await socket.send(json.dumps(one))
            first = {
                (await browser.message("serverStats", "siteStats", "serviceStatus", "alert"))["type"] for _ in range(4)
            }
            assert first == {"serverStats", "siteStats", "serviceStatus", "alert"}
            live.hub.publish("reports", TENANT, later(2))
            told = {}
            for _ in range(3):
                message = await browser.message("serverStats", "siteStats", "serviceStatus")
                told[message["type"]] = message
            assert told["serverStats"]["data"]["uptime"] == 2
            assert told["serverStats"]["data"]["totals"] == {
                "sites": 2, "services": 3, "users": 3, "servicesRunning": 2,
            }  # fmt: skip
            site = told["siteStats"]
            assert (site["siteId"], site["data"]["memory"]["usedBytes"]) == ("shop", 268435456)
            services = told["serviceStatus"]["data"]
            assert (services["total"], services["failed"], services["services"][0]["name"]) == (2, 1, "twoine-shop-api")
            live.alert(4)
            assert (await browser.message("alert"))["name"] == "alert 4"
            census = live.hub.census(TENANT)
            assert (census.clients, census.topics) == (1, 4)
            assert census.channels == {"alerts": 1, "server": 1, "services": 1, "site": 1}


@pytest.mark.parametrize(
    ("token", "asked", "code"),
    [
        ("user", {"channel": "server"}, "forbidden"),
        ("user", {"channel": "site", "siteId": "blog"}, "not-found"),
        ("user", {"channel": "services", "siteId": "blog"}, "not-found"),
        ("user", {"channel": "services"}, "forbidden"),
        ("other", {"channel": "site", "siteId": "shop"}, "not-found"),
        ("admin", {"channel": "site", "siteId": "nowhere"}, "not-found"),
        ("admin", {"channel": "site"}, "invalid-request"),
        ("admin", {"channel": "site", "siteId": "../etc"}, "invalid-request"),
    ],
)
async def test_nobody_subscribes_to_what_they_may_not_see(token: str, asked: dict[str, Any], code: str) -> None:
    async with served() as live:
        supervised(live, Stored([later(1)]))
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token={token}") as socket:
            await socket.send(json.dumps({"type": "subscribe", **asked}))
            assert (await Browser(socket).message("error"))["code"] == code


async def test_who_is_assigned_to_a_site_is_told_of_it() -> None:
    async with served() as live:
        supervised(live, Stored([later(1)]))
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token=user") as socket:
            await socket.send(json.dumps(SUBSCRIPTIONS[1]))
            assert (await Browser(socket).message("siteStats"))["data"]["services"]["total"] == 2


async def test_without_a_host_the_first_that_reports_is_the_one() -> None:
    async with served() as live:
        stored = Stored()
        supervised(live, stored)
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token=admin") as socket:
            browser = Browser(socket)
            await socket.send(json.dumps(SUBSCRIPTIONS[0]))
            await browser.message("subscribed")
            live.hub.publish("reports", TENANT, later(1))
            assert (await browser.message("serverStats"))["data"]["host"] == "web-1"


async def test_numbers_that_mongodb_keeps_in_64_bits_are_told_as_they_are() -> None:
    async with served() as live:
        memory = {"total": Int64(16 * 10**9), "used": Int64(8 * 10**9), "percent": 50.0}
        supervised(live, Stored([Report("r", TENANT, "host", "web-1", HOST.timestamp, HOST.body | {"memory": memory})]))
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token=admin") as socket:
            await socket.send(json.dumps(SUBSCRIPTIONS[0]))
            told = await Browser(socket).message("serverStats")
            assert told["data"]["memory"]["total"] == 16 * 10**9


async def test_of_several_hosts_one_must_be_named() -> None:
    async with served() as live:
        supervised(live, Stored([later(1), Report("x", TENANT, "host", "web-2", 1, HOST.body)]))
        async with connect(f"ws://127.0.0.1:{live.port}/ws?token=admin") as socket:
            browser = Browser(socket)
            await socket.send(json.dumps(SUBSCRIPTIONS[0]))
            refused = await browser.message("error", "subscribed")
            assert (refused["type"], refused["field"]) == ("error", "host")
            assert "web-1, web-2" in refused["message"]
            await socket.send(json.dumps({**SUBSCRIPTIONS[0], "host": "web-1"}))
            assert (await browser.message("serverStats"))["data"]["host"] == "web-1"


async def test_who_sees_the_server_sees_how_many_listen_and_nobody_else_does() -> None:
    async with served() as live:
        supervised(live, Stored([later(1)]))
        callers: dict[str, Principal] = {
            "admin": person(Role.ADMIN),
            "user": person(Role.USER, "shop"),
            "readonly": person(Role.READONLY, "shop"),
        }

        async def authenticate(headers: list[tuple[bytes, bytes]], _quota: object = None) -> Principal:
            token = dict(headers).get(b"authorization", b"").decode().removeprefix("Bearer ")
            return callers.get(token) or await live.callers.anonymous()

        live.callers.authenticate = authenticate  # type: ignore[attr-defined]
        async with (
            connect(f"ws://127.0.0.1:{live.port}/ws?token=admin") as socket,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{live.port}", trust_env=False) as http,
        ):
            await socket.send(json.dumps(SUBSCRIPTIONS[0]))
            await Browser(socket).message("serverStats")
            answers = {
                name: await http.get("/stats/websocket", headers={"authorization": f"Bearer {name}"})
                for name in (*callers, "nobody")
            }
        assert {name: one.status_code for name, one in answers.items()} == {
            "admin": 200, "user": 403, "readonly": 403, "nobody": 401,
        }  # fmt: skip
        said = answers["admin"].json()
        assert (said["connections"], said["channels"]) == (1, {"server": 1})
