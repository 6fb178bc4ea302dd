"""Verdicts and reasons of tcp, redis, smtp and websocket, against servers that say what they are told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations, JsonCondition
from vigie_healthcheck.probes.base import EXPIRY

from services.healthcheck.tests.asking import outcome
from services.healthcheck.tests.certificates import Authority
from services.healthcheck.tests.servers import Handler, hangs, says, server


async def test_tcp_is_up_where_connections_are_taken() -> None:
    async with server(hangs) as target:
        assert (await outcome("tcp", f"tcp://127.0.0.1:{target.port}")).verdict is Verdict.UP
        assert await target.closed()


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("^220 .*ESMTP", ""),
        ("ESMTP$", ""),
        ("nothing", "the answer does not match nothing"),
    ],
)
async def test_tcp_reads_until_a_banner_meets_the_conditions(wanted: str, reason: str) -> None:
    async def greets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (b"220 mail ", b"ESM", b"TP"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that they arrive one by one

    async with server(greets) as target:
        expect = Expectations(body_matches=[wanted])
        assert (await outcome("tcp", f"tcp://127.0.0.1:{target.port}", expect=expect)).reason == reason


async def test_tcp_sends_what_it_is_told_to() -> None:
    async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await writer.drain()

    async with server(echoes) as target:
        expect, options = Expectations(body_matches=[r"\Aa\\n\r\n\z"]), {"send": "a\\\\n\\r\\n"}
        got = await outcome("tcp", f"tcp://127.0.0.1:{target.port}", expect=expect, options=options)
    assert got.reason == ""


@pytest.mark.parametrize(
    ("said", "verdict", "reason"),
    [
        (b"+PONG\r\n", Verdict.UP, ""),
        (b"-NOAUTH Authentication required.\r\n", Verdict.UP, ""),
        (b"-NOPERM this user has no permissions\r\n", Verdict.UP, ""),
        (b"-LOADING Redis is loading\r\n", Verdict.DOWN, "Redis is still loading its data"),
        (b"-MISCONF Redis is\r\n", Verdict.DEGRADED, "Redis cannot save its data, and takes no writes"),
        (b"HTTP/1.1 400 Bad\r\n", Verdict.DOWN, "what answers is not Redis, or refuses to serve"),
    ],
)
async def test_redis(said: bytes, verdict: Verdict, reason: str) -> None:
    async with server(says(said)) as target:
        got = await outcome("redis", f"redis://127.0.0.1:{target.port}")
    assert (got.verdict, got.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"+OK\r\n", ""),
        (b"-WRONGPASS invalid username-password pair\r\n", "the user name or the password is wrong"),
        (b"-ERR invalid password\r\n", "the password is wrong"),
        (b"-ERR AUTH <password> called without any password\r\n", "a password is given, but Redis has none"),
        (b"HTTP/1.1 400 Bad\r\n", "what answers is not Redis, or refuses the login"),
    ],
)
async def test_redis_logs_in_with_the_password_that_is_given(said: bytes, reason: str) -> None:
    heard: list[bytes] = []

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (said, b"+PONG\r\n"):
            heard.append(await reader.read(1000))
            writer.write(answer)

    async with server(hears) as target:
        got = await outcome("redis", f"redis://127.0.0.1:{target.port}", username="me", password="s3cret\r\n")
    assert got.reason == reason
    assert heard[0] == b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$8\r\ns3cret\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "said", "reason"),
    [
        (b"220-hello\r\n220 world\r\n", b"250-SIZE\r\n250 OK\r\n", ""),
        (b"554 no\r\n", b"", "the mail server did not greet"),
        (b"220 x\r\n", b"502 what\r\n", "the mail server did not answer EHLO"),
    ],
)
async def test_smtp(first: bytes, said: bytes, reason: str) -> None:
    async with server(says(said, first=first)) as target:
        assert (await outcome("smtp", f"smtp://127.0.0.1:{target.port}")).reason == reason


async def test_smtp_lines_are_judged() -> None:
    async with server(says(b"250-SIZE 1000\r\n250 OK\r\n", first=b"220 mail\r\n")) as target:
        url = f"smtp://127.0.0.1:{target.port}"
        assert (await outcome("smtp", url, expect=Expectations(body_matches=["SIZE 1000"]))).reason == ""
        got = await outcome("smtp", url, expect=Expectations(body_matches=["SIZE 2"]))
        assert got.reason == "the answer does not match SIZE 2"


def encrypting(tls: ssl.SSLContext, *, offers: bool = True, begins: bool = True) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        await reader.readline()
        writer.write(b"250-mail\r\n250 STARTTLS\r\n" if offers else b"250 mail\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n" if begins else b"454 not now\r\n")
        if begins:
            await writer.start_tls(tls)
            await reader.readline()
            writer.write(b"250 AUTH\r\n")
        await writer.drain()

    return handler


@pytest.mark.parametrize(
    ("how", "made", "reason"),
    [
        ({}, {}, ""),
        ({"offers": False}, {}, "the mail server does not offer STARTTLS"),
        ({"begins": False}, {}, "the mail server did not begin TLS"),
        ({}, {"days": -1}, "the certificate has expired"),
    ],
)
async def test_smtp_starttls(tmp_path: Path, how: dict[str, Any], made: dict[str, Any], reason: str) -> None:
    authority = Authority()
    async with server(encrypting(authority.server(tmp_path, **made), **how)) as target:
        url, options = f"smtp://127.0.0.1:{target.port}", {"starttls": "true"}
        got = await outcome("smtp", url, authority.trust(), options=options)
        assert await target.closed()
    assert got.reason == reason
    assert (EXPIRY in got.facts) == (not reason)


def upgrades(wrong: str = "", *frames: bytes, protocol: str = "", heard: list[bytes] | None = None) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = asked.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0] + wrong
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        status = "403 No" if wrong == "status" else "101 Switching"
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        accepted = base64.b64encode(digest).decode()
        writer.write(f"HTTP/1.1 {status}\r\nSec-WebSocket-Accept: {accepted}\r\n{chosen}\r\n".encode())
        if heard is not None:
            heard.extend([asked.encode(), await reader.read(1000)])
        writer.write(b"".join(frames))
        await writer.drain()

    return handler


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", ""),
        ("key", "the server's answer is not that of a WebSocket"),
        ("status", "the server did not take the upgrade to a WebSocket"),
    ],
)
async def test_websocket(wrong: str, reason: str) -> None:
    async with server(upgrades(wrong)) as target:
        assert (await outcome("websocket", f"ws://127.0.0.1:{target.port}/live")).reason == reason


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [("mqtt", ""), ("", "the server did not choose the subprotocol that was asked for")],
)
async def test_websocket_subprotocol(chosen: str, reason: str) -> None:
    async with server(upgrades(protocol=chosen)) as target:
        options = {"subprotocol": "mqtt"}
        assert (await outcome("websocket", f"ws://127.0.0.1:{target.port}", options=options)).reason == reason


TOO_LARGE = "the server's message is too large, or is none of a WebSocket"


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"\x81\x0d", b'{"type":"hi"}'], ""),
        ([b"\x89\x01x", b"\x01\x05", b'{"typ', b"\x80\x08", b'e":"hi"}'], ""),
        ([b"\x82\x7e\x00\x0d", b'{"type":"hi"}'], ""),
        ([b"\x81\x02{}"], "the answer has no $.type"),
        ([b"\x88\x02\x03\xe8"], "the server closed the WebSocket before its first message"),
        ([b"\x81\x7f" + b"\x7f" * 8], TOO_LARGE),
        ([b"\x81\x8d"], TOO_LARGE),
        ([b"\x89\x7f", (70_000).to_bytes(8), bytes(70_000)], TOO_LARGE),
        ([b"\x00\x00"] * 101, "the server's message has no end"),
        ([b"\x81"], "the connection was closed without an answer"),
    ],
)
async def test_websocket_first_message_is_judged(frames: list[bytes], reason: str) -> None:
    heard: list[bytes] = []
    async with server(upgrades("", *frames, heard=heard)) as target:
        expect = Expectations(json=[JsonCondition("$.type", "hi")])
        url, more = f"ws://u:p@127.0.0.1:{target.port}", {"options": {"send": "hello"}, "expect": expect}
        assert (await outcome("websocket", url, **more)).reason == reason
    mask, hidden = heard[1][2:6], heard[1][6:11]
    assert heard[1][:2] == b"\x81\x85"
    assert bytes(byte ^ mask[i % 4] for i, byte in enumerate(hidden)) == b"hello"
    assert b"Authorization: Basic dTpw\r\n" in heard[0]
