"""POST /api/import/telemetry: a verdict for each line, and a second run that adds nothing."""

from __future__ import annotations

import json
import tracemalloc
from datetime import datetime
from typing import Any

import pytest
from vigie_contracts import limits
from vigie_contracts.days import to_datetime
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_ingest.errors import TooManyItemsError
from vigie_ingest.history import decode_history
from vigie_runtime.errors import BusUnavailable

from services.ingest.tests.doubles import NODE_TENANT, NOW_MS
from services.ingest.tests.test_access import key

PATH = "/api/import/telemetry"
NDJSON, CSV = "application/x-ndjson", "text/csv"
DAY_MS = 24 * 3_600_000
HEADER = "tenantId,uptime,activeUsers,exercisesCompletedToday,aiLatency,version,additionalData,timestamp\n"
SUPERADMIN = Principal(PrincipalKind.USER, "u1", "root", role=Role.SUPERADMIN)


@pytest.fixture(autouse=True)
def _by_an_administrator(gateway: Any) -> None:
    gateway.authenticator.principal = SUPERADMIN


def line(**fields: Any) -> dict[str, Any]:
    given = {"tenantId": NODE_TENANT, "uptime": 1, "activeUsers": 2, "exercisesCompletedToday": 3, "timestamp": NOW_MS}
    return given | fields


async def send(gateway: Any, lines: list[dict[str, Any]] | bytes, media: str = NDJSON, **headers: str) -> Any:
    body = lines if isinstance(lines, bytes) else b"\n".join(json.dumps(one).encode() for one in lines)
    return await gateway.request("POST", PATH, body, {"content-type": media, **headers})


@pytest.mark.parametrize("payload", payloads("api.import.telemetry"), ids=lambda p: p.name)
async def test_payload_is_taken_line_by_line_or_refused(gateway: Any, payload: Payload) -> None:
    reply = await send(gateway, payload.data, CSV if payload.name.endswith(".csv") else NDJSON)
    if not payload.good:
        assert reply.status == 400, reply.body
        assert gateway.records.sent == []
        return
    assert reply.status == 201, reply.body
    assert reply.json["accepted"] == len(gateway.records.sent) >= 1
    assert reply.json["rejected"] == len(reply.json["errors"]) == (1 if "neighbour" in payload.name else 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "1e0"), ("100", "1E2"), ("0", "-0.0"), ("1.5", "15e-1"), ("-3", "-3.0"),
     ("4611686018427387904", "4611686018427387904.0"), ('[1, {"b": 2}]', '[1.0, {"b": 2e0}]')],
)  # fmt: skip
async def test_a_number_is_the_same_however_it_is_spelled(gateway: Any, one: str, other: str) -> None:
    lines = [json.dumps(line(additionalData={"a": "?"})).replace('"?"', text).encode() for text in (one, other)]
    for media, body in ((NDJSON, b"\n".join(lines)), (CSV, csv_of(one)), (CSV, csv_of(other))):
        assert (await send(gateway, body, media)).status == 201
    assert len({id_ for *_, id_ in gateway.records.sent}) == 1


@pytest.mark.parametrize(("one", "other"), [("1", "true"), ("0", "false"), ("0", "null"), ("1", '"1"'), ("1", "[1]")])
async def test_what_is_no_number_is_something_else(gateway: Any, one: str, other: str) -> None:
    for text in (one, other):
        assert (await send(gateway, csv_of(text), CSV)).status == 201
    assert len({id_ for *_, id_ in gateway.records.sent}) == 2


def csv_of(text: str) -> bytes:
    quoted = f'{{"a": {text}}}'.replace('"', '""')
    return f'{HEADER}{NODE_TENANT},1,2,3,,,"{quoted}",{NOW_MS}\n'.encode()


async def test_a_tenant_of_upper_case_is_the_same(gateway: Any) -> None:
    reply = await send(gateway, [line(), line(tenantId=NODE_TENANT.upper())])
    assert reply.json["accepted"] == 2
    assert [report["tenant"] for report in gateway.records.reports] == [NODE_TENANT]


@pytest.mark.parametrize("media", [NDJSON, CSV])
async def test_a_byte_order_mark_is_skipped(gateway: Any, media: str) -> None:
    body = json.dumps(line()).encode() if media == NDJSON else csv_of("1")
    assert (await send(gateway, b"\xef\xbb\xbf" + body, media)).json["accepted"] == 1


@pytest.mark.parametrize(
    "text",
    ["1_000", " 1", "1 ", "\u0661", "nan", "inf", "-inf", "Infinity", "0x10", "+1", "01", "1.", ".5", "1e", "1e999"],
)
async def test_a_number_of_csv_is_written_as_in_json(gateway: Any, text: str) -> None:
    reply = await send(gateway, f"{HEADER}{NODE_TENANT},{text},2,3,,,,{NOW_MS}\n".encode(), CSV)
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "uptime")


