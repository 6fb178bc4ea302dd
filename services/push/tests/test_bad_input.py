"""What strangers may send to `/ws`: a clear error or a close code, and nobody else notices."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from vigie_web.close_codes import CloseCode
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.push.tests.kit import Service, ask, ended, serving, silent, subscribed, told
from tests.kit import eventually

BINARY, TEXT, CONTINUATION, CLOSE, PING = 0x2, 0x1, 0x0, 0x8, 0x9
FIN, COMPRESSED = 0x80, 0x40


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(push_heartbeat_s=30, push_write_timeout_s=0.5, push_messages_per_s=100) as made:
        yield made


@asynccontextmanager
async def bystander(service: Service) -> AsyncIterator[ClientConnection]:
    """Somebody else, who has to notice nothing."""
    async with service.client() as client:
        await subscribed(client)
        yield client
        service.publish("bystander", 1)
        assert (await told(client, "thing"))["key"] == "bystander"


def frame(opcode: int, payload: bytes = b"", *, flags: int = FIN, length: int | None = None) -> bytes:
    """As a client sends it, with a mask of zeroes; `length` may be a lie."""
    size = len(payload) if length is None else length
    head = bytes((flags | opcode,))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65_536:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + payload


class Raw:
    """A client that obeys nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        head = await self.reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        return head[0] & 0x0F, await self.reader.readexactly(size)

    async def closed(self) -> int:
        """The code of the frame that closes."""
        async with asyncio.timeout(10):
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def raw(service: Service, receive_buffer: int | None = None) -> AsyncIterator[Raw]:
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", service.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    writer.write(
        b"GET /ws?token=alice HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def gone(service: Service, left: int) -> None:
    """Nothing is left of the connections but these."""
    await eventually(lambda: max(len(service.sessions), len(service.server.server_state.connections)) <= left)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY, b"\x00\x01"), CloseCode.BINARY),
        (frame(TEXT, b"\xff\xfe"), CloseCode.NOT_TEXT),
        (frame(TEXT, b'{"type":"\xc3', flags=0) + frame(CONTINUATION, b'"}'), CloseCode.NOT_TEXT),
        (frame(TEXT, length=10 * 1024 * 1024), CloseCode.TOO_BIG),
        (frame(TEXT, b"x" * 60_000, flags=0) + frame(CONTINUATION, b"x" * 60_000), CloseCode.TOO_BIG),
        (frame(TEXT, b"\x78\x9c" * 20, flags=FIN | COMPRESSED), 1002),
        (frame(0x3), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(PING, b"x") * 500, CloseCode.TOO_MANY),
        (frame(TEXT, b"{}") * 500, CloseCode.TOO_MANY),
        (frame(TEXT, b"", flags=0) + frame(CONTINUATION, b"", flags=0) * 500, CloseCode.TOO_MANY),
        (frame(0xA) * 500, CloseCode.TOO_MANY),
    ],
    ids=[
        "binary", "not UTF-8", "half a character", "10 MB announced", "too long in parts", "compressed",
        "unknown opcode", "a part of nothing", "ping flood", "message flood", "parts of nothing without end",
        "pong flood",
    ],
)  # fmt: skip
async def test_what_is_no_message_ends_the_connection_with_its_code(service: Service, sent: bytes, code: int) -> None:
    async with bystander(service):
        async with raw(service) as client:
            await client.send(sent)
            assert await client.closed() == code
        await gone(service, 1)


async def test_ten_megabytes_are_refused_and_the_code_arrives(service: Service) -> None:
    async with bystander(service), raw(service) as client:
        await client.send(frame(TEXT, b"x" * 10_000_000))  # to the end, before anything is read
        assert await client.closed() == CloseCode.TOO_BIG


async def test_half_a_message_holds_up_nobody(service: Service) -> None:
    async with bystander(service), raw(service) as client:
        await client.send(frame(TEXT, b'{"type":"pi', flags=0))
        await client.send(b"\x81\xfe\x10")  # and half a head
        await eventually(lambda: len(service.sessions) == 2)
    await gone(service, 0)


@pytest.mark.parametrize(
    "text",
    ["", "ping", "{", "[]", "null", '{"type":"subscribe"}', '{"type":"nonsense"}', '{"channel":"server"}', "[" * 60_000,
     '{"type":"ping","type":"auth"}', '{"type":"metrics","data":1}', '{"type":"auth","token":5}', "\x00",
     '{"type":"subscribe","channel":"server","after":7}', '{"type":"unsubscribe","subscription":{}}'],
)  # fmt: skip
async def test_what_is_no_message_of_ours_is_an_error_and_the_connection_stays(service: Service, text: str) -> None:
    async with service.client() as client:
        await client.send(text)
        refused = await told(client, "error")
        assert refused["message"]
        assert len(refused["message"]) < 600
        await ask(client, type="ping")
        await told(client, "pong")


