"""The connection to Redis pub/sub, with a Redis that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from vigie_contracts.tenants import TenantId
from vigie_push.sources.redis_link import RedisLink, RedisSource
from vigie_runtime.clock import SystemClock

from services.push.tests.sinks import Noting


class Gate:
    """A way to Redis that can be closed, and that can hang."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._host, self._port = at.hostname or "127.0.0.1", at.port or 6379
        self._credentials = f"{at.username or ''}:{at.password}@" if at.password else ""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port_here = 0
        self.open_ = asyncio.Event()
        self.open_.set()

    @property
    def url(self) -> str:
        return f"redis://{self._credentials}127.0.0.1:{self._port_here}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port_here)
        self._port_here = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """End the connections; new ones are taken."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, back}
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self.open_.wait()
            writer.write(data)
        writer.close()


@asynccontextmanager
async def linked(gate: Gate, sink: Noting) -> AsyncIterator[RedisSource]:
    link = RedisLink(lambda: Redis.from_url(gate.url, retry=Retry(NoBackoff(), 0)), SystemClock())
    source = RedisSource(
        "things", link, sink, lambda tenant: f"things:{tenant}",
        lambda tenant: lambda data: sink.publish("things", tenant, data),
    )  # fmt: skip
    other = RedisSource("others", link, sink, str, lambda _: lambda _: None)
    tasks = [asyncio.create_task(one.run()) for one in (source, other)]
    yield source
    for one in (source, other):
        one.stop()
    await asyncio.gather(*tasks)


@pytest.fixture
async def gate(redis_url: str) -> AsyncIterator[Gate]:
    made = Gate(redis_url)
    await made.start()
    yield made
    made.open_.set()
    await made.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def test_messages_of_followed_tenants_come_and_after_a_loss_again(
    gate: Gate, redis: Redis, unique: Callable[[str], str]
) -> None:
    acme, rival, sink = TenantId(unique("acme")), TenantId(unique("rival")), Noting()
    async with linked(gate, sink) as source:
        await source.follow(acme)
        await redis.publish(f"things:{acme}", b"1")
        await redis.publish(f"things:{rival}", b"not followed")
        await sink.until(records=1)
        gate.drop()
        await sink.until(states=4)
        assert sorted(sink.states) == ["others away", "others back", "things away", "things back"]
        await redis.publish(f"things:{acme}", b"2")
        await source.follow(rival)
        await redis.publish(f"things:{rival}", b"3")
        await sink.until(records=3)
        await source.leave(acme)
        await redis.publish(f"things:{acme}", b"left")
        await redis.publish(f"things:{rival}", b"4")
        await sink.until(records=4)
    assert [(tenant, data) for _, tenant, data in sink.records] == [
        (acme, b"1"), (acme, b"2"), (rival, b"3"), (rival, b"4")
    ]  # fmt: skip


async def test_who_follows_while_redis_is_away_is_told_when_it_is_back(
    gate: Gate, redis: Redis, unique: Callable[[str], str]
) -> None:
    acme, sink = TenantId(unique("acme")), Noting()
    await gate.close()
    async with linked(gate, sink) as source:
        await source.follow(acme)
        await sink.until(states=2)
        await gate.start()
        await sink.until(states=4)
        await redis.publish(f"things:{acme}", b"1")
        await sink.until(records=1)


async def test_a_redis_that_hangs_is_away(
    gate: Gate, redis: Redis, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SILENT_S", 0.4), ("PING_S", 0.1), ("READ_S", 0.05)):
        monkeypatch.setattr(f"vigie_push.sources.redis_link.{name}", seconds)
    acme, sink = TenantId(unique("acme")), Noting()
    async with linked(gate, sink) as source:
        await source.follow(acme)
        await asyncio.sleep(0.6)
        assert sink.states == [], "silence that is answered is none"
        gate.open_.clear()
        await sink.until(states=2)
        gate.open_.set()
        await sink.until(states=4)
        await redis.publish(f"things:{acme}", b"1")
        await sink.until(records=1)
