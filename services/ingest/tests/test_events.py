"""POST /api/events: the modes of CloudEvents, and what business events add up to."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import events, names
from vigie_ingest import mapping
from vigie_ingest.idempotency import event_key
from vigie_publishing.errors import ItemError
from vigie_publishing.metric import Sample

PATH = "/api/events"
ONE = {"content-type": "application/cloudevents+json"}
MANY = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}


def event(type_: str = "booking.created", id_: str = "1", **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id_, "source": "/services/booking", "type": type_, **more}


def published(gateway: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Sum per (name, labels)."""
    sums: dict[Any, float] = {}
    for fingerprint, _, value, _ in gateway.publisher.sent:
        key = gateway.catalogue.series[fingerprint]
        sums[key.name, key.labels] = sums.get((key.name, key.labels), 0) + value
    return sums


async def test_structured_event_is_taken(gateway: Any, now_ms: int) -> None:
    reply = await gateway.post(PATH, event(time="2026-09-21T14:13:19Z"), ONE)
    assert reply.status == 201, reply.body
    assert (reply.json["accepted"], reply.json["rejected"], reply.json["success"]) == (1, 0, True)
    assert {ts for _, ts, _, _ in gateway.publisher.sent} == {now_ms - 1000}
    assert published(gateway) == {
        (names.EVENTS, (("service", "booking"), ("type", "booking.created"))): 1,
        (names.BOOKINGS_CREATED, (("service", "booking"),)): 1,
    }


async def test_binary_event_is_taken(gateway: Any) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "a%20b",
        "ce-source": "/shop/caf%C3%A9",
        "ce-type": "com.acme.funnel.step",
        "ce-time": "2026-09-21T14:13:19Z",
    }
    reply = await gateway.post(PATH, {"step": "cart", "count": 2}, headers)
    assert reply.status == 201, reply.body
    assert published(gateway)[names.FUNNEL_STEPS, (("service", "café"), ("step", "cart"))] == 2


async def test_binary_event_without_data_is_taken(gateway: Any) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "session.started"}
    reply = await gateway.request("POST", PATH, b"", headers)
    assert reply.status == 201, reply.body


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
async def test_binary_event_without_an_attribute_is_refused(gateway: Any, missing: str) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "session.started"}
    if missing in ("id", "specversion"):  # either of them makes the request a binary one
        headers = {name: value for name, value in headers.items() if name != f"ce-{missing}"}
    else:
        del headers[f"ce-{missing}"]
    reply = await gateway.post(PATH, b"{}", headers)
    assert reply.status == 400
    assert reply.json["errors"][0]["field"] == missing


@pytest.mark.parametrize("headers", [MANY, {}], ids=["batch", "plain JSON"])
async def test_batch_judges_each_event_alone(gateway: Any, headers: dict[str, str]) -> None:
    sent = [
        event(id_="1"),
        event("booking.completed", "2", data={"amount": 5}),
        event("booking.completed", "3", data={"amount": 5.5, "currency": "EUR"}),
        {"id": "4"},
        event("payment.succeeded", "5", data={"amount": -1, "currency": "EUR"}),
        event(id_="6", specversion="0.3"),
        event(id_="7", time="soon"),
        event(id_="8", time="2001-01-01T00:00:00Z"),
        event(id_="9", data_base64="AA=="),
        event(id_="10", datacontenttype="application/xml"),
        event(id_="11", data={"x": "y" * 70_000}),
        event("satisfaction.rated", "12", data={"score": "good"}),
        event("funnel.step", "13"),
        event("", "14"),
        7,
    ]
    reply = await gateway.post(PATH, sent, headers)
    assert reply.status == 201, reply.body
    assert (reply.json["accepted"], reply.json["rejected"]) == (2, 13)
    assert {error["index"]: error["field"] for error in reply.json["errors"]} == {
        1: "data.currency",
        3: "source",
        4: "data.amount",
        5: "specversion",
        6: "time",
        7: "time",
        8: "data_base64",
        9: "datacontenttype",
        10: "data",
        11: "data.score",
        12: "data.step",
        13: "type",
        14: "item",
    }


