"""Whatever is sent: never a 500, and every item of a list gets exactly one verdict."""

import csv
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.ingest.tests.doubles import NODE_TENANT, NOW_MS
from services.ingest.tests.test_history import SUPERADMIN

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.just("gauge")
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
label_sets = st.dictionaries(st.sampled_from(["a", "b", "service", "", "__x", "é"]), scalars, max_size=4)
metrics = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["m", "http_total", "", "1x", "a b"]) | scalars,
        "type": st.sampled_from(["gauge", "counter", "histogram", "summary"]) | scalars,
        "value": st.floats() | st.integers() | scalars,
        "labels": label_sets | values,
        "timestamp": st.sampled_from([1_790_000_000_000, "2026-09-21T14:13:20Z", None]) | scalars,
        "temporality": st.sampled_from(["delta", "cumulative", None]) | scalars,
    },
)
events = st.fixed_dictionaries(
    {},
    optional={
        "specversion": st.just("1.0") | scalars,
        "id": st.text(min_size=1, max_size=5) | scalars,
        "source": st.just("/a/b") | scalars,
        "type": st.sampled_from(["booking.created", "booking.completed", "payment.succeeded", "x.y"]) | scalars,
        "time": st.sampled_from(["2026-09-21T14:13:20Z", None]) | scalars,
        "data": st.fixed_dictionaries({}, optional={"amount": scalars, "currency": st.just("EUR") | scalars}) | values,
    },
)
ROUTES = ["/api/metrics/custom", "/api/metrics/batch", "/api/events"]
SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def judged(
    gateway: Any, path: str, body: bytes, count: int | None, headers: dict[str, str] | None = None
) -> None:
    """Post, and check what every answer must obey."""
    before = len(gateway.publisher.sent)
    reply = await gateway.post(path, body, headers)
    assert reply.status in (201, 400, 413, 415), reply.body
    answer = reply.json
    if reply.status != 201:
        assert answer["message"] == answer["detail"]
        assert len(gateway.publisher.sent) == before
        return
    if path == "/api/metrics/custom":
        assert len(gateway.publisher.sent) == before + 1
        return
    assert answer["accepted"] >= 1 or (path == "/api/events" and json.loads(body) == [])
    assert len(answer["errors"]) == min(answer["rejected"], 100)
    if count is not None:
        assert answer["accepted"] + answer["rejected"] == count
    if path == "/api/metrics/batch":
        assert len(gateway.publisher.sent) == before + answer["accepted"]


@SLOW
@given(items=st.lists(metrics | values, max_size=12), wrap=st.booleans(), ascii_=st.booleans())
async def test_any_list_of_metrics_gets_a_verdict_per_item(
    gateway: Any, items: list[Any], wrap: bool, ascii_: bool
) -> None:
    text = json.dumps({"metrics": items} if wrap else items, ensure_ascii=ascii_)
    await judged(gateway, ROUTES[1], text.encode("utf-8", "surrogatepass"), len(items))


@SLOW
@given(items=st.lists(events | values, max_size=8))
async def test_any_list_of_events_gets_a_verdict_per_item(gateway: Any, items: list[Any]) -> None:
    headers = {"content-type": "application/cloudevents-batch+json"}
    await judged(gateway, ROUTES[2], json.dumps(items).encode(), len(items), headers)


@SLOW
@given(item=metrics | events | values, path=st.sampled_from(ROUTES))
async def test_any_json_is_answered(gateway: Any, item: Any, path: str) -> None:
    await judged(gateway, path, json.dumps(item).encode(), None)


@SLOW
@given(
    body=st.binary(max_size=200),
    path=st.sampled_from(ROUTES),
    encoding=st.sampled_from(["identity", "gzip", "zstd"]),
)
async def test_any_bytes_are_answered(gateway: Any, body: bytes, path: str, encoding: str) -> None:
    await judged(gateway, path, body, None, {"content-encoding": encoding})


@SLOW
@given(data=st.data(), path=st.sampled_from(ROUTES))
async def test_any_damage_to_a_good_body_is_answered(gateway: Any, data: Any, path: str) -> None:
    good = {"name": "m", "type": "gauge", "value": 1.5, "labels": {"a": "é", "b": "\\n"}, "timestamp": 1790000000000}
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "funnel.step", "data": {"step": "cart"}}
    body = bytearray(json.dumps({ROUTES[0]: good, ROUTES[1]: [good] * 3, ROUTES[2]: [event] * 2}[path]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not body:
            return
    packed = data.draw(st.booleans())
    sent = gzip.compress(bytes(body)) if packed else bytes(body)
    await judged(gateway, path, sent, None, {"content-encoding": "gzip"} if packed else None)


HISTORY = {"tenantId": NODE_TENANT, "uptime": "1", "activeUsers": "2", "exercisesCompletedToday": "3",
           "aiLatency": "", "version": "", "additionalData": "", "timestamp": str(NOW_MS), "id": ""}  # fmt: skip
COLUMNS = list(HISTORY)
fields = (
    st.text(max_size=40)
    | scalars.map(str)
    | values.map(json.dumps)
    | st.text("0123456789-+_ .eTZ:\u0662", max_size=40)
    | st.sampled_from(["--5", "9" * 400, "nan", "1e999", "\0", '{"cpuUsage":-1}'])
)


@SLOW
@given(column=st.sampled_from(COLUMNS), given_=fields)
@example(column="timestamp", given_="--5")
async def test_any_text_in_any_column_of_history_gets_a_verdict(gateway: Any, column: str, given_: str) -> None:
    gateway.authenticator.principal = SUPERADMIN
    row = HISTORY | {column: given_}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    body = text.getvalue().encode("utf-8", "surrogatepass")
    reply = await gateway.request("POST", "/api/import/telemetry", body, {"content-type": "text/csv"})
    assert reply.status in (201, 400), reply.body
    if reply.status == 201:
        assert (reply.json["accepted"], reply.json["rejected"]) == (1, 0)
    else:
        assert reply.json["detail"]


@pytest.mark.parametrize("path", ROUTES)
async def test_deepest_nesting_python_takes_is_answered_at_every_depth(gateway: Any, path: str) -> None:
    for depth in (10, 200, 500, 900, 990, 1_000, 1_100, 5_000, 60_000):
        nested = b"[" * depth + b"]" * depth
        for body in (
            b'{"name":"m","type":"gauge","value":1,"labels":{"a":%s}}' % nested,
            b'[{"name":"m","type":"gauge","value":1,"labels":{"a":%s}}]' % nested,
            b'{"specversion":"1.0","id":"1","source":"/a","type":"x.y","data":%s}' % nested,
            nested,
        ):
            await judged(gateway, path, body, None)
