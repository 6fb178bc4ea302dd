"""Idempotency-Key: the same request again adds nothing and gets the same answer."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from vigie_contracts import limits
from vigie_contracts.series import Kind
from vigie_identity.principal import PrincipalKind
from vigie_ingest import idempotency
from vigie_ingest.idempotency import IdempotencyStore, Lookup, Replay, Ticket
from vigie_publishing.errors import InProgressError
from vigie_publishing.keys import digest
from vigie_publishing.metric import Sample
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import BusUnavailable

PATH = "/api/metrics/batch"
BODY = [{"name": "m", "type": "counter", "value": 3}]
KEY = {"idempotency-key": "order-1"}


async def test_repeat_gets_the_stored_answer(gateway: Any) -> None:
    first = await gateway.post(PATH, BODY, KEY)
    again = await gateway.post(PATH, BODY, KEY)
    assert first.status == again.status == 201
    assert first.body == again.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(gateway.publisher.sent) == 1
    assert gateway.metric("vigie_ingest_idempotency_lookups_total", result="replayed") == 1


async def test_samples_carry_the_key_of_their_request(gateway: Any) -> None:
    await gateway.post(PATH, BODY, KEY)
    await gateway.post(PATH, BODY, {"idempotency-key": "order-2"})
    one, two = (key for *_, key in gateway.publisher.sent)
    assert one != two
    assert len(one) == len(two) == 16


@pytest.mark.parametrize(("path", "body"), [(PATH, [*BODY, *BODY]), ("/api/metrics/custom", BODY[0])])
async def test_other_request_under_the_same_key_is_422(gateway: Any, path: str, body: object) -> None:
    await gateway.post(PATH, BODY, KEY)
    reply = await gateway.post(path, body, KEY)
    assert reply.status == 422
    assert reply.json["type"] == "/problems/idempotency-key-reused"
    assert len(gateway.publisher.sent) == 1


@pytest.mark.parametrize("body", [BODY, [*BODY, *BODY]])
async def test_what_a_stranger_sends_under_a_key_changes_nothing_for_a_sender(gateway: Any, body: object) -> None:
    stranger = gateway.authenticator.principal
    assert (await gateway.post(PATH, body, KEY)).status == 201
    gateway.authenticator.principal = replace(stranger, kind=PrincipalKind.KEY)
    reply = await gateway.post(PATH, BODY, KEY)
    assert (reply.status, reply.headers.get("idempotency-replayed")) == (201, None)
    assert len({key for *_, key in gateway.publisher.sent}) == 2, "of theirs it is no repeat"
    for principal, same in ((stranger, body), (replace(stranger, kind=PrincipalKind.KEY), BODY)):
        gateway.authenticator.principal = principal
        assert (await gateway.post(PATH, same, KEY)).headers["idempotency-replayed"] == "true"


async def test_repeat_while_the_first_is_worked_on_is_409(gateway: Any) -> None:
    gateway.publisher.gate = asyncio.Event()
    first = asyncio.create_task(gateway.post(PATH, BODY, KEY))
    await gateway.publisher.called.wait()
    reply = await gateway.post(PATH, BODY, KEY)
    assert reply.status == 409
    assert reply.headers["retry-after"]
    gateway.publisher.gate.set()
    assert (await first).status == 201
    assert (await gateway.post(PATH, BODY, KEY)).headers["idempotency-replayed"] == "true"


async def test_unknown_outcome_is_not_stored_and_the_retry_has_the_same_key(gateway: Any) -> None:
    gateway.publisher.fail = BusUnavailable("late")
    assert (await gateway.post(PATH, BODY, KEY)).status == 503
    gateway.publisher.fail = None
    assert (await gateway.post(PATH, BODY, KEY)).status == 201
    expected = idempotency.request_key(
        "default", b"order-1", PATH, __import__("json").dumps(BODY).encode(), stranger=True
    )
    assert [key for *_, key in gateway.publisher.sent] == [expected]


async def test_refused_request_gives_its_key_back(gateway: Any) -> None:
    assert (await gateway.post(PATH, [1], KEY)).status == 400
    assert (await gateway.post(PATH, BODY, KEY)).status == 201


async def test_redis_away_does_not_fail_requests_and_is_left_alone(gateway: Any) -> None:
    gateway.redis.away = True
    for i in range(20):
        assert (await gateway.post(PATH, BODY, {"idempotency-key": f"k{i}"})).status == 201
    assert gateway.redis.calls == 1
    assert gateway.metric("vigie_ingest_idempotency_lookups_total", result="unavailable") == 20
    gateway.redis.away = False
    gateway.clock.advance(30)
    await gateway.post(PATH, BODY, KEY)
    assert (await gateway.post(PATH, BODY, KEY)).headers["idempotency-replayed"] == "true"


async def test_same_key_twice_without_redis_never_shares_a_record(gateway: Any) -> None:
    gateway.redis.away = True
    gateway.publisher.gate = asyncio.Event()
    both = [asyncio.create_task(gateway.post(PATH, BODY, KEY)) for _ in range(2)]
    await asyncio.sleep(0.05)  # a second write would have happened by now
    assert gateway.publisher.calls == 1
    gateway.publisher.gate.set()
    assert [reply.status for reply in await asyncio.gather(*both)] == [201, 201]
    assert gateway.publisher.calls == 2


async def test_failures_at_the_same_time_are_one_failure(gateway: Any) -> None:
    gateway.redis.away = True
    gateway.redis.gate = asyncio.Event()
    posts = [asyncio.create_task(gateway.post(PATH, BODY, {"idempotency-key": f"k{i}"})) for i in range(50)]
    for _ in posts:
        await gateway.redis.waiting.get()
    gateway.redis.gate.set()
    assert {reply.status for reply in await asyncio.gather(*posts)} == {201}
    gateway.redis.away = False
    gateway.clock.advance(1.01)  # the pause after one failure
    await gateway.post(PATH, BODY, KEY)
    assert (await gateway.post(PATH, BODY, KEY)).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("outcome", [None, BusUnavailable("late")])
async def test_lock_of_a_finished_request_does_not_stop_its_retry(gateway: Any, outcome: Any) -> None:
    gateway.publisher.gate = asyncio.Event()
    gateway.publisher.fail = outcome
    first = asyncio.create_task(gateway.post(PATH, BODY, KEY))
    await gateway.publisher.called.wait()
    gateway.redis.away = True
    gateway.publisher.gate.set()
    assert (await first).status == (503 if outcome else 201)
    gateway.publisher.fail = None
    gateway.redis.away = False
    gateway.clock.advance(2)
    again = await gateway.post(PATH, BODY, KEY)
    assert again.status == 201
    assert ("idempotency-replayed" in again.headers) == (outcome is None)
    assert len(gateway.publisher.sent) == 1


async def test_answer_is_stored_although_another_request_found_redis_away(gateway: Any) -> None:
    gateway.publisher.gate = asyncio.Event()
    first = asyncio.create_task(gateway.post(PATH, BODY, KEY))
    await gateway.publisher.called.wait()
    gateway.redis.away = True
    gateway.publisher.called.clear()
    other = asyncio.create_task(gateway.post(PATH, BODY, {"idempotency-key": "other"}))
    await gateway.publisher.called.wait()
    gateway.redis.away = False
    gateway.publisher.gate.set()
    assert {reply.status for reply in await asyncio.gather(first, other)} == {201}
    gateway.clock.advance(30)
    assert (await gateway.post(PATH, BODY, KEY)).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\x7f", "a, b"])
async def test_unusable_key_is_refused(gateway: Any, key: str) -> None:
    reply = await gateway.post(PATH, BODY, {"idempotency-key": key})
    assert reply.status == 400
    assert "Idempotency-Key" in reply.json["detail"]


def test_keys_depend_on_every_part_and_on_where_parts_end() -> None:
    one = Sample("m", Kind.COUNTER, (("a", "b"),), 1.0)
    made = {
        idempotency.request_key("t", b"k", "/r", b"body"),
        idempotency.request_key("tk", b"", "/r", b"body"),
        idempotency.request_key("t", b"k", "/rb", b"ody"),
        idempotency.request_key("t", b"k", "/r", b"body2"),
        idempotency.request_key("t", b"k", "/r", b"body", stranger=True),
        idempotency.event_key("t", "s", "1", [one]),
        idempotency.event_key("t", "s1", "", [one]),
        idempotency.event_key("u", "s", "1", [one]),
        idempotency.event_key("t", "s", "1", [one, one]),
        idempotency.event_key("t", "s", "1", [replace(one, name="n")]),
        idempotency.event_key("t", "s", "1", [replace(one, kind=Kind.GAUGE)]),
        idempotency.event_key("t", "s", "1", [replace(one, labels=())]),
        idempotency.event_key("t", "s", "1", [replace(one, value=2.0)]),
    }
    assert len(made) == 13


def test_an_answer_that_was_stored_without_its_headers_is_json() -> None:
    older = msgspec.msgpack.encode([b"request", b"", 201, b"{}"])
    assert msgspec.msgpack.decode(older, type=idempotency._Stored).headers == ((b"content-type", b"application/json"),)


def _listed(refused: int) -> bytes:
    problem = {"index": 0, "field": "labels." + "l" * 128, "reason": "must be a string, a number or a boolean"}
    return msgspec.json.encode({"errors": [{**problem, "index": i} for i in range(refused)]})


async def test_a_tenant_has_room_for_its_newest_answers_and_no_more(
    redis_url: str, unique: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_SLOTS", 50)
    tenant, other = unique("acme"), unique("other")
    async with Redis.from_url(redis_url) as redis:
        store = IdempotencyStore(redis, SystemClock())
        store._breaker._wait_s = 10.0

        async def answer(tenant: str, i: int, body: bytes = b"{}", **more: Any) -> None:
            _, ticket = await store.claim(tenant, b"%d" % i, b"request", **more)
            assert isinstance(ticket, Ticket)
            await store.store(ticket, Replay(201, body, ()))

        async def found(tenant: str, i: int) -> Lookup:
            lookup, ticket = await store.claim(tenant, b"%d" % i, b"request")
            if isinstance(ticket, Ticket):
                await store.release(ticket)
            return lookup

        await answer(other, 0)
        for i in range(80):
            await answer(tenant, i)
        assert [i for i in range(80) if await found(tenant, i) is Lookup.REPLAYED] == list(range(30, 80))
        await answer(tenant, 80, _listed(100))
        kept = [i for i in range(81) if await found(tenant, i) is Lookup.REPLAYED]
        assert kept[-1] == 80
        assert 30 < kept[0] < 40, "an answer takes as much room as it is long"
        for i in range(100, 200):
            await answer(tenant, i, stranger=True)
        assert [i for i in range(81) if await found(tenant, i) is Lookup.REPLAYED] == kept
        assert await found(other, 0) is Lookup.REPLAYED
        lives = [await redis.ttl(key) async for key in redis.scan_iter(f"vigie:{tenant}:*")]
        assert len(lives) == len(kept) + 50 + 2
        assert all(0 < life <= limits.IDEMPOTENCY_TTL_S for life in lives)


async def test_a_slot_that_outlived_its_answer_takes_nothing_with_it(
    redis_url: str, unique: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_SLOTS", 3)
    tenant = unique("acme")
    async with Redis.from_url(redis_url) as redis:
        store = IdempotencyStore(redis, SystemClock())
        store._breaker._wait_s = 10.0

        async def ticket(key: bytes) -> Ticket:
            _, made = await store.claim(tenant, key, b"request")
            assert isinstance(made, Ticket)
            return made

        async def answer(made: Ticket) -> None:
            await store.store(made, Replay(201, b"{}", ()))

        for key in (b"worked on", b"answered"):
            made = await ticket(key)
            await answer(made)
            await redis.delete(made.name)  # as after 24 h
        await ticket(b"worked on")
        await answer(await ticket(b"answered"))
        await answer(await ticket(b"other 1"))
        await answer(await ticket(b"other 2"))  # both old slots are gone now
        with pytest.raises(InProgressError):
            await store.claim(tenant, b"worked on", b"request")
        assert (await store.claim(tenant, b"answered", b"request"))[0] is Lookup.REPLAYED


async def test_a_long_answer_is_kept_compressed_and_an_immense_one_not_at_all(gateway: Any) -> None:
    bad = {**BODY[0], "labels": {"l" * 128: []}}
    items = [*BODY, *[bad] * 100]
    first = await gateway.post(PATH, items, KEY)
    assert first.status == 201
    assert len(first.body) > 10_000
    (stored,) = gateway.redis.data.values()
    assert len(stored) < 1_000
    again = await gateway.post(PATH, items, KEY)
    assert (again.body, again.headers["idempotency-replayed"]) == (first.body, "true")
    _, ticket = await gateway.resources.idempotency.claim("acme", b"k", b"request")
    noise = b"".join(digest(b"noise", b"%d" % i) for i in range(2_000))
    await gateway.resources.idempotency.store(ticket, Replay(201, noise, ()))
    assert len(gateway.redis.data) == 1, "nor does its key stay locked"