@pytest.mark.parametrize("headers", [MANY, {}], ids=["batch", "plain JSON"])
async def test_empty_batch_is_taken_and_adds_nothing(gateway: Any, headers: dict[str, str]) -> None:
    reply = await gateway.post(PATH, [], headers)
    assert (reply.status, reply.json["accepted"], reply.json["rejected"]) == (201, 0, 0)
    assert gateway.publisher.calls == 0


async def test_repeat_within_a_request_is_taken_and_adds_nothing(gateway: Any) -> None:
    reply = await gateway.post(PATH, [event(id_="1"), event(id_="1"), event(id_="2")], MANY)
    assert reply.json["accepted"] == 3
    assert published(gateway)[names.BOOKINGS_CREATED, (("service", "booking"),)] == 2


CREATED = event("booking.created", "1")
COMPLETED = event("booking.completed", "1", data={"amount": 100, "currency": "EUR"})


@pytest.mark.parametrize("together", [True, False])
async def test_other_contents_under_a_used_id_are_another_event(gateway: Any, together: bool) -> None:
    for body in [[CREATED, COMPLETED]] if together else [[CREATED], [COMPLETED]]:
        assert (await gateway.post(PATH, body, MANY)).status == 201
    assert published(gateway) == {
        (names.EVENTS, (("service", "booking"), ("type", "booking.created"))): 1,
        (names.BOOKINGS_CREATED, (("service", "booking"),)): 1,
        (names.EVENTS, (("service", "booking"), ("type", "booking.completed"))): 1,
        (names.BOOKINGS_COMPLETED, (("service", "booking"),)): 1,
        (names.REVENUE, (("currency", "EUR"), ("service", "booking"))): 100,
    }
    first, second = (keys_of(gateway, names.BOOKINGS_CREATED), keys_of(gateway, names.REVENUE))
    assert first.isdisjoint(second), "no key stands for samples of both: no partition takes one for the other's repeat"


def keys_of(gateway: Any, name: str) -> set[bytes]:
    return {key for fp, _, _, key in gateway.publisher.sent if gateway.catalogue.series[fp].name == name}


@given(
    first=st.sampled_from(sorted(events.EVENT_DATA)),
    second=st.sampled_from(sorted(events.EVENT_DATA)),
    amounts=st.tuples(*[st.sampled_from([1, 1.0, 2, 2.5])] * 2),
    services=st.tuples(*[st.sampled_from(["a", "b"])] * 2),
)
def test_equal_keys_mean_equal_samples(
    first: str, second: str, amounts: tuple[float, float], services: tuple[str, str]
) -> None:
    def made(type_: str, amount: float, service: str) -> tuple[bytes, list[Sample]]:
        data = {"amount": amount, "currency": "EUR", "step": "s", "score": amount, "activeUsers": amount}
        mapped = mapping.samples_of(type_, "/x", json.dumps(data | {"service": service}).encode())
        assert not isinstance(mapped, ItemError)
        return event_key("t", "/x", "1", mapped.samples), mapped.samples

    one, other = (made(*what) for what in zip((first, second), amounts, services, strict=True))
    assert (one[0] == other[0]) == (one[1] == other[1])


async def test_every_event_has_its_own_key_whatever_request_it_comes_in(gateway: Any) -> None:
    await gateway.post(PATH, [event(id_="1"), event(id_="2")], MANY)
    await gateway.post(PATH, event(id_="1"), {**ONE, "idempotency-key": "k"})
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/services/booking", "ce-type": "booking.created"}
    await gateway.post(PATH, b" { } ", binary)
    keys = [key for *_, key in gateway.publisher.sent]
    assert keys[0] == keys[1] == keys[4] == keys[5] == keys[6] == keys[7] != keys[2] == keys[3]


BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/b/%C3%A9t%C3%A9", "ce-type": "booking.created"}


