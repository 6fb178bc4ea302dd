"""What was sent and means nothing is named in the answer, and counted per tenant; the item is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vigie_ingest import metrics

from .test_events import ONE, event
from .test_history import SUPERADMIN

METRIC = {"name": "m", "type": "gauge", "value": 1}
REPORT = {"tenantId": "default", "uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "booking.created"}


def fields(answer: dict[str, Any]) -> list[tuple[int | None, str]]:
    return [(warning["index"], warning["field"]) for warning in answer.get("warnings", [])]


@pytest.mark.parametrize(
    ("path", "body", "headers", "named"),
    [
        ("/api/metrics/custom", METRIC | {"lables": {"a": "b"}}, {}, [(0, "lables")]),
        ("/api/metrics/business", METRIC | {"Labels": {}, "x" * 99: 1}, {}, [(0, "Labels"), (0, "x" * 64)]),
        ("/api/metrics/batch", [METRIC, METRIC | {"unit": "s"}, METRIC | {"a": 1, "b": 2}], {},
         [(1, "unit"), (2, "a"), (2, "b")]),
        ("/api/metrics/batch", {"metrics": [METRIC, METRIC | {"unit": "s"}]}, {}, [(1, "unit")]),
        ("/api/metrics/batch", {"metric": [METRIC], "metrics": [METRIC, METRIC | {"a": 1}], "tenant": "x"}, {},
         [(None, "metric"), (None, "tenant"), (1, "a")]),
        ("/api/metrics/batch", {"metrics": [METRIC | {"value": "?"}, METRIC], "é": 1, "\ud800": 1}, {},
         [(None, "é"), (None, "?")]),
        ("/api/metrics/batch", [METRIC | {"value": "?", "a": 1}, METRIC | {"b": 1}], {}, [(1, "b")]),
        ("/api/metrics/batch", [METRIC | {"type": "counter", "value": -1, "a": 1}, METRIC | {"b": 1}], {}, [(1, "b")]),
        ("/api/events", event("booking.completed", data={"ammount": 5}), ONE, [(0, "data.ammount")]),
        ("/api/events", event(amount=5, traceparent="00-0-0-0"), ONE, [(0, "amount")]),
        ("/api/events", [event(), event("Booking.Completed", "2")], {}, [(1, "type")]),
        ("/api/events", event("com.example.booking.completed.v1", data={"amount": 5}), ONE, [(0, "type")]),
        ("/api/events", {}, BINARY | {"ce-partitionkey": "1", "ce-amount": "5"}, [(0, "ce-amount")]),
        ("/telemetry", REPORT | {"activeusers": 3}, {}, [(0, "activeusers")]),
    ],
)  # fmt: skip
async def test_what_is_ignored_is_named_and_counted(
    gateway: Any, path: str, body: object, headers: dict[str, str], named: list[tuple[int | None, str]]
) -> None:
    reply = await gateway.post(path, body, headers)
    assert reply.status == 201, reply.body
    assert fields(reply.json) == named
    assert all(warning["reason"] for warning in reply.json["warnings"])
    assert gateway.metric(metrics.WARNINGS.name, tenant="default") == len(named)
    assert gateway.publisher.sent


async def test_what_is_meant_is_said(gateway: Any) -> None:
    for number, type_ in enumerate(("Booking.Completed", "com.example.booking.completed.v1")):
        [warning] = (await gateway.post("/api/events", event(type_, str(number)), ONE)).json["warnings"]
        assert "did you mean booking.completed?" in warning["reason"]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/metrics/custom", METRIC), ("/api/metrics/batch", [METRIC]), ("/api/events", event()),
     ("/telemetry", REPORT | {"additionalData": {"anything": 1}})],
)  # fmt: skip
async def test_an_answer_without_warnings_has_no_such_field(gateway: Any, path: str, body: object) -> None:
    reply = await gateway.post(path, body)
    assert (reply.status, "warnings" in reply.json) == (201, False)
    assert gateway.frame.warned.collect()[0].samples == []


async def test_the_list_is_bounded(gateway: Any) -> None:
    reply = await gateway.post("/api/metrics/batch", [METRIC | {f"f{n}": 1 for n in range(500)}] * 1_000)
    assert reply.json["accepted"] == 1_000
    assert len(reply.json["warnings"]) == 100
    assert gateway.metric(metrics.WARNINGS.name, tenant="default") == 100


async def test_a_line_of_history_names_what_was_ignored(gateway: Any) -> None:
    gateway.authenticator.principal = SUPERADMIN
    line = REPORT | {"timestamp": "2026-09-01T00:00:00Z"}
    body = "\n".join(json.dumps(one) for one in (line, line | {"id": "x"})).encode()
    reply = await gateway.post("/api/import/telemetry", body, {"content-type": "application/x-ndjson"})
    assert (reply.status, fields(reply.json)) == (201, [(1, "id")])


def test_the_tenants_of_the_counter_are_bounded() -> None:
    warned = metrics.WarnedTenants()
    for number in range(metrics.MAX_WARNED_TENANTS + 5):
        warned.add(f"t{number}", 1)
    samples = {sample.labels["tenant"]: sample.value for family in warned.collect() for sample in family.samples}
    assert len(samples) == metrics.MAX_WARNED_TENANTS + 1
    assert samples[metrics.OTHER_TENANTS] == 5
