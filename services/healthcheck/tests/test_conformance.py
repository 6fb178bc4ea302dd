"""What every probe does, whatever the other side does."""

from __future__ import annotations

import asyncio
import time

import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_runtime.addresses import networks
from vigie_runtime.egress import Egress

from services.healthcheck.tests.servers import Handler, babbles, drips, floods, hangs, resets, server

SECRET = "s3cret"
ENCRYPTED = {"http": "https", "redis": "rediss", "smtp": "smtps", "tls": "tls", "websocket": "wss"}
TALKING = sorted(set(PROBES) - {"tcp"})
"""Those that wait for words: tcp is content with a connection."""


def way(*allowed: str) -> Way:
    return Way(Egress(networks(",".join(allowed))))


async def outcome(kind: str, scheme: str, port: int, deadline_s: float = 5.0, *allowed: str) -> Outcome:
    url = f"{scheme}://user:{SECRET}@127.0.0.1:{port}/{SECRET}"
    question = Question(url, headers={"X-Key": SECRET})
    assert SECRET not in repr(question)
    got = await ask(PROBES[kind], question, deadline_s, way(*(allowed or ("127.0.0.0/8",))))
    assert SECRET not in got.reason
    assert (got.reason == "") == (got.verdict is Verdict.UP)
    return got


@pytest.mark.parametrize("handler", [hangs, drips])
@pytest.mark.parametrize("kind", TALKING)
async def test_the_deadline_is_total(kind: str, handler: Handler) -> None:
    async with server(handler) as target:
        began = time.monotonic()
        got = await outcome(kind, kind, target.port, 0.2)
        assert time.monotonic() - began < 1.0
        assert got.verdict is Verdict.DOWN
        assert await target.closed()


@pytest.mark.parametrize("kind", sorted(ENCRYPTED))
async def test_a_hanging_handshake_ends_at_the_deadline_and_is_named(kind: str) -> None:
    async with server(hangs) as target:
        got = await outcome(kind, ENCRYPTED[kind], target.port, 0.2)
        assert (got.verdict, got.reason) == (
            Verdict.DOWN,
            "no answer within 0.2 s, the time ended in the TLS handshake",
        )
        assert {"resolve", "connect", "tls"} == set(got.phases)
        assert await target.closed()


@pytest.mark.parametrize("handler", [resets, floods, babbles])
@pytest.mark.parametrize("kind", TALKING)
async def test_resets_and_endless_answers_are_down(kind: str, handler: Handler) -> None:
    async with server(handler) as target:
        got = await outcome(kind, kind, target.port)
        assert got.verdict is Verdict.DOWN
        assert "within" not in got.reason
        assert await target.closed()


@pytest.mark.parametrize("kind", TALKING)
async def test_cancelling_leaves_no_connection(kind: str) -> None:
    async with server(hangs) as target:
        asking = asyncio.ensure_future(outcome(kind, kind, target.port, 30.0))
        await target.arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await target.closed()


@pytest.mark.parametrize("kind", sorted(PROBES))
async def test_refused_is_down(kind: str) -> None:
    async with server(hangs) as target:
        port = target.port
    got = await outcome(kind, kind, port)
    assert (got.verdict, got.reason) == (Verdict.DOWN, "the connection was refused")


@pytest.mark.parametrize("kind", sorted(PROBES))
async def test_forbidden_addresses_are_not_called_and_not_blamed(kind: str) -> None:
    async with server(hangs) as target:
        got = await outcome(kind, kind, target.port, 5.0, "10.0.0.0/8")
        assert got.verdict is Verdict.UNKNOWN
        assert not target.open


@pytest.mark.parametrize("kind", sorted(PROBES))
async def test_addresses_that_are_none_are_unknown(kind: str) -> None:
    got = await ask(PROBES[kind], Question(f"{kind}://:0/a b"), 5.0, way())
    assert got.verdict is Verdict.UNKNOWN