async def test_raw_and_encoded_and_structured_text_is_one_event(gateway: Any) -> None:
    await gateway.post(PATH, b"{}", BINARY)
    await gateway.post(PATH, b"{}", BINARY | {"ce-source": "/b/été".encode().decode("latin-1")})
    await gateway.post(PATH, b"{}", BINARY | {"ce-source": '"/b/\\%c3%a9t%c3%a9"'})
    await gateway.post(PATH, event(source="/b/été"), ONE)
    assert len({key for *_, key in gateway.publisher.sent}) == 1
    assert {dict(key.labels)["service"] for key in gateway.catalogue.series.values()} == {"été"}


@pytest.mark.parametrize("text", ["%FF", "%C3", "%zz", "a%", "%f", "%ED%A0%80", "%C0%AF", "caf\xe9"])
@pytest.mark.parametrize("header", ["ce-id", "ce-source", "ce-type", "ce-time", "ce-subject"])
async def test_header_that_is_no_text_is_refused_by_name(gateway: Any, header: str, text: str) -> None:
    reply = await gateway.post(PATH, b"{}", BINARY | {header: text})
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, header)
    assert gateway.publisher.calls == 0


@pytest.mark.parametrize("header", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
async def test_header_that_is_there_twice_is_refused_by_name(gateway: Any, header: str) -> None:
    lines = [*BINARY.items(), (header.upper(), BINARY[header]), ("content-type", "application/json")]
    reply = await gateway.request("POST", PATH, b"{}", lines)
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, header)
    assert "twice" in reply.json["errors"][0]["reason"]


@pytest.mark.parametrize("text", ["a\x00", "a\n", "\x85", "\ufffe"])
@pytest.mark.parametrize("field", ["id", "source", "type"])
async def test_control_characters_are_refused_in_every_mode(gateway: Any, field: str, text: str) -> None:
    reply = await gateway.post(PATH, event() | {field: text}, ONE)
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, field)
    reply = await gateway.post(PATH, b"{}", BINARY | {f"ce-{field}": quote(text)})
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, field)


async def test_data_in_base64_is_the_same_event(gateway: Any) -> None:
    data = {"amount": 7.5, "currency": "EUR"}
    encoded = b64encode(json.dumps(data).encode()).decode()
    await gateway.post(PATH, event("booking.completed", data=data), ONE)
    assert (await gateway.post(PATH, event("booking.completed", data_base64=encoded), ONE)).status == 201
    assert len({key for *_, key in gateway.publisher.sent}) == 1


@pytest.mark.parametrize(
    "more", [{"data_base64": "e30"}, {"data_base64": "e3 0="}, {"data_base64": "e30=", "data": {}},
             {"data_base64": "e30=" * 30_000}, {"data_base64": "_w=="}, {"data_base64": "/w=="}]
)  # fmt: skip
async def test_bad_base64_is_refused(gateway: Any, more: dict[str, Any]) -> None:
    reply = await gateway.post(PATH, event(**more), ONE)
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "data_base64")


async def test_binary_event_needs_a_type_of_its_data_only_when_it_has_some(gateway: Any) -> None:
    assert (await gateway.request("POST", PATH, b"", BINARY)).status == 201
    assert (await gateway.request("POST", PATH, b"{}", BINARY)).status == 415


async def test_null_is_absent(gateway: Any) -> None:
    for number, type_ in enumerate(events.EVENT_DATA):
        fields = msgspec.structs.fields(events.EVENT_DATA[type_])
        required = {"step": "cart", "score": 1, "activeUsers": 1, "amount": 1, "currency": "EUR"}
        needed = {field.encode_name: required[field.encode_name] for field in fields if field.required}
        nulls = {field.encode_name: None for field in fields if not field.required}
        for data in (needed, needed | nulls):
            reply = await gateway.post(PATH, event(type_, str(number), data=data), ONE)
            assert (reply.status, "warnings" in reply.json) == (201, False), (type_, reply.body)
    assert len({key for *_, key in gateway.publisher.sent}) == len(events.EVENT_DATA)


