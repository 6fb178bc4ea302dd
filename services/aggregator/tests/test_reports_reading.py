"""What is stored of a record of the reports topic, and which records nobody can store."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from vigie_aggregator.reports.reading import MAX_DEPTH, read
from vigie_contracts.days import END_MS, day_of, to_datetime
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.topics import REPORTS
from vigie_runtime.bus.unreadable import stub
from vigie_runtime.clients import ConsumerRecord
from vigie_runtime.errors import DeadReason, InvalidMessage

BODY = {"uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3}


def record(value: bytes | None) -> Any:
    return ConsumerRecord("t", 3, 0, 1_764_000_001_000, 0, None, value, None, -1, len(value or b""), ())


def report(**fields: Any) -> Any:
    whole = {"id": "r1", "tenant": "acme", "kind": "node", "subject": "node", "timestamp": 1_764_000_000_000}
    return record(json.dumps(whole | {"body": BODY} | fields).encode())


@pytest.mark.parametrize("payload", payloads(REPORTS.name), ids=lambda p: p.name)
def test_every_report_ever_written_is_read_and_every_bad_one_is_poison(payload: Payload) -> None:
    if payload.good:
        incoming = read(record(payload.data))
        assert (incoming.node is None) == (b'"kind": "node"' not in payload.data)
        assert (incoming.app is None) == (b'"kind": "app"' not in payload.data)
        return
    with pytest.raises(InvalidMessage):
        read(record(payload.data))


def test_the_whole_body_is_stored_and_its_numbers_are_counted() -> None:
    more = {"cpuUsage": 45.2, "platform": "linux", "disks": [{"$size": 1, "a.b": None}], "errorCount": "many"}
    incoming = read(report(body={**BODY, "aiLatency": 247.5, "version": "1.2.0", "additionalData": more, "new": 1}))
    document = bson.decode(incoming.document.raw)
    assert document["body"] == {**BODY, "aiLatency": 247.5, "version": "1.2.0", "additionalData": more, "new": 1}
    assert document["_id"] == incoming.id == "r1"
    assert document["at"].isoformat() == "2025-11-24T16:00:00"
    assert document["received"].isoformat() == "2025-11-24T16:00:01"
    assert incoming.node is not None
    assert incoming.node.numbers == {
        "uptime": 1.0, "activeUsers": 2.0, "exercisesCompletedToday": 3.0, "aiLatency": 247.5, "cpuUsage": 45.2
    }  # fmt: skip
    assert (incoming.node.version, incoming.node.partition, incoming.node.at) == (
        "1.2.0",
        3,
        to_datetime(1_764_000_000_000),
    )


def test_a_report_of_another_kind_is_kept_and_not_counted() -> None:
    incoming = read(report(kind="host", body={"load": [1, 2, 3]}))
    assert incoming.node is None
    assert bson.decode(incoming.document.raw)["kind"] == "host"


@pytest.mark.parametrize(
    ("unread", "reason"),
    [
        (record(None), DeadReason.UNDECODABLE),
        (record(b"\xff\x00"), DeadReason.UNDECODABLE),
        (record(b"[" * 100_000), DeadReason.UNDECODABLE),
        (report(version=2), DeadReason.UNDECODABLE),
        (report(id=""), DeadReason.INVALID),
        (report(kind="x" * 201), DeadReason.INVALID),
        (report(tenant="a/b"), DeadReason.INVALID),
        (report(timestamp=10**17), DeadReason.INVALID),
        (report(timestamp=10**30), DeadReason.INVALID),
        (report(timestamp=END_MS), DeadReason.INVALID),
        (report(timestamp=-1), DeadReason.INVALID),
        (report(kind="host", body={"a": [[[]] * 3] * 3, "b": json.loads("[" * 900 + "]" * 900)}), DeadReason.INVALID),
        (report(kind="host", body={"a\0b": 1}), DeadReason.INVALID),
        (report(kind="host", body={"a": 1 << 64}), DeadReason.INVALID),
        (report(body={**BODY, "uptime": -1}), DeadReason.INVALID),
        (report(body={**BODY, "uptime": 1e13}), DeadReason.INVALID),
        (report(body={"uptime": 1}), DeadReason.INVALID),
        (report(body={**BODY, "additionalData": [1]}), DeadReason.INVALID),
    ],
)
def test_what_nobody_can_store_is_poison_with_its_reason(unread: Any, reason: DeadReason) -> None:
    with pytest.raises(InvalidMessage) as poison:
        read(unread)
    assert poison.value.reason == reason


@pytest.mark.parametrize("sent", [1 << 50, 1 << 62, -(1 << 60)])
def test_a_record_that_was_sent_at_no_time_there_is_is_poison(sent: int) -> None:
    value = report().value
    with pytest.raises(InvalidMessage, match="cannot be stored"):
        read(ConsumerRecord("t", 3, 0, sent, 0, None, value, None, -1, len(value), ()))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("timestamp", [0, END_MS - 1])
def test_every_report_that_is_taken_has_a_day_in_every_zone(zone: str, timestamp: int) -> None:
    node = read(report(timestamp=timestamp)).node
    assert node is not None
    day = day_of(zone, node.at_ms)
    assert day.start_ms <= timestamp < day.end_ms
    assert to_datetime(day.end_ms)


def test_a_body_is_bounded_in_depth() -> None:
    body: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 1):
        body = {"a": body}
    assert read(report(kind="host", body=body)).document
    with pytest.raises(InvalidMessage, match="nested"):
        read(report(kind="host", body={"a": [body]}))


def test_a_record_that_the_client_could_not_read_is_poison_with_the_clients_words() -> None:
    with pytest.raises(InvalidMessage, match="no UTF-8 here"):
        read(stub("topic", 0, 7, "no UTF-8 here"))