async def test_ten_thousand_subscriptions(service: Service) -> None:
    async with bystander(service), service.client() as client:
        for number in range(101):
            await ask(client, type="subscribe", channel="server", thingId=str(number))
        assert (await told(client, "error"))["code"] == "limit-reached"
        with suppress(ConnectionClosed):
            for number in range(10_000):
                await ask(client, type="subscribe", channel="server", thingId=f"more-{number}")
        assert (await ended(client))[0] == CloseCode.TOO_MANY
        await gone(service, 1)
        assert service.hub.topics == 1


async def test_a_client_that_never_reads_is_ended_and_slows_nobody(service: Service) -> None:
    async def newest(other: ClientConnection) -> None:
        while (await told(other, "thing"))["value"] < 399:
            pass

    async with bystander(service) as other, raw(service, receive_buffer=4_096) as client:
        await client.send(frame(TEXT, b'{"type":"subscribe","channel":"server"}'))
        await eventually(lambda: service.counted("kpi_websocket_active_subscriptions") == 2)
        reading = asyncio.create_task(newest(other))
        for number in range(400):
            service.publish(f"k{number % 20}", number, "x" * 60_000)
            await asyncio.sleep(0)
        await reading
        await gone(service, 1)
    assert service.counted("vigie_push_conflated_total") + service.counted("vigie_push_dropped_total") > 0
    assert service.counted("vigie_push_closed_total", code="try_later") == 1


async def test_a_client_that_reads_slowly_gets_the_newest_and_is_told_what_it_lost() -> None:
    async with (
        serving(push_buffer=10, push_write_timeout_s=10) as service,
        raw(service, receive_buffer=4_096) as client,
    ):
        await client.send(frame(TEXT, b'{"type":"subscribe","channel":"server"}'))
        await client.frame()  # welcome
        await client.frame()  # subscribed
        for number in range(2_000):
            service.publish(f"k{number}", number, "x" * 3_000)
            await asyncio.sleep(0)
        values, dropped = [], 0
        async with asyncio.timeout(20):
            while not values or values[-1] != 1_999:
                message = json.loads((await client.frame())[1])
                if message["type"] == "dropped":
                    dropped += message["count"]
                else:
                    values.append(message["value"])
            if len(values) + dropped < 2_000:
                dropped += json.loads((await client.frame())[1])["count"]
    assert values == sorted(values)
    assert len(values) + dropped == 2_000
    assert dropped > 0


async def test_a_client_without_a_sign_of_life_is_ended() -> None:
    async with serving(push_heartbeat_s=0.2) as service, raw(service) as client:
        assert await client.closed() == CloseCode.IDLE
        await gone(service, 0)
        assert service.counted("vigie_push_closed_total", code="idle") == 1


async def test_a_client_that_answers_pings_stays() -> None:
    async with serving(push_heartbeat_s=0.2) as service, service.client() as client:
        await told(client)
        assert await silent(client, 0.8)
        await ask(client, type="ping")
        await told(client, "pong")


async def test_too_many_connections_of_one_of_a_tenant_and_of_all() -> None:
    async with (
        serving(push_user_connections=2, push_tenant_connections=3, push_connections=4) as service,
        service.client() as one,
        service.client(),
    ):
        await told(one)
        async with service.client() as third:
            code, reason = await ended(third)
            assert code == CloseCode.TRY_LATER
            assert "caller" in reason
        service.callers.known["ann"] = service.callers.known["bob"] = _like(service.callers.known["alice"])
        async with service.client("ann") as ann:
            assert (await told(ann))["type"] == "welcome"
            async with service.client("bob") as bob:
                assert "tenant" in (await ended(bob))[1]
            async with service.client("rita") as rita:
                await told(rita)
                async with service.client("rita") as fifth:
                    assert (await ended(fifth))[0] == CloseCode.TRY_LATER
        await gone(service, 2)
        async with service.client("rita") as again:
            assert (await told(again))["type"] == "welcome"


def _like(principal: Any) -> Any:
    from dataclasses import replace

    return replace(principal, id="another", name="another")


@pytest.mark.parametrize(
    "path", ["/ws?token=" + "x" * 9_000, "/ws?" + "&".join(["a=b"] * 500), "/ws?token=%ff", "/ws?token="], ids=len
)
async def test_addresses_that_make_no_sense(service: Service, path: str) -> None:
    async with bystander(service):
        try:
            async with connect(f"ws://127.0.0.1:{service.port}{path}") as client:
                assert (await ended(client))[0] == CloseCode.UNAUTHENTICATED
        except InvalidStatus as e:
            assert e.response.status_code in (400, 414, 431)  # noqa: PT017
        await gone(service, 1)


async def test_a_token_in_the_address_is_never_logged(service: Service, capfd: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    secret = "very-" + os.urandom(6).hex()
    async with service.client(secret) as client:
        await ended(client)
    async with service.client("alice") as client:
        await ask(client, type="auth", token=secret)
        await ended(client)
    out, err = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.client"]
    assert ours
    assert secret not in "\n".join(ours) + out + err