async def test_json_lines_and_csv_of_the_same_are_the_same(gateway: Any) -> None:
    by_name = {payload.name: payload.data for payload in payloads("api.import.telemetry")}
    await send(gateway, by_name["v1-lines.ndjson"])
    first = gateway.records.reports.copy()
    gateway.records.sent.clear()
    await send(gateway, by_name["v1-table-windows.csv"], CSV)
    assert gateway.records.reports == first
    assert [to_datetime(report["timestamp"]).isoformat() for report in first] == [
        "2026-09-20T10:30:00+00:00", "2026-09-20T10:30:00+00:00", "2026-09-20T10:35:00+00:00"
    ]  # fmt: skip
    assert first[1]["body"] == {
        "uptime": 86400, "activeUsers": 42, "exercisesCompletedToday": 156, "additionalData": {"cpuUsage": 45.2}
    }  # fmt: skip


async def test_what_is_stored_already_sends_nothing(gateway: Any) -> None:
    lines = [line(timestamp=NOW_MS - n * 60_000) for n in range(5)]
    first = await send(gateway, lines)
    assert (first.json["accepted"], first.json["repeated"]) == (5, 0)
    gateway.stored.ids = {report["id"] for report in gateway.records.reports[:3]}
    samples = len(gateway.publisher.sent)
    again = await send(gateway, lines)
    assert (again.json["accepted"], again.json["repeated"], again.json["message"]) == (
        5, 3, "5 lines recorded, 3 of them before"
    )  # fmt: skip
    assert len(gateway.records.sent) == 7
    assert [r["id"] for r in gateway.records.reports[5:]] == [r["id"] for r in gateway.records.reports[3:5]]
    # The samples of the two that are not stored yet carry the keys of before: they count once.
    new, old = gateway.publisher.sent[samples:], gateway.publisher.sent[:samples]
    assert {key_ for *_, key_ in new} <= {key_ for *_, key_ in old}
    assert all(key_ is not None for *_, key_ in old)
    assert len({key_ for *_, key_ in old}) == 5


async def test_the_same_line_twice_in_a_request_is_sent_once(gateway: Any) -> None:
    reply = await send(gateway, [line(), line(uptime=1.0), line(uptime=2)])
    assert (reply.json["accepted"], reply.json["repeated"]) == (3, 1)
    assert len({report["id"] for report in gateway.records.reports}) == len(gateway.records.sent) == 2


async def test_samples_have_the_times_of_their_lines(gateway: Any) -> None:
    await send(gateway, [line(), line(tenantId="acme", timestamp=NOW_MS - DAY_MS, activeUsers=9)])
    times = {gateway.catalogue.series[fp].tenant: ts for fp, ts, _, _ in gateway.publisher.sent}
    assert times == {NODE_TENANT: NOW_MS, "acme": NOW_MS - DAY_MS}


