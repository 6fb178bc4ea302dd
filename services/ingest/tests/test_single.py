"""POST /api/metrics/custom and /business: one metric in, one verdict out."""

import json
from typing import Any

import pytest
from vigie_publishing.series import registrar
from vigie_runtime.backoff import Backoff

from tests.kit import eventually

ROUTES = ["/api/metrics/custom", "/api/metrics/business"]
GOOD = {"name": "custom_counter", "type": "counter", "value": 1, "labels": {"service": "booking"}}


@pytest.mark.parametrize("path", ROUTES)
async def test_metric_is_published_and_echoed(gateway: Any, path: str, now_ms: int) -> None:
    reply = await gateway.post(path, GOOD)
    assert reply.status == 201
    [(fingerprint, ts, value, key)] = gateway.publisher.sent
    assert reply.json == {
        "success": True,
        "accepted": 1,
        "message": "metric recorded",
        "metric": {"name": "custom_counter", "fingerprint": f"{fingerprint:016x}", "timestamp": now_ms},
    }
    assert (ts, value, key) == (now_ms, 1.0, None)
    assert gateway.catalogue.series[fingerprint].labels == (("service", "booking"),)


async def test_known_series_does_not_ask_the_catalogue_again(gateway: Any) -> None:
    for _ in range(5):
        assert (await gateway.post(ROUTES[0], GOOD)).status == 201
    assert gateway.catalogue.calls == 1


async def test_label_order_does_not_change_the_series(gateway: Any) -> None:
    for labels in ('{"a":"1","b":"2"}', '{ "b":"2", "a":"1" }'):
        body = f'{{"name":"m","type":"gauge","value":1,"labels":{labels}}}'
        assert (await gateway.post(ROUTES[0], body.encode())).status == 201
    assert len({fingerprint for fingerprint, *_ in gateway.publisher.sent}) == 1


async def test_cached_series_keeps_no_request_body_alive(gateway: Any) -> None:
    await gateway.post(ROUTES[0], {**GOOD, "padding": "x" * 100_000})
    [identity] = gateway.resources.pipeline.series._known.young
    assert isinstance(identity[4], bytes)
    assert len(identity[4]) < 100


@pytest.mark.parametrize(
    ("stamp", "offset_ms"),
    [(1_789_999_999_000, -1000), ("2026-09-21T14:13:20Z", 0), ("2026-09-21T16:13:20.250+02:00", 250), (None, 0)],
)
async def test_timestamp_is_taken_in_both_forms(gateway: Any, stamp: object, offset_ms: int, now_ms: int) -> None:
    reply = await gateway.custom(**GOOD, timestamp=stamp)
    assert reply.status == 201, reply.body
    assert gateway.publisher.sent[0][1] == now_ms + offset_ms


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        (1_790_000_000, "looks like seconds"),
        (1_790_000_000_000_000, "looks like microseconds"),
        (1_790_000_000_000_000_000, "looks like nanoseconds"),
        (1_790_000_000_000 + 601_000, "10 minutes ahead"),
        (1_700_000_000_000, "400 days"),
        (0, "too old"),
        (-5, "too old"),
        (10**30, "in the future"),
        (-(10**30), "too old"),
        (1.5, "milliseconds"),
        (True, "milliseconds"),
        ("yesterday", "RFC 3339"),
        ("2026-09-21", "RFC 3339"),
        ("2026-09-21T15:33:20", "with its offset"),
        ("2026-13-41T99:00:00Z", "RFC 3339"),
        ("1790000000000", "RFC 3339"),
        ("0001-01-01T00:00:00Z", "too old"),
        ("9999-12-31T23:59:59Z", "in the future"),
        ([], "milliseconds"),
    ],
)
async def test_bad_timestamp_is_refused_with_the_reason(gateway: Any, stamp: object, said: str) -> None:
    reply = await gateway.custom(**GOOD, timestamp=stamp)
    assert reply.status == 400
    [error] = reply.json["errors"]
    assert error["field"] == "timestamp"
    assert said in error["reason"]
    assert reply.json["message"] == reply.json["detail"]
    assert gateway.publisher.calls == 0
    assert gateway.catalogue.calls == 0, "a faulty item must not make its series known"


BAD: list[tuple[str, str]] = [
    ("value", '"1"'), ("value", "true"), ("value", "null"), ("value", "[1]"), ("value", "{}"), ("value", "1e400"),
    ("value", "-1e400"), ("value", "NaN"), ("value", "Infinity"), ("value", "-Infinity"), ("value", "9" * 400),
    ("value", "9" * 5000), ("value", "-1"),
    ("name", "5"), ("name", "null"), ("name", '""'), ("name", '"a b"'), ("name", '"1a"'), ("name", '"a\\u0000"'),
    ("name", '"é"'), ("name", f'"{"a" * 201}"'), ("type", '"meter"'), ("type", "1"), ("type", "null"),
    ("temporality", '"both"'), ("labels", "[]"), ("labels", '"x"'), ("labels", "5"), ("labels.a", '{"a":null}'),
    ("labels.a", '{"a":{}}'), ("labels.a", '{"a":[1]}'), ("labels.a", '{"a":"1","a":"2"}'), ("labels", '{"a":1e400}'),
    ("labels.__x", '{"__x":"1"}'), ("labels.9", '{"9":"1"}'), ("labels.", '{"":"1"}'),
    ("labels.a", '{"a":"\\u0000"}'), ("labels.a", '{"a":"%s"}' % ("x" * 1025)),
    ("labels", '{"a":%s}' % ("9" * 5000)),
    ("labels", json.dumps({f"l{i}": "v" for i in range(65)})),
    ("labels", json.dumps({f"l{i}": "v" * 1000 for i in range(9)})),
]  # fmt: skip


