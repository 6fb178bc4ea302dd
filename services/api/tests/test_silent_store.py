"""MongoDB that accepts connections and says nothing more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.series import Kind
from vigie_runtime.clock import ManualClock

from tests.kit import eventually

from .conftest import NOW

pytestmark = pytest.mark.connected


class Pausable:
    """A TCP proxy that can be told to say nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.talking = asyncio.Event()
        self.talking.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, ours), (theirs, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self.talking.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def pausable(uri: str) -> AsyncIterator[tuple[Pausable, str]]:
    """The proxy, and the URI that leads through it."""
    parts = urlsplit(uri)
    proxy = Pausable(parts.hostname or "", parts.port or 27017)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    user, at, _ = parts.netloc.rpartition("@")
    netloc = f"{user}{at}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    query = "&".join(part for part in parts.query.split("&") if part and not part.startswith("replicaSet"))
    query = f"{query}&directConnection=true".lstrip("&")
    try:
        yield proxy, urlunsplit((parts.scheme, netloc, parts.path or "/", query, ""))
    finally:
        proxy.talking.set()
        proxy.stop()
        server.close()


async def test_reads_give_up_within_three_seconds(settings: ApiSettings, world: Any, mongo_uri: str) -> None:
    await world.send([(world.key("m", Kind.GAUGE), NOW - 60_000, 1.0)])
    clock = ManualClock(NOW)
    async with pausable(mongo_uri) as (proxy, uri):
        app = create_app(settings.model_copy(update={"mongodb_uri": uri}), clock=clock)
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://api", timeout=60) as http,
        ):
            await eventually(lambda: app.state.service.resources.first_start.done)
            assert (await http.get("/api/query_range?metric=m")).status_code == 200
            proxy.talking.clear()
            clock.advance(60)
            for path in ("query_range?metric=m", "series?name=m", "series?nameRegex=m", "dashboard/summary"):
                began = time.monotonic()
                answer = await http.get(f"/api/{path}")
                assert answer.status_code == 503, path
                assert int(answer.headers["retry-after"]) > 0
                assert time.monotonic() - began < 3, path
            proxy.talking.set()

            async def well() -> bool:
                return (await http.get("/api/query_range?metric=m")).status_code == 200

            await eventually(well)
