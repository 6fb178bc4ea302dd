"""A repeated request counts once: whoever died between its record and its answer, whichever gateway gets it next."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import quote

import httpx2 as httpx
import pytest
from vigie_contracts import limits
from vigie_contracts.series import Kind, series_key

from tests.chaos import stored
from tests.chaos.ledger import Ledger, Sample
from tests.chaos.load import Plan, Series, batch
from tests.integration import bus
from tests.integration.test_late import now_ms
from tests.integration.world import World, load, more
from tests.kit import eventually

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
fault = pytest.mark.fault


async def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    """One request as a client would send it."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        given = {"content-type": "application/json", **headers}
        return await client.post(url, content=body, headers=given)


async def test_same_key_is_counted_once_at_any_gateway_and_with_no_memory_of_answers(rough: World) -> None:
    rough.services.start(gateways=2, aggregators=1)
    ledger = rough.ledger("again")
    plan = Plan(Series(ledger, 30), 4)
    requests = [plan.request() for _ in range(10)]
    async with rough.sender(ledger) as sender:
        for request in requests:
            await sender.deliver(request)
    nothing = rough.ledger("again")
    async with rough.sender(nothing) as sender:  # the other gateway, or the same, both keep the answers
        for request in requests:
            await sender.deliver(request)
        assert sender.answers.replayed == len(requests)
    await rough.forget()
    async with rough.sender(nothing) as sender:
        for request in requests:
            await sender.deliver(request)
        assert sender.answers.replayed == 0
        assert sender.answers.wrong == []
    await rough.exact(ledger)


@fault
async def test_gateway_killed_between_record_and_answer(rough: World) -> None:
    """Redis hangs, so the gateway lingers over keeping its answer after the record is in the log: it dies there."""
    rough.services.start(gateways=2, aggregators=1)
    cache, first = rough.servers.redis.process, rough.services.gateways[0]
    assert cache is not None
    ledger = rough.ledger("between")
    request = batch([Sample(key, now_ms(), 7) for key in Series(ledger, 40).known(1.0)])
    for attempt in range(6):
        before = await stored.ends(rough.addresses.kafka)
        url = rough.services.urls[first.name] + request.path
        sending = asyncio.create_task(post(url, request.body, **{"idempotency-key": request.key}))
        if attempt:  # the first attempt registers the series and warms up
            cache.pause()

        async def recorded(since: dict[int, int] = before) -> bool:
            return await stored.ends(rough.addresses.kafka) != since

        try:
            await eventually(recorded, 30, interval=0.005)
            await asyncio.to_thread(first.kill)
        finally:
            cache.resume()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.to_thread(first.start, 60)
    async with rough.sender(ledger) as sender:
        await sender.deliver(request)
        assert sender.answers.wrong == []
    await rough.exact(ledger, 90)


@fault
async def test_gateways_killed_again_and_again_under_load(rough: World) -> None:
    rough.services.start(gateways=2, aggregators=1)
    ledger = rough.ledger("gateways")
    async with load(rough, ledger) as sender:
        for turn in range(4):
            await more(ledger, 200)
            victim = rough.services.gateways[turn % 2]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start, 60)
    assert sender.answers.resolved > 0
    await rough.exact(ledger, 90)


async def test_big_requests_of_one_partition_that_need_several_records_are_counted_whole(calm: World) -> None:
    """Many large keyed requests at once fill more than one record; a request's key must not drop its second half."""
    ledger, now = calm.ledger("split"), now_ms()
    key = series_key(ledger.tenant, ledger.prefix, Kind.COUNTER, {})
    requests = [batch([Sample(key, now - i % 5000, i % 7) for i in range(limits.MAX_BATCH_ITEMS)]) for _ in range(9)]
    async with calm.sender(ledger) as sender:
        await sender.deliver(batch([Sample(key, now, 1)]))
        await asyncio.gather(*(sender.deliver(request) for request in requests))
        assert sender.answers.wrong == []
    assert ledger.samples == 9 * limits.MAX_BATCH_ITEMS + 1
    await calm.exact(ledger)