@pytest.mark.parametrize(("fields", "field", "says"), [
    ({"tenantId": "nobody"}, "tenantId", "there is no such tenant"),
    ({"tenantId": "asleep"}, "tenantId", "not active"),
    ({"uptime": -1}, "uptime", "between 0"),
    ({"uptime": "x"}, "uptime", "must be a number"),
    ({"activeUsers": None}, "activeUsers", "must be a number"),
    ({"additionalData": {"cpuUsage": -1}}, "additionalData.cpuUsage", "between 0"),
    ({"timestamp": NOW_MS - 91 * DAY_MS}, "timestamp", "more than 90 days ago"),
    ({"timestamp": NOW_MS + DAY_MS}, "timestamp", "in the future"),
    ({"timestamp": NOW_MS // 1000}, "timestamp", "looks like seconds"),
    ({"timestamp": "2026-09-20 10:30:00"}, "timestamp", "says no offset"),
    ({"timestamp": "yesterday"}, "timestamp", "must be an ISO 8601 time"),
    ({"timestamp": None}, "timestamp", "must be"),
    ({"timestamp": 10**30}, "timestamp", "in the future"),
])  # fmt: skip
async def test_a_bad_line_is_refused_alone_by_its_field(
    gateway: Any, fields: dict[str, Any], field: str, says: str
) -> None:
    reply = await send(gateway, [line(), line(**fields), line(timestamp=NOW_MS - 1)])
    assert (reply.status, reply.json["accepted"], reply.json["rejected"]) == (201, 2, 1)
    (error,) = reply.json["errors"]
    assert (error["index"], error["field"]) == (1, field)
    assert says in error["reason"]
    assert len(gateway.records.sent) == 2
    csv = (line() | fields)["timestamp"]
    if isinstance(csv, int | str) and "additionalData" not in fields and None not in fields.values():
        given = line(**fields)
        row = ",".join(str(given.get(name, "")) for name in HEADER.strip().split(","))
        refused = await send(gateway, (HEADER + row + "\n").encode(), CSV)
        assert (refused.status, refused.json["errors"][0]["field"]) == (400, field)


async def test_a_missing_field_is_named(gateway: Any) -> None:
    without = {name: value for name, value in line().items() if name != "timestamp"}
    reply = await send(gateway, [without])
    assert (reply.status, reply.json["errors"]) == (
        400, [{"index": 0, "field": "timestamp", "reason": "is missing"}]
    )  # fmt: skip


async def test_indexes_are_those_of_the_lines_blank_ones_included(gateway: Any) -> None:
    body = b"\n\n" + json.dumps(line()).encode() + b"\n\n{}\n"
    reply = await send(gateway, body)
    assert [error["index"] for error in reply.json["errors"]] == [4]


async def test_records_of_csv_may_have_line_breaks_inside(gateway: Any) -> None:
    row = f'{NODE_TENANT},1,2,3,,"1.0\n(rc)","{{""note"":\n""a,b""}}",{NOW_MS}\n'
    reply = await send(gateway, (HEADER + row + "x\n").encode(), CSV)
    assert [error["index"] for error in reply.json["errors"]] == [1]
    body = gateway.records.reports[0]["body"]
    assert (body["version"], body["additionalData"]) == ("1.0\n(rc)", {"note": "a,b"})


async def test_more_than_ten_thousand_lines_are_refused_at_once(gateway: Any) -> None:
    one = json.dumps(line()).encode() + b"\n"
    assert (await send(gateway, one * 10_001)).status == 413
    assert gateway.records.sent == []
    assert (await send(gateway, one * 10_000)).json["repeated"] == 9_999


async def test_a_body_of_blank_lines_is_refused_after_the_ten_thousandth(gateway: Any) -> None:
    blank = b"\n" * limits.MAX_DECOMPRESSED_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(TooManyItemsError):
            decode_history({b"content-type": NDJSON.encode()}, blank, NOW_MS, DAY_MS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert (await send(gateway, b"\n" * 9_999 + json.dumps(line()).encode())).status == 201
    assert (await send(gateway, b"\n" * 10_000 + json.dumps(line()).encode())).status == 413


@pytest.mark.parametrize(("stamp", "taken"), [
    (str(NOW_MS), True), (" " * 31 + f"{NOW_MS}  ", True), ("2026-09-20T10:30:00Z", True),
    ("--5", False), ("-" * 40 + "1", False), ("-5", False), ("9" * 31, False), ("9" * 6_000, False), ("٢٠٢٥", False),
    ("9999-12-31T23:59:59-23:59", False),
])  # fmt: skip
async def test_a_time_in_csv_that_is_none_is_refused_alone(gateway: Any, stamp: str, taken: bool) -> None:
    rows = f"{NODE_TENANT},1,2,3,,,,{stamp}\n{NODE_TENANT},1,2,3,,,,{NOW_MS - 1}\n"
    reply = await send(gateway, (HEADER + rows).encode(), CSV)
    assert (reply.status, reply.json["accepted"]) == (201, 1 + taken), reply.body
    assert [(error["index"], error["field"]) for error in reply.json["errors"]] == [(0, "timestamp")][taken:]


async def test_only_who_may_import_history_everywhere_may(gateway: Any) -> None:
    support = Principal(PrincipalKind.USER, "u2", "help", role=Role.SUPPORT)
    admin = assigned(Assignment.of(TenantId(NODE_TENANT), Role.ADMIN))
    for principal in (support, key(NODE_TENANT), Principal(PrincipalKind.USER, "u3", "a", assignments=admin)):
        gateway.authenticator.principal = principal
        reply = await send(gateway, [line()])
        assert (reply.status, reply.json["detail"]) == (403, "this needs the permission history.import")
    gateway.authenticator.principal = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")
    assert (await send(gateway, [line()])).status == 401
    assert gateway.records.sent == []


@pytest.mark.parametrize("media", ["application/json", "text/plain", "text/csv; charset=latin-1", None])
async def test_other_content_types_are_refused(gateway: Any, media: str | None) -> None:
    reply = await gateway.request("POST", PATH, b"{}", {"content-type": media} if media else {})
    assert (reply.status, reply.headers["accept-post"]) == (415, "application/x-ndjson, text/csv")


async def test_store_or_bus_that_is_away_is_a_503_and_the_repeat_completes(gateway: Any) -> None:
    gateway.stored.away = True
    assert (await send(gateway, [line()])).status == 503
    gateway.stored.away = False
    gateway.records.fail = BusUnavailable("away")
    reply = await send(gateway, [line()])
    assert reply.status == 503
    assert "cannot be counted twice" in reply.json["detail"]
    gateway.records.fail = None
    assert (await send(gateway, [line()])).status == 201
    assert len(gateway.records.sent) == 1
    assert len({key_ for *_, key_ in gateway.publisher.sent}) == 1


async def test_a_stored_answer_is_replayed(gateway: Any) -> None:
    headers = {"Idempotency-Key": "batch-1"}
    first = await send(gateway, [line()], **headers)
    again = await send(gateway, [line()], **headers)
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")


def test_the_time_of_the_tests_is_where_their_payloads_are() -> None:
    assert datetime.fromisoformat("2026-09-20T10:30:00Z") < to_datetime(NOW_MS)
