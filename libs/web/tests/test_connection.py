"""Answers over a real socket: joined, complete and in order."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from vigie_web.connection import Connection, respond

BODY = b"0123456789"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/refused":  # without reading
        await send({"type": "http.response.start", "status": 413, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"too large"})
        return
    if scope["method"] == "POST":
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        await asyncio.sleep(0.05)  # work, during which the sender can close its side
        status = 201 if message["type"] == "http.request" else 500
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    body = BODY * 100_000 if scope["path"] == "/large" else scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    if scope["path"] == "/close":
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answered_at_once(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["method"] == "POST":
        await receive()
    status, body = (204, b"") if scope["path"] == "/nothing" else (200, scope["path"].encode())
    headers = [(b"content-type", b"text/plain")]
    if status == 200:
        headers.append((b"content-length", str(len(body)).encode()))
    if scope["path"] == "/close":
        headers.append((b"connection", b"close"))
    if scope["path"] == "/injected":
        headers.append((b"x-said", b"a\r\nset-cookie: b"))
    await respond(send, status, headers, body)


async def answered_in_two_messages(scope: dict[str, Any], receive: Any, send: Any) -> None:
    async def wrapped(message: Any) -> None:
        await send(message)

    await answered_at_once(scope, receive, wrapped)


class Impatient(Connection):
    head_timeout_s = 0.3
    linger_s = 0.3


@asynccontextmanager
async def served(limit: int | None = 100, kind: type[Connection] = Connection, served: Any = app) -> AsyncIterator[int]:
    """A real uvicorn on a free port."""
    config = uvicorn.Config(served, http=kind, ws="none", lifespan="off", log_config=None, limit_concurrency=limit)  # type: ignore[arg-type]
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listening.close()


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def connected(**how: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with served(**how) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()


def said(answer: bytes, status: int, type_: str) -> dict[str, str]:
    """The headers of an answer that is a complete problem document, and nothing else."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert first.startswith(f"HTTP/1.1 {status} "), answer
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body)
    assert headers["connection"] == "close"
    document = json.loads(body)
    assert (document["status"], document["type"]) == (status, f"/problems/{type_}")
    assert document["detail"]
    return headers


async def exchange(request: bytes, **how: Any) -> bytes:
    async with served(**how) as port, asyncio.timeout(20):
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


async def test_sender_that_has_closed_its_side_gets_its_answer() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        writer.write_eof()
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "request_",
    [
        get("/close"),
        get("/one") + get("/nothing") + get("/close"),
        b"HEAD /one HTTP/1.1\r\nhost: x\r\n\r\n" + get("/close"),
        b"GET /old HTTP/1.0\r\nhost: x\r\n\r\n",
        b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"POST /all HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}" + get("/close"),
    ],
)
async def test_answer_in_one_step_is_that_in_two_messages_byte_for_byte(request_: bytes) -> None:
    at_once, in_two = [
        re.sub(rb"date: [^\r]*\r\n", b"", await exchange(request_, served=how))
        for how in (answered_at_once, answered_in_two_messages)
    ]
    assert at_once == in_two
    assert at_once.count(b"HTTP/1.1 2") == request_.count(b"host: x")


@pytest.mark.parametrize("served_by", [answered_at_once, answered_in_two_messages])
async def test_header_of_an_answer_cannot_become_two(served_by: Any) -> None:
    answer = await exchange(get("/injected") + get("/close"), served=served_by)
    assert b"set-cookie" not in answer
    assert b"/injected" not in answer


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{"])
async def test_sender_that_closes_in_the_middle_is_let_go(sent: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""


@pytest.mark.parametrize("size", [70_000, 3_000_000])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
@pytest.mark.parametrize("before", [b"", get("/first")])
async def test_long_headers_get_431(size: int, end: bytes, before: bytes) -> None:
    if size == 70_000 and not end:
        size *= 5  # what is not complete may be one chunk longer
    async with connected() as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"/first")
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"y" * size + end)
        said(await reader.read(), 431, "too-large")


async def test_many_headers_get_431_and_many_bytes_of_body_do_not() -> None:
    async with connected() as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n" + bytes(900_000) + b"POST / HTTP/1.1\r\nx:"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201 ")
        writer.write(b" y\r\n" + b"x: y\r\n" * 20_000)
        said(await reader.read(), 431, "too-large")


async def test_silent_connection_is_closed() -> None:
    async with connected(kind=Impatient) as (reader, _):
        assert await reader.read() == b""


