"""Redis pub/sub: one connection for all sources and tenants of the process, which comes back by itself."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of

from vigie_push.sources.base import Sink

log = logging.get(__name__)

READ_S: Final = 0.5
PING_S: Final = 2.0
SILENT_S: Final = 5.0
"""A connection on which nothing is heard for so long, not even an answer to a ping, is dead."""
FOLLOW_S: Final = 2.0
"""How long a subscription waits for Redis to confirm it; its records come later then."""
_BACKOFF: Final = Backoff(0.1, 3.0)
_ALIVE: Final = "vigie::push"
"""A channel of nobody's: a connection that is subscribed to something can be pinged."""
_BATCH: Final = 500

Handler: TypeAlias = Callable[[bytes], None]


class _Session(PubSub):
    """One connection: `ended` when the client has made another one by itself, between which messages were lost."""

    ended = False

    async def on_connect(self, connection: Any) -> None:
        """Called for every connection but the first."""
        self.ended = True


class RedisLink:
    """The connection. `run` in a task; several sources may run it, the first does the work."""

    def __init__(self, client: Callable[[], Redis], clock: Clock) -> None:
        """`client` makes one that does not try again by itself (`clients.redis_pubsub`)."""
        self._client, self._clock = client, clock
        self._handlers: dict[str, Handler] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._watchers: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._session: _Session | None = None
        """None while Redis is away."""
        self._away = False
        self._known = asyncio.Event()
        """Set once it is known whether Redis is there."""
        self._running = False
        self._stopped = asyncio.Event()

    def watch(self, away: Callable[[], None], back: Callable[[], None]) -> None:
        """Be told that messages may be lost from now on, and that they come again."""
        self._watchers.append((away, back))

    async def add(self, channel: str, handler: Handler) -> None:
        """Give the messages of a channel to `handler`, which must neither wait nor fail. Returns when they come; while
        Redis is away at once."""
        self._handlers[channel] = handler
        confirmed = self._confirmed[channel] = asyncio.Event()
        with suppress(RedisError, OSError, TimeoutError):  # `run` notices by itself that the connection is gone
            async with asyncio.timeout(FOLLOW_S):
                await self._known.wait()
                if self._session is not None:
                    await self._session.subscribe(channel)
                    await confirmed.wait()

    async def remove(self, channel: str) -> None:
        """No more of a channel."""
        self._handlers.pop(channel, None)
        self._confirmed.pop(channel, None)
        if self._session is not None:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(FOLLOW_S):
                    await self._session.unsubscribe(channel)

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopped.set()

    async def run(self) -> None:
        """Until `stop`."""
        if self._running:
            await self._stopped.wait()
            return
        self._running = True
        failures = 0
        while not self._stopped.is_set():
            client = self._client()
            session = _Session(client.connection_pool)
            try:
                await self._connect(session)
                failures = 0
                await self._listen(session)
            except (RedisError, OSError, TimeoutError) as e:
                failures += 1
                self._lost(e)
            finally:
                self._session = None
                with suppress(RedisError, OSError):
                    await session.aclose()
                    await client.aclose()
            if not self._stopped.is_set():
                await self._pause(_BACKOFF.pause_s(failures or 1))

    async def _connect(self, session: _Session) -> None:
        """Subscribe to everything, and wait until Redis has said so."""
        async with asyncio.timeout(SILENT_S):
            wanted = [_ALIVE, *self._handlers]
            for start in range(0, len(wanted), _BATCH):
                await session.subscribe(*wanted[start : start + _BATCH])
            missing = set(wanted)
            while missing:
                message = await session.get_message(timeout=READ_S)
                if message is not None:
                    self._take(message)
                    missing.discard(_text(message["channel"]) if message["type"] == "subscribe" else "")
        self._session = session
        self._known.set()
        if late := self._handlers.keys() - set(wanted):
            await session.subscribe(*late)
        if self._away:
            self._away = False
            log.info("Redis announces again")
            for _, back in self._watchers:
                back()

    async def _listen(self, session: _Session) -> None:
        heard = pinged = self._clock.monotonic()
        while not self._stopped.is_set():
            message = await session.get_message(timeout=READ_S)
            if session.ended:
                raise ConnectionError("the connection was lost")
            now = self._clock.monotonic()
            if message is not None:
                heard = now
                self._take(message)
            elif now - heard > SILENT_S:
                raise TimeoutError("nothing was heard")
            if now - pinged >= PING_S:
                pinged = now
                async with asyncio.timeout(SILENT_S):
                    await session.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            handler = self._handlers.get(_text(message["channel"]))
            if handler is not None:
                handler(message["data"])
        elif message["type"] == "subscribe":
            confirmed = self._confirmed.pop(_text(message["channel"]), None)
            if confirmed is not None:
                confirmed.set()

    def _lost(self, error: Exception) -> None:
        self._known.set()
        if not self._away:
            self._away = True
            log.warning("Redis does not announce", reason=reason_of(error))
            for away, _ in self._watchers:
                away()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


class RedisSource:
    """A source: the messages of one Redis channel for each tenant."""

    def __init__(
        self,
        name: str,
        link: RedisLink,
        sink: Sink,
        channel: Callable[[TenantId], str],
        handler: Callable[[TenantId], Handler],
    ) -> None:
        """`handler` makes what takes the messages of a tenant; it must neither wait nor fail."""
        self._name, self._link, self._channel, self._handler = name, link, channel, handler
        link.watch(lambda: sink.degraded(name), lambda: sink.restored(name))

    @property
    def name(self) -> str:
        return self._name

    async def run(self) -> None:
        """See `Source`."""
        await self._link.run()

    def stop(self) -> None:
        """See `Source`."""
        self._link.stop()

    async def follow(self, tenant: TenantId) -> None:
        """See `Source`."""
        await self._link.add(self._channel(tenant), self._handler(tenant))

    async def leave(self, tenant: TenantId) -> None:
        """See `Source`."""
        await self._link.remove(self._channel(tenant))


def _text(channel: bytes | str) -> str:
    return channel.decode() if isinstance(channel, bytes) else channel


def json_source(
    name: str, link: RedisLink, sink: Sink, channel: Callable[[TenantId], str], decoder: msgspec.json.Decoder[Any]
) -> RedisSource:
    """A source whose records are what the decoder reads; what it cannot read is logged."""

    def handler(tenant: TenantId) -> Handler:
        def take(data: bytes) -> None:
            try:
                record = decoder.decode(data)
            except msgspec.MsgspecError as e:
                log.warning("a live message cannot be read", source=name, reason=reason_of(e))
                return
            sink.publish(name, tenant, record)

        return take

    return RedisSource(name, link, sink, channel, handler)
