"""Verdicts and reasons of single probes."""

from __future__ import annotations

import base64
import hashlib
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations
from vigie_healthcheck.probes.base import Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.probes.trust import Trust
from vigie_runtime.addresses import networks
from vigie_runtime.egress import Egress

from services.healthcheck.tests.servers import context, hangs, says, server

LOOPBACK = networks("127.0.0.0/8")


async def outcome(kind: str, url: str, trust: ssl.SSLContext | None = None, **more: Any) -> Outcome:
    return await ask(PROBES[kind], Question(url, **more), 5.0, Way(Egress(LOOPBACK), Trust(lambda: trust or _nobody())))


def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


async def test_http_up_has_phases_and_facts() -> None:
    async with server(says(answer(200, b"hello"))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert set(got.phases) == {"resolve", "connect", "processing", "transfer"}
    assert sum(got.phases.values()) <= got.duration_s
    assert got.facts == {
        "probe_http_status_code": 200.0, "probe_http_content_length": 5.0, "probe_http_redirects": 0.0,
        "probe_http_ssl": 0.0, "probe_failed_due_to_regex": 0.0,
    }  # fmt: skip


async def test_http_status_that_is_not_asked_for_is_down() -> None:
    async with server(says(answer(503))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
        assert (got.verdict, got.reason) == (Verdict.DOWN, "it answered with status 503")
        assert got.facts["probe_http_status_code"] == 503.0
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(statuses=["503"]))
        assert got.verdict is Verdict.UP


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/again", "redirected more than 5 times"),
        ("ftp://127.0.0.1/", "redirected to a connection that is not encrypted, or to no web address"),
        ("http://[", "redirected to what is no web address"),
    ],
)
async def test_http_redirects_that_lead_nowhere(location: str, reason: str) -> None:
    async with server(says(answer(302, Location=location))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.DOWN, reason)


async def test_http_redirect_to_an_address_inside_is_not_followed() -> None:
    async with server(says(answer(302, Location="http://169.254.169.254/latest"))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the host has no address that may be called")


async def test_http_secrets_stay_with_their_origin() -> None:
    got: dict[str, bytes] = {}

    def recording(name: str, said: bytes):
        async def handler(reader: Any, writer: Any) -> None:
            got[name] = await reader.read(65536)
            writer.write(said)
            await writer.drain()

        return handler

    async with server(recording("other", answer(200))) as other:
        away = answer(307, Location=f"http://127.0.0.1:{other.port}/")
        async with server(recording("first", away)) as target:
            found = await outcome("http", f"http://u:s3cret@127.0.0.1:{target.port}/", headers={"X-Key": "s3cret2"})
    assert found.verdict is Verdict.UP
    assert b"authorization: Basic dTpzM2NyZXQ=" in got["first"]
    assert b"s3cret2" in got["first"]
    assert b"s3cret2" not in got["other"]
    assert b"authorization" not in got["other"].lower()


async def test_http_headers_with_line_ends_are_not_sent() -> None:
    async with server(hangs) as target:
        headers: Mapping[str, str] = {"X": "a\r\nHost: b"}
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", headers=headers)
    assert got.verdict is Verdict.UNKNOWN


async def test_tls_tells_when_the_certificate_expires(tmp_path: Path) -> None:
    trust = _nobody()
    async with server(hangs, context(tmp_path, trust)) as target:
        got = await outcome("tls", f"tls://127.0.0.1:{target.port}", trust)
    assert got.verdict is Verdict.UP
    assert got.facts["probe_ssl_earliest_cert_expiry"] == pytest.approx(time.time() + 30 * 86400, abs=120)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"expired": True}, "the certificate has expired"),
        ({"trusted": False}, "the certificate is self-signed"),
        ({"name": "other.example"}, "the certificate is for another host"),
    ],
)
@pytest.mark.parametrize("kind", ["tls", "http"])
async def test_wrong_certificates_are_named(tmp_path: Path, kind: str, made: dict[str, Any], reason: str) -> None:
    trust = _nobody()
    async with server(hangs, context(tmp_path, trust, **made)) as target:
        got = await outcome(kind, f"{'tls' if kind == 'tls' else 'https'}://127.0.0.1:{target.port}", trust)
    assert (got.verdict, got.reason) == (Verdict.DOWN, reason)


async def test_tcp_is_up_where_connections_are_taken() -> None:
    async with server(hangs) as target:
        assert (await outcome("tcp", f"tcp://127.0.0.1:{target.port}")).verdict is Verdict.UP
        assert await target.closed()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"+PONG\r\n", ""),
        (b"-NOAUTH Authentication required.\r\n", ""),
        (b"-LOADING Redis is loading\r\n", "Redis is still loading its data"),
        (b"HTTP/1.1 400 Bad\r\n", "what answers is not Redis, or refuses to serve"),
    ],
)
async def test_redis(said: bytes, reason: str) -> None:
    async with server(says(said)) as target:
        assert (await outcome("redis", f"redis://127.0.0.1:{target.port}")).reason == reason


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


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", ""),
        ("key", "the server's answer is not that of a WebSocket"),
        ("status", "the server did not take the upgrade to a WebSocket"),
    ],
)
async def test_websocket(wrong: str, reason: str) -> None:
    async def upgrades(reader: Any, writer: Any) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = asked.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0] + wrong
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        status = "403 No" if wrong == "status" else "101 Switching"
        writer.write(f"HTTP/1.1 {status}\r\nSec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode())
        await writer.drain()

    async with server(upgrades) as target:
        assert (await outcome("websocket", f"ws://127.0.0.1:{target.port}/live")).reason == reason