@pytest.mark.parametrize("before", [b"", get("/first")])
async def test_head_that_does_not_end_gets_408(before: bytes) -> None:
    async with connected(kind=Impatient) as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"/first")
        writer.write(b"GET / HTTP/1.1\r\nhost:")
        said(await reader.read(), 408, "request-timeout")


async def test_empty_lines_after_an_answer_do_not_hold_the_connection() -> None:
    async with connected(kind=Impatient) as (reader, writer):
        writer.write(get("/first"))
        await reader.readuntil(b"/first")
        writer.write(b"\r\n\r\n")
        assert await reader.read() == b""


async def test_slow_request_that_runs_outlives_the_time_for_its_head() -> None:
    async with connected(kind=Impatient) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
        await asyncio.sleep(Impatient.head_timeout_s * 1.5)  # a real server's time: nothing must happen in it
        writer.write(b"}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"garbage\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"]
)
async def test_what_is_not_http_gets_a_problem(sent: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(sent)
        said(await reader.read(), 400, "malformed-body")


async def test_connections_over_the_limit_get_a_problem_that_says_when() -> None:
    async with served(limit=1) as port, asyncio.timeout(20):
        first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        second[1].write(get("/x"))
        assert said(await second[0].read(), 503, "bus-unavailable")["retry-after"]
        second[1].close()
        first[1].write(get("/close"))
        assert (await first[0].read()).endswith(b"/close")
        first[1].close()


async def test_answer_to_a_body_that_is_not_read_arrives_while_the_sender_still_writes() -> None:
    async with connected() as (reader, writer):
        size = 12_000_000
        writer.write(b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            writer.write(bytes(100_000))
            await writer.drain()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"too large" in answer


async def test_sender_that_never_stops_is_cut_off() -> None:
    async with connected(kind=Impatient) as (reader, writer):
        writer.write(b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
        assert b"too large" in await reader.read()
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x" * 1_000)
                await writer.drain()
                await asyncio.sleep(0.01)  # slowly: it is the time that ends


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_an_upgrade_is_answered_as_without_it_and_nothing_is_logged(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = f"connection: Upgrade\r\nupgrade: {protocol}\r\n"
    async with connected() as (reader, writer):
        for _ in range(2):  # Java's client tries h2c with its first request, and goes on with the connection
            writer.write(f"POST /all HTTP/1.1\r\nhost: x\r\n{upgrade}content-length: 2\r\n\r\n{{}}".encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201 ")
            writer.write(f"GET /one HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode())
            assert (await reader.readuntil(b"/one")).startswith(b"HTTP/1.1 200 ")
    # Clients of tests before may still say something.
    assert not [record for record in caplog.records if record.name.startswith(("uvicorn", "vigie"))]


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"


async def test_trailers_are_no_headers() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def recorded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(list(scope["headers"]))
        await respond(send, 200, [(b"content-length", b"0")], b"")

    trailers = b"authorization: Bearer x\r\nx-forwarded-for: 1.2.3.4\r\nx-scope-orgid: a\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = await exchange(CHUNKED + b"0\r\n" + trailers + b"\r\n" + CHUNKED + b"0\r\n\r\n" + last, served=recorded)
    assert answer.count(b"HTTP/1.1 200") == 3
    headers = [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
    assert seen == [headers, headers, [(b"host", b"x"), (b"connection", b"close")]]


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\n", b"a: b\r\n" * 1_000),
        (b"0\r\na: ", b"b" * 8_000),  # one value, of which the parser tells nothing before its end
        (b"0\r\n", b"a" * 8_000),
        (b"2;", b"a" * 8_000),
    ],
)
async def test_trailers_without_end_get_431(begin: bytes, more: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(CHUNKED + begin)
        answer = asyncio.create_task(reader.read())
        for _ in range(400):
            if answer.done():
                break
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)
        said(await answer, 431, "too-large")


async def test_many_small_chunks_are_no_trailers() -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(CHUNKED)
            for _ in range(40):
                writer.write(b"2\r\n{}\r\n" * 2_000)
                await writer.drain()
            writer.write(b"0\r\na: b\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201 ")


async def test_a_target_that_cannot_be_read_gets_a_problem_and_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (reader, writer):
        writer.write(b"CONNECT localhost:34100 HTTP/1.1\r\nhost: x\r\n\r\n")
        said(await reader.read(), 400, "malformed-body")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_connections_far_over_the_limit_are_closed_unheard() -> None:
    async with served(limit=1) as port, asyncio.timeout(20):
        ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1 + Connection.spare)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            assert await reader.read() == b""  # long before the time for its head is over
        for _, end in [*ends, (reader, writer)]:
            end.close()
