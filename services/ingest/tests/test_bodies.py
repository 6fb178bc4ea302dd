"""How much of a body is read and unpacked, for whom, and what it takes from the others."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from vigie_contracts import limits
from vigie_contracts.telemetry import MAX_TELEMETRY_BYTES
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.principal import Principal
from vigie_ingest import bodies
from vigie_ingest.bodies import Bodies, Budget, Part
from vigie_publishing.errors import BufferFullError

from services.ingest.tests.doubles import NODE_TENANT
from services.ingest.tests.test_access import key

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TELEMETRY, BATCH = "/telemetry", "/api/metrics/batch"
JSON = {"content-type": "application/json"}
REPORT = {"tenantId": NODE_TENANT, "uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3}
METRIC = {"name": "m", "type": "gauge", "value": 1}
STRANGER = AnonymousRule.parse("telemetry").principal()
KEY = {"x-api-key": "k"}


class ByHeader:
    """Who sends a key has one of `acme`."""

    async def authenticate(self, headers: list[tuple[bytes, bytes]], _asker: object) -> Principal:
        return key("acme") if b"x-api-key" in dict(headers) else STRANGER


@pytest.fixture
def state(gateway: Any) -> Any:
    gateway.change(access=replace(gateway.resources.access, authenticator=ByHeader()))
    return gateway.state


def padded(length: int) -> bytes:
    return json.dumps(REPORT).encode().ljust(length)


PACKS: dict[str, Any] = {"identity": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", PACKS)
async def test_telemetry_of_just_the_bound_is_taken_and_a_byte_more_is_not(
    gateway: Any, state: Any, encoding: str
) -> None:
    pack, headers = PACKS[encoding], {"content-encoding": encoding}
    assert (await gateway.post(TELEMETRY, pack(padded(MAX_TELEMETRY_BYTES)), headers)).status == 201
    reply = await gateway.post(TELEMETRY, pack(padded(MAX_TELEMETRY_BYTES + 1)), headers)
    assert (reply.status, str(MAX_TELEMETRY_BYTES) in reply.json["detail"]) == (413, True)
    assert gateway.bodies.held == gateway.bodies.strangers.held == 0


async def test_telemetry_that_announces_more_is_refused_unread(gateway: Any, state: Any) -> None:
    async def receive() -> Any:
        raise AssertionError("must not be read")

    headers = {**JSON, "content-length": str(MAX_TELEMETRY_BYTES + 1)}
    assert (await gateway.request("POST", TELEMETRY, headers=headers, receive=receive)).status == 413


async def test_strangers_who_send_much_and_never_end_are_refused_at_once(gateway: Any, state: Any) -> None:
    """Each holds what would be, of all of them, the whole budget."""

    async def start(piece: int) -> Any:
        sent = False

        async def receive() -> Any:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": bytes(piece), "more_body": True}

        return await gateway.request("POST", TELEMETRY, headers=JSON, receive=receive)

    state.settings = state.settings.model_copy(update={"ingest_body_timeout_s": 60.0})
    async with asyncio.timeout(10):
        replies = await asyncio.gather(*(start(limits.MAX_BODY_BYTES - 1) for _ in range(64)))
    assert {reply.status for reply in replies} == {413}
    assert gateway.bodies.held == 0


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_bomb_for_telemetry_is_unpacked_no_further_than_its_bound(
    gateway: Any, state: Any, encoding: str
) -> None:
    bomb = PACKS[encoding](bytes(limits.MAX_DECOMPRESSED_BYTES))
    await gateway.post(TELEMETRY, bomb, {"content-encoding": encoding})  # what is made once is made
    tracemalloc.start()
    try:
        reply = await gateway.post(TELEMETRY, bomb, {"content-encoding": encoding})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply.status == 413
    assert peak < 16 * MAX_TELEMETRY_BYTES


async def test_what_was_sent_is_held_until_it_is_unpacked(
    gateway: Any, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    original = bodies.decompress

    def spy(*args: Any) -> bytes:
        held.append(gateway.bodies.held)
        return original(*args)

    monkeypatch.setattr(bodies, "decompress", spy)
    packed = gzip.compress(json.dumps([METRIC | {"value": n} for n in range(9_000)]).encode(), 1)
    for chunks in ([packed], [packed[:99], packed[99:]]):
        reply = await gateway.post(BATCH, b"", {**KEY, "content-encoding": "gzip"}, chunks=chunks)
        assert reply.status == 201
    assert held == [len(packed)] * len(held) != []
    assert gateway.bodies.held == 0


@pytest.mark.parametrize("damaged", [b"no gzip", gzip.compress(b"[1]")[:-3], gzip.compress(b"?")])
async def test_what_is_refused_holds_nothing(gateway: Any, state: Any, damaged: bytes) -> None:
    for chunks in ([damaged], [damaged[:4], damaged[4:]]):
        for path in (TELEMETRY, BATCH):
            reply = await gateway.post(path, b"", {**KEY, "content-encoding": "gzip"}, chunks=chunks)
            assert reply.status == 400
    assert gateway.bodies.held == 0


async def test_strangers_hold_no_more_than_their_part_and_others_are_served(gateway: Any, state: Any) -> None:
    part = state.settings.ingest_max_body_bytes // 4
    gateway.bodies.strangers.take(part)
    for chunks in ([padded(300)], [padded(300)[:5], padded(300)[5:]]):
        assert (await gateway.post(TELEMETRY, b"", chunks=chunks)).status == 503
        assert (await gateway.post(BATCH, b"", KEY, chunks=[b"[", json.dumps(METRIC).encode() + b"]"])).status == 201
    assert gateway.bodies.held == gateway.bodies.strangers.held == part
    gateway.bodies.strangers.give(part)
    assert (await gateway.post(TELEMETRY, REPORT)).status == 201


def test_a_part_takes_nothing_when_the_whole_is_full() -> None:
    whole = Budget(10)
    part = Part(4, whole)
    whole.take(8)
    with pytest.raises(BufferFullError):
        part.take(3)
    assert (part.held, whole.held) == (0, 8)
    part.take(2)
    part.give(1)
    assert (part.held, whole.held) == (1, 9)


def test_the_smallest_budget_lets_a_stranger_send_the_longest_body() -> None:
    budget = Bodies(limits.MAX_DECOMPRESSED_BYTES)
    budget.strangers.take(limits.MAX_DECOMPRESSED_BYTES)
    assert budget.held == limits.MAX_DECOMPRESSED_BYTES


LONG = "x" * 20_000


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/api/metrics/custom", {"name": "m", "type": LONG, "value": 1}, {}),
        ("/api/metrics/custom", {"name": "m", "type": "gauge", "value": 1, "labels": {LONG: "x"}}, {}),
        ("/api/metrics/custom", {"name": "m", "type": "gauge", "value": 1, "labels": {LONG: []}}, {}),
        ("/api/metrics/custom", {"name": "m", "type": "gauge", "value": 1}, {"content-type": f"text/{LONG}"}),
        ("/api/metrics/custom", {"name": "m", "type": "gauge", "value": 1}, {"content-encoding": LONG}),
        ("/api/metrics/batch", b'{"' + LONG.encode() + b'": [' + b"1," * 200_000 + b"1]}", {}),
        ("/api/events", {"specversion": LONG, "id": LONG, "source": LONG, "type": LONG, "time": LONG}, {}),
        ("/telemetry", {"tenantId": "acme", "uptime": LONG, "activeUsers": 1, "exercisesCompletedToday": 1}, {}),
    ],
)
async def test_a_refusal_quotes_little_of_what_was_sent(
    gateway: Any, path: str, body: object, headers: dict[str, str]
) -> None:
    reply = await gateway.post(path, body, headers)
    assert 400 <= reply.status < 500
    assert len(reply.body) < 1_500, reply.body[:300]
    assert b"x" * 100 not in reply.body


async def test_an_item_is_refused_with_little_of_its_own_words(gateway: Any) -> None:
    bad = {"name": "m", "type": "gauge", "value": 1, "labels": {"l" * 128: []}}
    reply = await gateway.post("/api/metrics/batch", [bad] * 200)
    assert reply.status == 400
    assert len(reply.body) < 20_000
    assert len(reply.json["errors"][0]["field"]) == 80