async def test_other_body_under_a_used_key_is_refused_and_not_counted(calm: World) -> None:
    ledger, now = calm.ledger("reused"), now_ms()
    key = series_key(ledger.tenant, ledger.prefix, Kind.COUNTER, {})
    good, other = batch([Sample(key, now, 1)]), batch([Sample(key, now, 100)])
    async with calm.sender(ledger) as sender:
        await sender.deliver(good)
    url = calm.services.gateway_urls[0] + good.path
    answer = await post(url, other.body, **{"idempotency-key": good.key})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/idempotency-key-reused"
    await calm.exact(ledger)


async def test_cloudevent_sent_again_is_counted_once(rough: World) -> None:
    rough.services.start(gateways=1, aggregators=1)
    ledger, now = Ledger(rough.services.tenant), now_ms()
    event = {
        "specversion": "1.0", "id": "1", "source": "/shop/booking", "type": "com.acme.booking.created",
        "time": datetime.fromtimestamp(now / 1000, UTC).isoformat(), "data": {"quantity": 3},
    }  # fmt: skip
    url = rough.services.gateway_urls[0] + "/api/events"
    structured = {"content-type": "application/cloudevents+json"}
    for _ in range(3):
        assert (await post(url, json.dumps(event).encode(), **structured)).is_success
    both = [event, {**event, "id": "2"}, {**event, "id": "2"}]
    batched = {"content-type": "application/cloudevents-batch+json"}
    assert (await post(url, json.dumps(both).encode(), **batched)).is_success
    for _ in range(2):
        created = series_key(ledger.tenant, "bookings_created_total", Kind.COUNTER, {"service": "booking"})
        counted = series_key(
            ledger.tenant, "events_total", Kind.COUNTER, {"service": "booking", "type": "booking.created"}
        )
        ledger.add([Sample(created, now, 3), Sample(counted, now, 1)])
    await rough.exact(ledger)


async def test_events_of_one_id_that_say_different_things_count_wholly(rough: World) -> None:
    """Their series lie in several partitions, some of which have seen the id: with each service in others. Each is sent
    structured and binary, together and alone, to two gateways."""
    rough.services.start(gateways=2, aggregators=1)
    ledger, now = Ledger(rough.services.tenant), now_ms()
    time = datetime.fromtimestamp(now / 1000, UTC).isoformat()
    first, second = (f"{url}/api/events" for url in rough.services.gateway_urls)
    structured = {"content-type": "application/cloudevents-batch+json"}
    for number in range(24):
        service = f"shop{number}"
        attributes = {"specversion": "1.0", "id": "1", "source": f"/é/{service}", "time": time}
        money = {"amount": 100, "currency": "EUR"}
        events = [
            {**attributes, "type": "booking.created"},
            {**attributes, "type": "booking.completed", "data": money},
        ]
        for some, url in ((events[:1], first), (events[1:], second), (events, first), (events, second)):
            assert (await post(url, json.dumps(some).encode(), **structured)).is_success
        binary = {f"ce-{name}": quote(value) for name, value in attributes.items()}
        assert (await post(second, json.dumps(money).encode(), **binary, **{"ce-type": "booking.completed"})).is_success
        for name, value, labels in (
            ("bookings_created_total", 1, {}),
            ("bookings_completed_total", 1, {}),
            ("booking_revenue_total", 100, {"currency": "EUR"}),
            ("events_total", 1, {"type": "booking.created"}),
            ("events_total", 1, {"type": "booking.completed"}),
        ):
            key = series_key(ledger.tenant, name, Kind.COUNTER, {"service": service, **labels})
            ledger.add([Sample(key, now, value)])
    await rough.exact(ledger)


async def test_record_is_in_the_log_before_the_sender_is_told(calm: World) -> None:
    ledger, before = calm.ledger("durable"), await stored.ends(calm.addresses.kafka)
    key = series_key(ledger.tenant, ledger.prefix, Kind.COUNTER, {})
    async with calm.sender(ledger) as sender:
        await sender.deliver(batch([Sample(key, now_ms(), 1)]))
    found = await bus.records(calm.addresses.kafka, since=before)
    assert found