MEANINGS: list[tuple[str, dict[str, Any], dict[tuple[str, ...], float]]] = [
    ("booking.created", {"quantity": 3}, {(names.BOOKINGS_CREATED, "service=booking"): 3}),
    ("booking.completed", {}, {(names.BOOKINGS_COMPLETED, "service=booking"): 1}),
    (
        "com.acme.booking.completed",
        {"quantity": 2, "amount": 19.99, "currency": "EUR"},
        {
            (names.BOOKINGS_COMPLETED, "service=booking"): 2,
            (names.REVENUE, "currency=EUR", "service=booking"): 19.99,
        },
    ),
    ("booking.cancelled", {}, {(names.BOOKINGS_CANCELLED, "service=booking"): 1}),
    (
        "payment.succeeded",
        {"amount": 7, "currency": "USD", "method": "card", "service": "pay"},
        {
            (names.PAYMENTS, "method=card", "service=pay", "status=succeeded"): 1,
            (names.PAYMENT_AMOUNT, "currency=USD", "service=pay"): 7,
        },
    ),
    ("payment.failed", {}, {(names.PAYMENTS, "method=unknown", "service=booking", "status=failed"): 1}),
    (
        "payment.refunded",
        {"amount": 7, "currency": "USD"},
        {
            (names.PAYMENTS, "method=unknown", "service=booking", "status=refunded"): 1,
            (names.REFUNDS, "currency=USD", "service=booking"): 7,
        },
    ),
    ("funnel.step", {"step": "search"}, {(names.FUNNEL_STEPS, "service=booking", "step=search"): 1}),
    ("satisfaction.rated", {"score": 4.5}, {(names.SATISFACTION, "service=booking"): 4.5}),
    ("session.started", {}, {(names.SESSIONS_STARTED, "service=booking"): 1}),
    (
        "session.ended",
        {"durationSeconds": 61.5},
        {(names.SESSIONS_ENDED, "service=booking"): 1, (names.SESSION_DURATION, "service=booking"): 61.5},
    ),
    ("session.active", {"activeUsers": 12}, {(names.ACTIVE_USERS, "service=booking"): 12}),
    ("order.shipped", {"anything": [1, {"x": None}]}, {}),
]


@pytest.mark.parametrize(("type_", "data", "expected"), MEANINGS, ids=[m[0] for m in MEANINGS])
async def test_event_becomes_its_samples(gateway: Any, type_: str, data: Any, expected: Any) -> None:
    assert (await gateway.post(PATH, event(type_, data=data), ONE)).status == 201
    found = {(name, *(f"{k}={v}" for k, v in labels)): value for (name, labels), value in published(gateway).items()}
    service = data.get("service", "booking")
    short = ".".join(type_.split(".")[-2:])
    assert found == {**expected, (names.EVENTS, f"service={service}", f"type={short}"): 1}


@pytest.mark.parametrize(
    ("source", "service"),
    [
        ("/services/booking", "booking"),
        ("https://shop.example/booking/?x=1#y", "booking"),
        ("booking", "booking"),
        ("urn:shop:booking", "urn:shop:booking"),
        ("/", "unknown"),
    ],
)
async def test_service_is_the_last_part_of_the_source(gateway: Any, source: str, service: str) -> None:
    await gateway.post(PATH, event(source=source), ONE)
    assert (names.BOOKINGS_CREATED, (("service", service),)) in published(gateway)


async def test_event_with_a_refused_series_adds_nothing_at_all(gateway: Any) -> None:
    gateway.catalogue.limit = 1
    reply = await gateway.post(PATH, event(), ONE)
    assert reply.status == 400
    assert gateway.publisher.sent == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (ONE, b"", 400),
        (ONE, b"[]", 400),
        (ONE, b"{", 400),
        (MANY, b"{}", 400),
        (MANY, b"[" * 100_000, 400),
        ({}, b"\xef\xbb\xbf{}", 400),
        ({"content-type": "application/cloudevents+avro"}, b"x", 415),
        ({"content-type": "application/cloudevents+xml"}, b"x", 415),
        ({"content-type": "text/plain"}, b"x", 415),
        (MANY, json.dumps([event()] * 10_001).encode(), 413),
    ],
)
async def test_unusable_body_is_a_client_error(gateway: Any, headers: dict[str, str], body: bytes, status: int) -> None:
    reply = await gateway.post(PATH, body, headers)
    assert reply.status == status, reply.body
    assert reply.json["status"] == status
