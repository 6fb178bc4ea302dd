"""Answers over a real socket: joined, complete and in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from vigie_ingest.connection import Connection, JoinedWrites

BODY = b"0123456789"


class Recorder:
    """A transport that writes down what is done with it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def get_extra_info(self, name: str) -> str:
        return name


@pytest.fixture
async def pair() -> tuple[Recorder, JoinedWrites]:
    recorder = Recorder()
    return recorder, JoinedWrites(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_writes_of_one_turn_are_sent_as_one(pair: tuple[Recorder, JoinedWrites]) -> None:
    recorder, joined = pair
    joined.write(b"head")
    joined.write(b"body")
    assert recorder.done == []
    await turn()
    joined.write(b"next")
    await turn()
    assert recorder.done == [b"headbody", b"next"]


async def test_much_is_sent_at_once_and_in_order(pair: tuple[Recorder, JoinedWrites]) -> None:
    recorder, joined = pair
    large = bytes(1 << 20)
    joined.write(b"head")
    joined.write(large)
    assert recorder.done == [b"head" + large]
    await turn()
    assert len(recorder.done) == 1


async def test_close_sends_what_is_held_and_abort_does_not(pair: tuple[Recorder, JoinedWrites]) -> None:
    recorder, joined = pair
    joined.write(b"last")
    joined.close()
    joined.write(b"too late")
    await turn()
    assert recorder.done == [b"last", "close"]
    recorder.done.clear()
    joined.write(b"dropped")
    joined.abort()
    await turn()
    assert recorder.done == ["abort"]
    assert joined.get_extra_info("peername") == "peername"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    body = BODY * 100_000 if scope["path"] == "/large" else scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    if scope["path"] == "/close":
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=Connection, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    config.load()
    loop = asyncio.get_running_loop()
    state = uvicorn.server.ServerState()
    server = await loop.create_server(lambda: Connection(config, state, {}, loop), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def exchange(request: bytes) -> bytes:
    async with served() as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def test_pipelined_requests_are_answered_in_order_and_before_the_end() -> None:
    answer = await exchange(get("/first") + get("/second") + get("/close"))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.index(b"/first") < answer.index(b"/second") < answer.index(b"/close")


async def test_an_answer_larger_than_every_buffer_is_complete() -> None:
    answer = await exchange(get("/large") + get("/close"))
    assert answer.count(BODY) == 100_000
    assert answer.endswith(b"/close")
