"""Refusals are sentences of our own: nothing of how a decoder speaks of its types reaches a sender."""

from __future__ import annotations

import re
from typing import Any

import pytest
from vigie_contracts import events

from .test_events import event
from .test_history import SUPERADMIN, line
from .test_warnings import BINARY, METRIC, REPORT

VALUES = (5, 1.5, 1e300, -1, "x", "", "y" * 1_100, [], {}, True, None, 2**70)
FOREIGN = re.compile(
    r"`|Expected|regex|matching|\bpattern\b|length|[<>]=|\bint\b|\bstr\b|\bfloat\b|\bdict\b|\||Unable|Error -"
)
BODIES = {
    "/api/metrics/custom": METRIC | {"labels": {}, "timestamp": None, "temporality": None},
    "/api/events": event(time=None, subject=None, datacontenttype=None, dataschema=None, data={}, data_base64=None),
    "/telemetry": REPORT | {"aiLatency": None, "version": None, "additionalData": None},
    "/api/import/telemetry": line(aiLatency=None, version=None, additionalData=None),
}


def refusals(reply: Any) -> list[str]:
    said = reply.json
    return [said["detail"], *(f"{error['field']}: {error['reason']}" for error in said.get("errors", []))]


@pytest.mark.parametrize("path", BODIES)
async def test_a_wrong_field_is_refused_in_our_words(gateway: Any, path: str) -> None:
    gateway.authenticator.principal = SUPERADMIN
    media = "application/x-ndjson" if "import" in path else "application/json"
    for field in BODIES[path]:
        for value in VALUES:
            reply = await gateway.post(path, BODIES[path] | {field: value}, {"content-type": media})
            if reply.status >= 400 and (sentences := refusals(reply)):
                assert not [one for one in sentences if FOREIGN.search(one)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"type": "Gauge"}, "must be one of gauge, counter, histogram, summary, but is 'Gauge'"),
        ({"temporality": "Delta"}, "must be one of delta, cumulative, but is 'Delta'"),
    ],
)
async def test_a_value_that_is_not_a_choice_is_told_the_choices(gateway: Any, wrong: Any, reason: str) -> None:
    for path, body in (("/api/metrics/custom", METRIC | wrong), ("/api/metrics/batch", [METRIC | wrong])):
        [error] = (await gateway.post(path, body)).json["errors"]
        assert (error["field"], error["reason"]) == (*wrong, reason)


async def test_an_empty_attribute_is_not_called_missing(gateway: Any) -> None:
    [error] = (await gateway.post("/api/events", {}, BINARY | {"ce-id": ""})).json["errors"]
    assert (error["field"], error["reason"]) == ("id", "is empty: give the header ce-id a value")
    without = {name: value for name, value in BINARY.items() if name != "ce-id"}
    [error] = (await gateway.post("/api/events", {}, without)).json["errors"]
    assert (error["field"], error["reason"]) == ("id", "is missing: send the header ce-id")


@pytest.mark.parametrize("type_", events.EVENT_DATA)
async def test_wrong_data_of_an_event_is_refused_in_our_words(gateway: Any, type_: str) -> None:
    for field in ("quantity", "amount", "currency", "service", "method", "step", "count", "score", "durationSeconds"):
        for value in VALUES:
            reply = await gateway.post("/api/events", event(type_, data={field: value}))
            assert reply.status == 201 or not [one for one in refusals(reply) if FOREIGN.search(one)]


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("body", [b"", b"{", b"[1", b'{"name" 1}', b"\xff", b"nul", b"NaN", b"[]", b'"a"'])
async def test_what_is_no_json_is_refused_in_our_words(gateway: Any, body: bytes, coding: str) -> None:
    for path in BODIES:
        if "import" not in path:
            reply = await gateway.post(path, body, {"content-encoding": coding})
            assert reply.status == 201 or not [one for one in refusals(reply) if FOREIGN.search(one)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            {"currency": "eur", "amount": 1},
            "data.currency: must be three capital letters, an ISO 4217 code such as EUR",
        ),
        ({"service": ""}, "data.service: must not be empty"),
        ({"service": "x" * 256}, "data.service: must have at most 255 characters"),
        ({"quantity": 0}, "data.quantity: must be at least 1"),
        ({"quantity": 1.5}, "data.quantity: must be an integer, but is a number"),
        ({"amount": -0.5}, "data.amount: must be at least 0"),
    ],
)
async def test_a_bound_is_named(gateway: Any, data: dict[str, Any], reason: str) -> None:
    assert refusals(await gateway.post("/api/events", event("booking.completed", data=data)))[1:] == [reason]
