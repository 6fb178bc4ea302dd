"""/metrics while MongoDB takes connections and questions, and never answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pymongo.uri_parser import parse_uri
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.latest import hash_key
from vigie_contracts.series import Kind
from vigie_runtime.clock import ManualClock

from tests.kit.wait import eventually

from .conftest import NOW

pytestmark = pytest.mark.connected
DEADLINE_S = 3.0


class Relay:
    """Passes bytes on between clients and a server, but none while it is paused."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._server)
        for copy in (self._copy(reader, far_writer), self._copy(far_reader, writer)):
            task = asyncio.create_task(copy)
            self._tasks.add(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def api_behind(relay: Relay, settings: ApiSettings, clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    async with relay.listening() as port:
        credentials, _, _ = settings.mongodb_uri.rpartition("//")[2].rpartition("@")
        options = settings.mongodb_uri.partition("?")[2]
        kept = [option for option in options.split("&") if option and not option.startswith("replicaSet=")]
        uri = (
            f"mongodb://{credentials + '@' if credentials else ''}127.0.0.1:{port}/"
            f"?{'&'.join([*kept, 'directConnection=true'])}"
        )
        app = create_app(settings.model_copy(update={"mongodb_uri": uri}), clock=clock)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
        ):
            await eventually(lambda: app.state.service.resources.first_start.done)
            yield http


async def timely(question: Callable[[], Awaitable[Any]]) -> Any:
    began = time.monotonic()
    answer = await question()
    assert time.monotonic() - began < DEADLINE_S
    return answer


async def test_known_series_are_shown_in_time_while_mongodb_hangs(world: Any, settings: ApiSettings) -> None:
    (server,) = parse_uri(settings.mongodb_uri)["nodelist"]
    relay, clock = Relay(*server), ManualClock(NOW)
    await world.send([(world.key("users", Kind.GAUGE, service="a"), NOW, 42.0)])
    line = 'users{service="a"} 42.0\n'
    async with api_behind(relay, settings, clock) as http:
        answer = await http.get("/metrics")
        assert line in answer.text
        assert "warning" not in answer.headers

        relay.flowing.clear()
        clock.advance(7)  # past what is kept of the catalogue
        answer = await timely(lambda: http.get("/metrics"))
        assert line in answer.text
        missing = "series are missing that were sent for the first time in the last 7 s"
        assert answer.text.startswith(f"# MongoDB does not answer: {missing}\n")
        assert answer.headers["warning"].startswith("110 vigie")
        clock.advance(1)
        open_metrics = await timely(lambda: http.get("/metrics", headers={"accept": "application/openmetrics-text"}))
        assert (open_metrics.text, "warning" in open_metrics.headers) == (f"# TYPE users gauge\n{line}# EOF\n", True)

        await world.redis.delete(hash_key(world.tenant))
        assert (await timely(lambda: http.get("/metrics"))).status_code == 503

        relay.flowing.set()
        clock.advance(1)
        answer = await http.get("/metrics")
        assert line in answer.text
        assert "warning" not in answer.headers