@pytest.mark.parametrize(("field", "text"), BAD, ids=lambda v: str(v)[:30])
async def test_bad_field_is_refused_by_name(gateway: Any, field: str, text: str) -> None:
    metric = {"name": '"m"', "type": '"counter"', "value": "1", field.split(".", maxsplit=1)[0]: text}
    body = "{" + ",".join(f'"{name}":{value}' for name, value in metric.items()) + "}"
    reply = await gateway.post(ROUTES[0], body.encode())
    assert reply.status == 400, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    [error] = reply.json["errors"]
    assert error["field"].startswith(field)
    assert error["reason"]
    assert gateway.publisher.calls == 0


@pytest.mark.parametrize("missing", ["name", "type", "value"])
async def test_missing_field_is_named(gateway: Any, missing: str) -> None:
    reply = await gateway.custom(**{k: v for k, v in GOOD.items() if k != missing})
    assert reply.status == 400
    assert reply.json["errors"] == [{"index": 0, "field": missing, "reason": "is missing"}]


async def test_temporality_on_a_gauge_is_refused(gateway: Any) -> None:
    reply = await gateway.custom(name="m", type="gauge", value=1, temporality="delta")
    assert reply.status == 400
    assert reply.json["errors"][0]["field"] == "temporality"


@pytest.mark.parametrize("value", [0, -0.0, 1e308, 2**63, 10**25, 5e-324, 1.5])
async def test_every_finite_number_is_a_value(gateway: Any, value: float) -> None:
    assert (await gateway.custom(name="m", type="gauge", value=value)).status == 201
    assert gateway.publisher.sent[0][2] == float(value)


@pytest.mark.parametrize("kind", ["gauge", "histogram", "summary"])
async def test_negative_value_is_fine_for_what_is_no_counter(gateway: Any, kind: str) -> None:
    assert (await gateway.custom(name="m", type=kind, value=-3)).status == 201


async def test_unknown_fields_and_absent_labels_are_fine(gateway: Any) -> None:
    assert (await gateway.custom(name="m", type="gauge", value=1, unit="s", labels=None)).status == 201
    assert (await gateway.custom(name="m", type="gauge", value=1, extra={"a": [1, 2]})).status == 201
    assert len({fingerprint for fingerprint, *_ in gateway.publisher.sent}) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not valid JSON"),
        (b'{"name":"a"', "not valid JSON"),
        (b"nul", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"name":"\xff","type":"gauge","value":1}', "UTF-8"),
        (b'{"name":"\\ud800","type":"gauge","value":1}', "surrogate"),
        (b'{"name":"a","type":"gauge","value":1} x', "not valid JSON"),
        (b'{"name":"a","type":"gauge","value":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"[]", "must be an object"),
        (b"3", "must be an object"),
        (b'"x"', "must be an object"),
        (b"null", "must be an object"),
    ],
)
async def test_body_that_is_no_metric_is_refused(gateway: Any, body: bytes, said: str) -> None:
    reply = await gateway.post(ROUTES[0], body)
    assert reply.status == 400, reply.body
    assert said in reply.json["detail"]


@pytest.mark.parametrize("labels", [b'{"a":"\xff"}', b'{"\xff":"a"}', b'{"a":"\\ud800"}', b'{"a":' + b"[" * 90_000])
async def test_unreadable_labels_are_a_client_error(gateway: Any, labels: bytes) -> None:
    reply = await gateway.post(ROUTES[0], b'{"name":"m","type":"gauge","value":1,"labels":' + labels + b"}")
    assert reply.status == 400, reply.body
    assert gateway.publisher.calls == 0


async def test_a_business_metric_is_noted_in_the_catalogue_once(gateway: Any) -> None:
    custom, business = ROUTES
    assert (await gateway.post(custom, GOOD)).status == 201
    assert gateway.catalogue.business == []
    for _ in range(3):
        assert (await gateway.post(business, GOOD)).status == 201
    await eventually(lambda: gateway.catalogue.business == [gateway.publisher.sent[0][0]])


async def test_a_known_series_is_taken_as_a_business_metric_while_the_catalogue_is_away(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "_BACKOFF", Backoff(0.01, 0.02))
    custom, business = ROUTES
    assert (await gateway.post(custom, GOOD)).status == 201
    gateway.catalogue.away = True
    assert (await gateway.post(business, GOOD)).status == 201
    assert len(gateway.publisher.sent) == 2
    assert gateway.catalogue.business == []
    gateway.catalogue.away = False
    await eventually(lambda: gateway.catalogue.business == [gateway.publisher.sent[0][0]])
