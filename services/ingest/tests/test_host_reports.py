"""POST /api/hosts/reports: who may send them, what is taken, and what becomes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from vigie_contracts import hosts, names
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import SCOPES, Role, Scope
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_ingest.hosts import samples_of

from services.ingest.tests.doubles import NOW_MS
from services.ingest.tests.test_access import key

PATH = "/api/hosts/reports"
WHOLE: dict[str, Any] = json.loads(
    next(one.data for one in payloads("api.hosts.reports") if one.name == "v1-report.json")
)
LEAST: dict[str, Any] = {
    "host": "web-1", "timestamp": NOW_MS, "interval": 30, "agent": {"instance": "01234567", "version": "1"}
}  # fmt: skip
MINUTE = 60_000


def agent(host: str | None = None) -> Principal:
    place = assigned(Assignment(TenantId("default"), SCOPES[Scope.AGENT]))
    return Principal(PrincipalKind.KEY, "vk_1", "agent", assignments=place, scopes=frozenset({Scope.AGENT}), host=host)


@pytest.fixture
def door(gateway: Any) -> Any:
    gateway.authenticator.principal = agent()
    return gateway


@pytest.mark.parametrize("payload", payloads("api.hosts.reports"), ids=lambda p: p.name)
async def test_payload_is_taken_whole_or_refused_by_its_field(door: Any, payload: Payload) -> None:
    reply = await door.post(PATH, payload.data)
    if payload.good:
        assert reply.status == 201, reply.body
        assert len(door.records.sent) == reply.json["accepted"]
        return
    assert (reply.status, len(reply.json["errors"])) == (400, 1)
    assert door.records.sent == door.publisher.sent == []


async def test_a_report_is_kept_whole_with_the_time_of_its_receipt_and_its_numbers_are_samples(door: Any) -> None:
    reply = await door.post(PATH, WHOLE)
    assert reply.json == {"success": True, "accepted": 1, "rejected": 0, "message": "1 reports recorded", "errors": []}
    [(record_key, report, _)] = door.records.sent
    assert (record_key, report["kind"], report["subject"]) == (b"default/web-1", "host", "web-1")
    assert report["body"] == WHOLE | {"receivedAt": NOW_MS}
    found = {
        (one.name, *(value for _, value in one.labels)): (one.kind.temporality, value)
        for fingerprint, _, value, _ in door.publisher.sent
        for one in [door.catalogue.series[fingerprint]]
    }
    assert found["system_cpu_usage_percent", "web-1"] == (None, 42.5)
    assert found["system_cpu_usage_percent", "1", "web-1"] == (None, 25.0)
    assert found["system_load_average", "web-1", "5m"] == (None, 0.72)
    assert found["system_disk_usage_percent", "web-1"] == (None, 60.0)
    assert found["system_network_received_bytes_total", "web-1"] == ("cumulative", 123456789012)
    assert found["system_pressure_percent", "web-1", "10s", "cpu", "some"] == (None, 1.5)
    assert found["site_memory_usage_percent", "web-1", "shop"] == (None, 25.0)
    assert found["site_services", "web-1", "shop", "failed"] == (None, 1)
    assert found["service_up", "web-1", "twoine-shop-api", "shop"] == (None, 1)
    assert found["service_up", "web-1", "twoine-shop-worker", "shop"] == (None, 0)
    assert found["service_cpu_seconds_total", "web-1", "twoine-shop-api", "shop"] == ("cumulative", 91)
    assert ("service_memory_used_bytes", "web-1", "twoine-shop-worker", "shop") not in found


def test_nothing_is_made_of_what_could_not_be_read_and_names_are_those_of_the_catalogue() -> None:
    least = hosts.msgspec.convert(LEAST, hosts.HostReport)
    assert {one.name for one in samples_of(least)} == {names.AGENT_BUFFERED}
    whole = samples_of(hosts.msgspec.convert(WHOLE, hosts.HostReport))
    assert {one.name for one in whole} <= {*names.SYSTEM, *names.HOSTS}
    assert len({(one.name, one.labels) for one in whole}) == len(whole)
    assert all(one.kind in names.kinds_of(one.name) for one in whole)
    state = WHOLE["services"][0] | {"state": "unknown"}
    unknown = hosts.msgspec.convert(LEAST | {"services": [state]}, hosts.HostReport)
    assert names.SERVICE_UP not in {one.name for one in samples_of(unknown)}


async def test_each_report_of_a_list_is_judged_alone(door: Any) -> None:
    said = [
        LEAST,
        LEAST | {"timestamp": NOW_MS + 60 * MINUTE},
        LEAST | {"timestamp": NOW_MS - 60 * MINUTE},
        LEAST | {"timestamp": NOW_MS - 1, "cpu": {"percent": -1}},
        LEAST | {"timestamp": NOW_MS - 2, "sites": [{"site": "a"}, {"site": "a"}]},
        {"host": "web-1"},
        LEAST,
        7,
    ]
    reply = await door.post(PATH, said)
    assert (reply.status, reply.json["accepted"], reply.json["rejected"]) == (201, 3, 5)
    wrong = {one["index"]: (one["field"], one["reason"]) for one in reply.json["errors"]}
    assert wrong[1][0] == "timestamp"
    assert "in the future: more than 10 minutes ahead of this server's clock" in wrong[1][1]
    assert {index: field for index, (field, _) in wrong.items()} == {
        1: "timestamp", 3: "cpu.percent", 4: "sites", 5: "timestamp", 7: "item",
    }  # fmt: skip
    assert [one["timestamp"] for one in door.records.reports] == [NOW_MS, NOW_MS - 60 * MINUTE]


async def test_a_report_of_the_same_host_and_time_has_the_same_id_and_of_another_it_has_not(door: Any) -> None:
    for said in (LEAST, LEAST, LEAST | {"host": "web-2"}, LEAST | {"timestamp": NOW_MS - 1}):
        assert (await door.post(PATH, said)).status == 201
    ids = [report["id"] for report in door.records.reports]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_where_a_bound_key_is_used_is_looked_at_and_where_others_are_is_not(gateway: Any) -> None:
    for bound_to in (None, "web-1"):
        gateway.authenticator.principal = agent(bound_to)
        assert (await gateway.post(PATH, LEAST)).status == 201
        assert (await gateway.post(PATH, LEAST | {"timestamp": 1})).status == 400
    [(key_id, tenant, _address, host, instance)] = gateway.places.looked
    assert (key_id, tenant, host, instance) == ("vk_1", "default", "web-1", "01234567")


async def test_a_bound_key_speaks_for_its_host_and_no_host_for_the_sites_of_another(gateway: Any) -> None:
    gateway.authenticator.principal = agent("web-1")
    gateway.sites.known = {"shop": "web-2", "blog": "web-1"}
    reply = await gateway.post(PATH, [LEAST | {"host": "web-2"}, WHOLE])
    assert (reply.status, reply.json["accepted"]) == (201, 1)
    assert (reply.json["errors"][0]["index"], reply.json["errors"][0]["field"]) == (0, "host")
    assert "web-1, the only one that this key speaks for" in reply.json["errors"][0]["reason"]
    assert [(one["index"], one["field"]) for one in reply.json["warnings"]] == [(1, "sites.shop")]
    [report] = gateway.records.reports
    assert [one["site"] for one in report["body"]["sites"]] == ["blog"]
    assert [one["name"] for one in report["body"]["services"]] == ["twoine-proxy"]
    labels = {dict(gateway.catalogue.series[one[0]].labels).get("site") for one in gateway.publisher.sent}
    assert labels == {None, "blog"}


@pytest.mark.parametrize(
    ("principal", "status"),
    [
        (key("default", scope=Scope.AGENT), 201),
        (key("default", scope=Scope.WRITE), 403),
        (key("default", scope=Scope.READ), 403),
        (Principal(PrincipalKind.USER, "u", "a", Role.SUPERADMIN), 201),
        (Principal(PrincipalKind.USER, "u", "a", Role.SUPPORT), 403),
    ],
)
async def test_only_agents_and_administrators_send_reports(gateway: Any, principal: Principal, status: int) -> None:
    gateway.authenticator.principal = principal
    reply = await gateway.post(PATH, LEAST)
    assert (reply.status, len(gateway.records.sent)) == (status, int(status == 201))


async def test_nobody_without_a_credential_sends_reports(gateway: Any) -> None:
    gateway.authenticator.principal = replace(gateway.authenticator.principal, assignments={})
    assert (await gateway.post(PATH, LEAST)).status == 401


async def test_too_many_or_too_long_reports_are_refused_and_say_so(door: Any) -> None:
    reply = await door.post(PATH, [LEAST] * (hosts.MAX_REPORTS + 1))
    assert (reply.status, f"more than {hosts.MAX_REPORTS} reports" in reply.json["detail"]) == (413, True)
    long = LEAST | {"x": "y" * hosts.MAX_REPORT_BYTES}
    reply = await door.post(PATH, [long, LEAST])
    assert (reply.status, reply.json["errors"][0]["reason"]) == (201, f"is longer than {hosts.MAX_REPORT_BYTES} bytes")
    assert (await door.post(PATH, b"[{]")).status == 400
    assert (await door.post(PATH, [])).status == 400


async def test_when_the_store_is_away_nothing_is_taken(door: Any) -> None:
    door.sites.away = True
    reply = await door.post(PATH, LEAST)
    assert (reply.status, reply.headers["retry-after"], door.records.sent) == (503, "2", [])
