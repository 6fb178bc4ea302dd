"""What every probe does, whatever the other side does."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import HEARTBEAT
from vigie_healthcheck.probes.base import Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import OPTIONS as OPTIONS_KNOWN
from vigie_healthcheck.probes.registry import PROBES, SCHEMES
from vigie_healthcheck.probes.trust import Trust
from vigie_runtime.addresses import networks
from vigie_runtime.egress import Egress

from services.healthcheck.tests.servers import Handler, babbles, drips, floods, hangs, resets, says, server

SECRET = "s3cret"
ENCRYPTED = {
    "grpc": "grpcs", "http": "https", "kafka": "kafkas", "mongodb": "mongodb", "redis": "rediss", "smtp": "smtps",
    "tls": "tls", "websocket": "wss",
}  # fmt: skip
ASKING = sorted(set(PROBES) - {HEARTBEAT})
"""Those that ask over the network."""
CONNECTING = sorted(set(ASKING) - {"icmp"})
"""Those that ask over TCP, or can be told to."""
TALKING = sorted(set(CONNECTING) - {"tcp"})
"""Those that wait for words: tcp is content with a connection."""
TRUST = Trust()
OPTIONS = {"dns": {"transport": "tcp"}}


def way(allowed: str = "") -> Way:
    return Way(Egress(networks(allowed)), TRUST)


async def outcome(
    kind: str, port: int, deadline_s: float = 5.0, allowed: str = "127.0.0.0/8", *, tls: bool = False
) -> Outcome:
    query = "?tls=true" if tls and kind == "mongodb" else ""
    url = f"{ENCRYPTED[kind] if tls else kind}://user:{SECRET}@127.0.0.1:{port}/{SECRET}{query}"
    question = Question(url, headers={"X-Key": SECRET}, options=OPTIONS.get(kind, {}))
    assert SECRET not in repr(question)
    got = await ask(PROBES[kind], question, deadline_s, way(allowed))
    assert SECRET not in got.reason
    assert (got.reason == "") == (got.verdict is Verdict.UP)
    return got


@pytest.mark.parametrize("handler", [hangs, drips])
@pytest.mark.parametrize("kind", TALKING)
async def test_the_deadline_is_total(kind: str, handler: Handler) -> None:
    async with server(handler) as target:
        began = time.monotonic()
        got = await outcome(kind, target.port, 0.2)
        assert time.monotonic() - began < 1.0
        assert got.verdict is Verdict.DOWN
        assert await target.closed()


@pytest.mark.parametrize("kind", sorted(ENCRYPTED))
async def test_a_hanging_handshake_ends_at_the_deadline_and_is_named(kind: str) -> None:
    async with server(hangs) as target:
        got = await outcome(kind, target.port, 0.2, tls=True)
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
        got = await outcome(kind, target.port)
        assert got.verdict is Verdict.DOWN
        assert "within" not in got.reason
        assert await target.closed()


BEGINNINGS = {
    "dns": [b"", b"\0\x20\0\0\x81\x80\0\1\0\1\0\0\0\0"],
    "grpc": [b"", b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\0\0\0\0\0\0\0\x10\1\4\0\0\0\1\x88", b"HTTP/1.1 400 Bad\r\n\r\n"],
    "http": [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: http://"],
    "kafka": [b"", b"\0\0\0\x20\0\0\0\1\0\0\0\0\0\1\0\3\0\0\0\x10", b"\0\0\0\x20\0\0\0\1\0\0\x7f\xff\xff\xff"],
    "mongodb": [b"", b"\x30\0\0\0\0\0\0\0\1\0\0\0\xdd\7\0\0\0\0\0\0\0\x1b\0\0\0\1ok\0"],
    "redis": [b"", b"+OK\r\n", b"$9999999999\r\n"],
    "smtp": [b"", b"220 x\r\n250-", b"220-\r\n" * 200],
    "tls": [b"", b"\x16\3\3\0\x40\2"],
    "websocket": [b"", b"HTTP/1.1 101 Switching\r\n", b"HTTP/1.1 101\r\n" + b"a: b\r\n" * 200],
}  # fmt: skip
"""With which answers begin. What follows is nonsense."""


@pytest.mark.parametrize("kind", TALKING)
async def test_nonsense_is_down_whatever_it_looks_like(kind: str) -> None:
    chance = random.Random(kind)
    for beginning in BEGINNINGS[kind]:
        for _ in range(10):
            said = beginning + chance.randbytes(chance.choice([0, 3, 40, 400]))
            async with server(says(said, first=b"220 x\r\n" if kind == "smtp" else b"")) as target:
                assert (await outcome(kind, target.port)).verdict in (Verdict.DOWN, Verdict.UNKNOWN), said


@pytest.mark.parametrize("kind", TALKING)
async def test_cancelling_leaves_no_connection(kind: str) -> None:
    async with server(hangs) as target:
        asking = asyncio.ensure_future(outcome(kind, target.port, 30.0))
        await target.arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await target.closed()


@pytest.mark.parametrize("kind", CONNECTING)
async def test_refused_is_down(kind: str) -> None:
    async with server(hangs) as target:
        port = target.port
    got = await outcome(kind, port)
    assert (got.verdict, got.reason) == (Verdict.DOWN, "the connection was refused")


@pytest.mark.parametrize("kind", ASKING)
async def test_forbidden_addresses_are_not_called_and_not_blamed(kind: str) -> None:
    async with server(hangs) as target:
        got = await outcome(kind, target.port, 5.0, "10.0.0.0/8")
        assert got.verdict is Verdict.UNKNOWN
        assert not target.open


@pytest.mark.parametrize("kind", ASKING)
async def test_addresses_that_are_none_are_unknown(kind: str) -> None:
    got = await ask(PROBES[kind], Question(f"{kind}://:0/a b"), 5.0, way())
    assert got.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("kind", ASKING)
def test_a_name_that_is_looked_up_for_ever_ends_at_the_deadline(kind: str) -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def asking() -> tuple[Outcome, int]:
        question = Question(f"{kind}://host.example:1/name", options=OPTIONS.get(kind, {}))
        return await ask(PROBES[kind], question, 0.1, Way(Egress(None, never))), len(asyncio.all_tasks())

    # In a loop of its own: what others begin and end in the shared one is not ours.
    got, tasks = asyncio.run(asking())
    assert (got.verdict, got.reason) == (
        Verdict.DOWN,
        "no answer within 0.1 s, the time ended in looking up the name",
    )
    assert tasks == 1


def test_every_kind_says_which_urls_and_options_it_knows() -> None:
    assert set(OPTIONS_KNOWN) == set(PROBES)
    assert set(SCHEMES.values()) == set(ASKING)
    assert {SCHEMES[scheme] for scheme in ENCRYPTED.values()} == set(ENCRYPTED)
