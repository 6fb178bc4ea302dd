"""Live clients go on when a replica is killed, and when Redis is: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from vigie_contracts.alerts import AlertState, Transition, transition_id
from vigie_contracts.tenants import TenantId
from vigie_identity.identity import identity
from vigie_identity.settings import IdentitySettings
from vigie_runtime.clients import Database
from vigie_runtime.clock import SystemClock
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.live import LiveFeed, LiveTransitions
from vigie_storage.alerts.states import AlertStates, Move, StoredAlert
from websockets.asyncio.client import ClientConnection, connect

from tests.kit.processes import Spawner, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(180)]

TENANT = TenantId("default")
SECRET = "own-secret-" * 4
NOW = SystemClock().now_ms() - 60_000
"""The store forgets what is old."""


class Alerting:
    """One alert that is acknowledged and given back for ever: stored as alerting stores, and announced."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._ledger, self._states = Ledger(database), AlertStates(database)
        self._feed, self._state = LiveFeed(redis), StoredAlert("f" * 16, TENANT, "r", "", "high", NOW, None, 0, b"")
        self.steps: list[str] = []

    async def prepare(self) -> None:
        await self._ledger.prepare(timedelta(days=1))
        await self._states.prepare()

    async def step(self) -> None:
        sequence = len(self.steps) + 1
        state = AlertState.FIRING if sequence % 2 else AlertState.ACKNOWLEDGED
        after = StoredAlert("f" * 16, TENANT, "r", state.value, "high", NOW, None, sequence, b"")
        made = Transition(
            id=transition_id("f" * 16, NOW, sequence),
            fingerprint="f" * 16,
            tenant=TENANT,
            rule_id="r",
            rule_name="cpu_high",
            episode=f"{'f' * 16}-{NOW}",
            sequence=sequence,
            from_state=AlertState(self._state.state) if self._state.state else None,
            to_state=state,
            timestamp=NOW + sequence,
            reason="condition_met",
            starts_at=NOW,
            labels={"alertname": "cpu_high"},
        )
        move = Move(self._state if self._state.state else None, after)
        await self._ledger.store([made], [], lambda session: self._states.write([move], session))
        self._state = after
        self.steps.append(made.id)
        with suppress(RedisError, OSError):
            await self._feed.announce(TENANT, LiveTransitions(SystemClock().now_ms(), [made]))


class Client:
    """Subscribed to `alerts`; remembers what came, over all its connections."""

    def __init__(self, socket: ClientConnection, seen: list[str]) -> None:
        self._socket, self.seen = socket, seen
        self.cursor = ""

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await self._socket.recv())
            self.cursor = message.get("cursor", self.cursor)
            if message["type"] == "alert":
                self.seen.append(message["change"]["id"])
            if message["type"] == kind:
                return message

    async def up_to(self, step: str) -> None:
        while step not in self.seen:
            await self.until("alert")


@asynccontextmanager
async def subscribed(port: int, seen: list[str], after: str | None = None) -> AsyncIterator[Client]:
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as socket:
        await socket.send(json.dumps({"type": "subscribe", "channel": "alerts", "after": after}))
        client = Client(socket, seen)
        await client.until("subscribed")
        yield client


async def test_clients_go_on_when_a_replica_and_redis_are_killed(
    database: Database, kafka: str, own_servers: Servers, spawn: Spawner, unique: Callable[[str], str]
) -> None:
    redis_url = own_servers.start([Server.REDIS])[Server.REDIS].url
    name = unique("push")

    def replica() -> tuple[Any, int]:
        port = free_port()
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "REDIS_URL": redis_url,
            "VIGIE_MONGODB_DATABASE": database.name,
            "VIGIE_REPORTS_TOPIC": f"reports-{name}",
            "VIGIE_COMMANDS_TOPIC": f"commands-{name}",
            "VIGIE_SAMPLES_TOPIC": f"samples-{name}",
            "VIGIE_PARTITIONS": "2",
            "VIGIE_ANONYMOUS": "default:read",
            "VIGIE_JWT_SECRET": SECRET,
            "VIGIE_PUSH_HOST": "127.0.0.1",
            "VIGIE_PUSH_PORT": str(port),
        }
        return spawn.module("vigie_push", env=env, ready=http_ready(f"http://127.0.0.1:{port}/health/ready")), port

    async with Redis.from_url(redis_url) as redis:
        alerting, seen = Alerting(database, redis), list[str]()
        await alerting.prepare()
        servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": "mongodb://unused", "redis_url": redis_url}
        settings = IdentitySettings(**servers, jwt_secret=SecretStr(SECRET))
        async with identity(settings, database, redis, SystemClock()) as who:
            await who.prepare(TENANT)
        await alerting.step()
        (first, first_port), (_, second_port) = replica(), replica()

        async with subscribed(first_port, seen) as client:
            stands = await client.until("alerts")
            assert [(alert["status"], alert["type"]) for alert in stands["data"]] == [("active", "cpu_high")]
            await alerting.step()
            await client.up_to(alerting.steps[-1])
            cursor = client.cursor
            first.kill()
        await alerting.step()
        await alerting.step()  # of what was missed the last state counts
        async with subscribed(second_port, seen, cursor) as client:
            await client.up_to(alerting.steps[-1])
            await alerting.step()
            await client.up_to(alerting.steps[-1])

            server = own_servers.redis.process
            assert server is not None
            server.kill()
            await client.until("degraded")
            for _ in range(2):
                await alerting.step()
                await client.up_to(alerting.steps[-1])
            server.start()
            await client.until("restored")
            await alerting.step()
            await client.up_to(alerting.steps[-1])
    missed = alerting.steps[2]
    assert seen == [step for step in alerting.steps[1:] if step != missed]
