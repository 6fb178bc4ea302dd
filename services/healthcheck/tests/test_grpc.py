"""Verdicts and reasons of grpc, against a real gRPC server, and against what only looks like one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import EXPIRY

from services.healthcheck.tests.asking import answer, outcome
from services.healthcheck.tests.certificates import Authority
from services.healthcheck.tests.servers import says, server

STATES = {b"": 1, b"\x0a\x07booking": 1, b"\x0a\x04slow": 2, b"\x0a\x03new": 0, b"\x0a\x03odd": 9}


class Health(grpc.GenericRpcHandler):
    """`grpc.health.v1.Health`, by the bytes of its messages."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | bytes]] = []

    def service(self, call: Any) -> Any:
        if call.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    async def check(self, request: bytes, context: Any) -> bytes:
        self.heard += context.invocation_metadata()
        if request == b"\x0a\x06secret":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "s3cret")
        if request not in STATES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        state = STATES[request]
        return b"\x08" + bytes([state]) if state else b""


@asynccontextmanager
async def serving(
    *handlers: grpc.GenericRpcHandler, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    made = grpc.aio.server()
    made.add_generic_rpc_handlers(handlers)
    address = "127.0.0.1:0"
    port = made.add_secure_port(address, credentials) if credentials else made.add_insecure_port(address)
    await made.start()
    try:
        yield port
    finally:
        await made.stop(0)


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ("", ""),
        ("booking", ""),
        ("slow", "the service says NOT_SERVING"),
        ("new", "the service says UNKNOWN"),
        ("odd", "the service says what is no state of health"),
        ("missing", "the server does not know this service (NOT_FOUND)"),
        ("secret", "it answered with gRPC status UNAUTHENTICATED"),
    ],
)
async def test_grpc_health(service: str, reason: str) -> None:
    async with serving(Health()) as port:
        got = await outcome("grpc", f"grpc://127.0.0.1:{port}", options={"service": service})
    assert (got.verdict, got.reason) == (Verdict.DOWN if reason else Verdict.UP, reason)
    assert got.facts["probe_grpc_status_code"] == {"missing": 5.0, "secret": 16.0}.get(service, 0.0)


async def test_grpc_without_a_health_service() -> None:
    async with serving() as port:
        got = await outcome("grpc", f"grpc://127.0.0.1:{port}")
    assert (got.verdict, got.reason) == (Verdict.DOWN, "the server has no health service (UNIMPLEMENTED)")


async def test_grpc_headers_are_metadata() -> None:
    health = Health()
    async with serving(health) as port:
        got = await outcome("grpc", f"grpc://127.0.0.1:{port}", headers={"Authorization": "Bearer t"})
        assert got.verdict is Verdict.UP
        got = await outcome("grpc", f"grpc://127.0.0.1:{port}", headers={"X": "a\r\nb"})
        assert got.verdict is Verdict.UNKNOWN
    assert ("authorization", "Bearer t") in health.heard


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({}, ""),
        ({"days": -1}, "the certificate has expired"),
        ({"self_signed": True}, "the certificate is self-signed"),
    ],
)
async def test_grpc_over_tls(made: dict[str, Any], reason: str) -> None:
    authority = Authority()
    certificate, begin, key = authority.pem(**made).partition(b"-----BEGIN PRIVATE")
    credentials = grpc.ssl_server_credentials([(begin + key, certificate)])
    async with serving(Health(), credentials=credentials) as port:
        got = await outcome("grpc", f"grpcs://127.0.0.1:{port}", authority.trust())
    assert got.reason == reason
    assert (EXPIRY in got.facts) == (not reason)


async def test_grpc_to_what_does_not_speak_it() -> None:
    async with server(says(answer(400))) as target:
        got = await outcome("grpc", f"grpc://127.0.0.1:{target.port}")
        assert (got.verdict, got.reason) == (Verdict.DOWN, "what answers is not HTTP/2, or broke off")
        assert await target.closed()


async def test_grpc_names_that_are_too_long_are_unknown() -> None:
    got = await outcome("grpc", "grpc://127.0.0.1:1", options={"service": "x" * 128})
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the name of the service is longer than 127 bytes")
