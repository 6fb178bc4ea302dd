"""WebSockets over a real socket: what stands on undocumented parts of uvicorn and websockets. What strangers send to
them is tried in the tests of push."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from vigie_runtime.settings import HttpSettings
from vigie_web.close_codes import CloseCode, Closing
from vigie_web.connection import STREAM
from vigie_web.server import config
from vigie_web.websocket import WebSocketLimits, wire_of
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

SETTINGS = HttpSettings(
    kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    wire = wire_of(scope)
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        if text == "end":
            wire.end(Closing(CloseCode.NOT_ALLOWED, "é" * 200))
        elif text.isdecimal():
            await wire.send_texts([b"x" * int(text), b"y"])
        else:
            await send({"type": "websocket.send", "text": text})


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["path"] != "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    scope[STREAM] = True
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def served(limits: WebSocketLimits | None, most: int = 100) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    made = config(app, SETTINGS, "127.0.0.1", 0, most, websockets=limits)
    made.lifespan = "off"
    server = uvicorn.Server(made)
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server._serve([listening]))
    try:
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(10):
            await task
        listening.close()


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_texts_of_every_length_arrive(length: int) -> None:
    async with served(WebSocketLimits()) as (_, port), connect(f"ws://127.0.0.1:{port}/") as client:
        await client.send(str(length))
        assert (await client.recv(), await client.recv()) == ("x" * length, "y")
        await client.send("back")
        assert await client.recv() == "back"


async def test_an_end_arrives_with_as_much_of_its_reason_as_fits() -> None:
    async with served(WebSocketLimits()) as (server, port), connect(f"ws://127.0.0.1:{port}/") as client:
        await client.send("end")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (CloseCode.NOT_ALLOWED, "é" * 61)
        async with asyncio.timeout(5):
            while server.server_state.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_nothing_is_compressed() -> None:
    async with served(WebSocketLimits()) as (_, port), connect(f"ws://127.0.0.1:{port}/") as client:
        assert client.protocol.extensions == []


async def test_a_server_without_websockets_answers_as_if_none_was_asked_for() -> None:
    async with served(None) as (_, port):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/")
        assert refused.value.response.status_code == 200


async def test_a_websocket_over_the_limit_of_connections_is_told_so() -> None:
    async with served(WebSocketLimits(), most=1) as (_, port), connect(f"ws://127.0.0.1:{port}/"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "2"


async def test_a_page_of_a_foreign_origin_is_refused_and_one_with_a_foreign_host_too() -> None:
    async with served(WebSocketLimits()) as (_, port):
        for headers, status in (({"Origin": "https://evil.example"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{port}/", additional_headers=headers)
            assert refused.value.response.status_code == status
        async with connect(f"ws://127.0.0.1:{port}/", additional_headers={"Origin": f"http://127.0.0.1:{port}"}):
            pass


async def test_when_the_process_stops_clients_and_streams_are_ended() -> None:
    async with served(WebSocketLimits()) as (server, port), connect(f"ws://127.0.0.1:{port}/") as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await reader.readuntil(b"first")
        server.should_exit = True
        async with asyncio.timeout(5):
            await reader.read()
            await client.wait_closed()
        assert client.close_code == CloseCode.GOING_AWAY
        writer.close()
