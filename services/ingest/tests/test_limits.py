"""How much a caller and a tenant may send, and what they are told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.tenants import Plan
from vigie_runtime.errors import StoreUnavailable

from .conftest import Gateway, build

ELSEWHERE = ("203.0.113.7", 4711)
PATH = "/api/metrics/custom"
BATCH = "/api/metrics/batch"
METRIC = {"name": "queue_length", "type": "gauge", "value": 7}
BOOKING = {
    "specversion": "1.0", "source": "/booking", "type": "com.example.booking.completed",
    "data": {"amount": 129.9, "currency": "EUR"},
}  # fmt: skip


def key(name: str = "vk_1", tenant: str = "acme") -> Principal:
    owned = assigned(Assignment(TenantId(tenant), of_scopes(frozenset({Scope.WRITE}))))
    return Principal(PrincipalKind.KEY, name, "sender", assignments=owned)


@pytest_asyncio.fixture
async def limited() -> AsyncIterator[Gateway]:
    made = build(rate_ip_per_minute=10, rate_key_per_minute=20, trusted_proxies="10.0.0.0/8")
    yield made
    await made.registrar.close()


async def statuses(gateway: Any, count: int, **more: Any) -> list[int]:
    return [(await gateway.post(PATH, METRIC, **more)).status for _ in range(count)]


async def test_strangers_are_limited_by_address(limited: Any) -> None:
    assert await statuses(limited, 12, client=ELSEWHERE) == [201] * 10 + [429] * 2
    assert len(limited.publisher.sent) == 10
    assert await statuses(limited, 1, client=("203.0.113.8", 1)) == [201]
    assert limited.metric("vigie_limits_throttled_total", scope="address") == 2


async def test_a_refusal_says_how_long_to_wait(limited: Any) -> None:
    await statuses(limited, 10, client=ELSEWHERE)
    reply = await limited.post(PATH, METRIC, client=ELSEWHERE)
    assert reply.json["type"] == "/problems/too-many-requests"
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["retry_after"] == int(reply.headers["retry-after"]) > 0
    assert reply.json["message"] == reply.json["detail"]
    assert "10 requests without a good credential from this address are allowed in a minute" in reply.json["detail"]
    assert reply.headers["ratelimit-remaining"] == "0"
    limited.clock.advance(reply.json["retry_after"] + 0.01)
    assert await statuses(limited, 1, client=ELSEWHERE) == [201]


async def test_a_refused_request_is_not_read(limited: Any) -> None:
    await statuses(limited, 10, client=ELSEWHERE)

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    assert (await limited.request("POST", PATH, receive=receive, client=ELSEWHERE)).status == 429


async def test_this_machine_is_not_limited_by_address(limited: Any) -> None:
    assert set(await statuses(limited, 30)) == {201}
    assert "ratelimit-limit" not in (await limited.custom(**METRIC)).headers


async def test_a_good_credential_counts_for_itself_wherever_it_comes_from(limited: Any) -> None:
    limited.authenticator.principal = key()
    sent = [*await statuses(limited, 11, client=ELSEWHERE), *await statuses(limited, 11)]
    assert sent == [201] * 20 + [429] * 2
    limited.authenticator.principal = key("vk_2")
    assert await statuses(limited, 1, client=ELSEWHERE) == [201]


async def test_refused_credentials_count_against_the_address(limited: Any) -> None:
    limited.authenticator.fail = BadCredential(RefusalReason.KEY_UNKNOWN)
    assert await statuses(limited, 12, client=ELSEWHERE) == [401] * 10 + [429] * 2
    limited.authenticator.fail, limited.authenticator.principal = None, key()
    assert await statuses(limited, 1, client=ELSEWHERE) == [201], "others behind the same address go on"


async def test_who_may_not_write_counts_against_the_address(limited: Any) -> None:
    limited.authenticator.principal = AnonymousRule.parse("nothing").principal()
    assert await statuses(limited, 11, client=ELSEWHERE) == [401] * 10 + [429]


async def test_an_outage_of_ours_is_nobodys_fault(limited: Any) -> None:
    limited.authenticator.fail = StoreUnavailable()
    assert await statuses(limited, 12, client=ELSEWHERE) == [503] * 12


async def test_behind_a_trusted_proxy_clients_are_told_apart(limited: Any) -> None:
    proxy = ("10.1.2.3", 80)
    one = {"headers": {"X-Forwarded-For": "127.0.0.1, 198.51.100.1"}, "client": proxy}
    other = {"headers": {"X-Forwarded-For": "198.51.100.2"}, "client": proxy}
    assert await statuses(limited, 11, **one) == [201] * 10 + [429]
    assert await statuses(limited, 1, **other) == [201]


async def test_nobody_elses_proxy_is_believed(limited: Any) -> None:
    sent = [
        await statuses(limited, 1, headers={"X-Forwarded-For": f"198.51.100.{n}"}, client=ELSEWHERE) for n in range(11)
    ]
    assert sent == [[201]] * 10 + [[429]]


@pytest.mark.parametrize("client", [None, ("testclient", 1)])
async def test_unknown_addresses_count_together(limited: Any, client: Any) -> None:
    await statuses(limited, 5, client=None)
    assert await statuses(limited, 6, client=client) == [201] * 5 + [429]


async def test_good_answers_and_errors_tell_of_the_limit(limited: Any) -> None:
    good = await limited.post(PATH, METRIC, client=ELSEWHERE)
    bad = await limited.post(PATH, b"{", client=ELSEWHERE)
    wrong = await limited.post(PATH, METRIC, {"content-type": "text/plain"}, client=ELSEWHERE)
    assert [reply.status for reply in (good, bad, wrong)] == [201, 400, 415]
    for reply, left in ((good, "9"), (bad, "8"), (wrong, "7")):
        assert reply.headers["ratelimit-limit"] == "10"
        assert reply.headers["ratelimit-remaining"] == left
        assert 0 < int(reply.headers["ratelimit-reset"]) <= 60
        assert reply.headers["ratelimit-policy"] == '"address";q=10;w=60'


# --- tenants -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def planned() -> AsyncIterator[Gateway]:
    """The tenant's plan: 100 samples and 40 requests a second."""
    made = build()
    made.tenants.plan = Plan(samples_per_s=100, requests_per_s=40)
    made.authenticator.principal = key()
    yield made
    await made.registrar.close()


async def test_a_tenant_may_send_as_many_samples_as_its_plan_says(planned: Any) -> None:
    replies = [await planned.post(BATCH, [METRIC] * 30) for _ in range(4)]
    assert [reply.status for reply in replies] == [201, 201, 201, 429]
    assert len(planned.publisher.sent) == 90, "of the refused batch nothing was taken"
    assert replies[3].headers["retry-after"] in {"1", "2"}
    assert "100 samples for this tenant are allowed in a second" in replies[3].json["detail"]
    assert await statuses(planned, 11) == [201] * 10 + [429], "what is left is left"
    planned.clock.advance(2)
    assert (await planned.post(BATCH, [METRIC] * 100)).status == 201


async def test_a_batch_beyond_what_a_second_allows_names_the_way_out(planned: Any) -> None:
    reply = await planned.post(BATCH, [METRIC] * 101)
    assert reply.status == 429
    assert reply.headers["retry-after"] == "1"
    assert "this request has 101: send them in several requests" in reply.json["detail"]
    assert (planned.publisher.sent, planned.catalogue.asked) == ([], [])


async def test_a_refused_batch_registers_no_series(planned: Any) -> None:
    assert (await planned.post(BATCH, [METRIC] * 100)).status == 201
    asked = planned.catalogue.calls
    new = [{**METRIC, "labels": {"n": str(n)}} for n in range(50)]
    assert (await planned.post(BATCH, new)).status == 429
    assert planned.catalogue.calls == asked


async def test_events_count_as_the_samples_that_they_become(planned: Any) -> None:
    events = [{**BOOKING, "id": f"b-{n}"} for n in range(100)]
    headers = {"content-type": "application/cloudevents-batch+json"}
    first = await planned.post("/api/events", events[:1], headers)
    each = len(planned.publisher.sent)
    assert (first.status, each > 1) == (201, True)
    reply = await planned.post("/api/events", events[1 : 100 // each + 1], headers)
    assert reply.status == 429
    assert len(planned.publisher.sent) == each


async def test_a_tenant_may_make_as_many_requests_as_its_plan_says(planned: Any) -> None:
    assert await statuses(planned, 41) == [201] * 40 + [429]
    planned.authenticator.principal = key("vk_2")
    assert await statuses(planned, 1) == [429], "with whatever key"
    planned.authenticator.principal = key("vk_3", "globex")
    assert await statuses(planned, 1) == [201]


async def test_all_limits_that_hold_are_listed_and_the_nearest_is_told(planned: Any) -> None:
    reply = await planned.post(BATCH, [METRIC] * 30)
    listed = {'"key";q=600000;w=60', '"tenant";q=40;w=1', '"samples";q=100;w=1'}
    assert set(reply.headers["ratelimit-policy"].split(", ")) == listed
    assert (reply.headers["ratelimit-limit"], reply.headers["ratelimit-remaining"]) == ("100", "70")
    assert reply.headers["ratelimit-reset"] == "1"


async def test_what_a_plan_leaves_open_the_settings_say() -> None:
    gateway = build(rate_tenant_samples_per_s=10, rate_tenant_requests_per_s=5)
    assert (await gateway.post(BATCH, [METRIC] * 11)).status == 429
    assert await statuses(gateway, 5) == [201] * 4 + [429]
    gateway.tenants.plan = Plan(samples_per_s=20, requests_per_s=100)
    gateway.clock.advance(1)
    assert (await gateway.post(BATCH, [METRIC] * 11)).status == 201
    await gateway.registrar.close()


async def test_a_plan_of_nothing_is_nothing(planned: Any) -> None:
    planned.tenants.plan = Plan(samples_per_s=0)
    assert await statuses(planned, 1) == [429]


async def test_tenants_are_served_while_their_plans_cannot_be_read(planned: Any) -> None:
    planned.tenants.fail = StoreUnavailable()
    assert (await planned.post(BATCH, [METRIC] * 500)).status == 201


async def test_no_limit_costs_no_header() -> None:
    gateway = build(rate_key_per_minute=0)
    gateway.authenticator.principal = key()
    reply = await gateway.custom(**METRIC)
    assert reply.status == 201
    assert not [name for name in reply.headers if name.startswith("ratelimit")]
    await gateway.registrar.close()


async def test_a_throttled_request_may_be_repeated_with_its_key(planned: Any) -> None:
    await planned.post(BATCH, [METRIC] * 100)
    repeated = {"Idempotency-Key": "once"}
    assert (await planned.post(BATCH, [METRIC] * 50, repeated)).status == 429
    planned.clock.advance(2)
    assert (await planned.post(BATCH, [METRIC] * 50, repeated)).status == 201
    reply = await planned.post(BATCH, [METRIC] * 50, repeated)
    assert (reply.status, reply.headers["idempotency-replayed"]) == (201, "true")
    assert len(planned.publisher.sent) == 150


async def test_usage_says_what_was_taken_and_what_was_not(planned: Any) -> None:
    await planned.post(BATCH, [METRIC] * 30 + [{**METRIC, "value": "seven"}] * 3)
    await planned.post(BATCH, [METRIC] * 90)
    await planned.custom(**{**METRIC, "value": "seven"})
    await planned.post("/api/events", {**BOOKING, "id": "b-1"}, {"content-type": "application/cloudevents+json"})
    tally = planned.usage.tallies["acme"]
    assert (tally.requests, tally.rejected, tally.throttled) == (4, 4, 1)
    assert tally.samples == len(planned.publisher.sent) > 30


async def test_nothing_is_looked_up_for_an_address_over_its_limit(limited: Any) -> None:
    limited.authenticator.fail, limited.authenticator.known = BadCredential(RefusalReason.KEY_UNKNOWN), False
    assert await statuses(limited, 30, client=ELSEWHERE) == [401] * 10 + [429] * 20
    assert limited.authenticator.looked_up == 11, "one finds out"
    assert await statuses(limited, 1, client=("203.0.113.200", 1)) == [401]


# --- telemetry, which needs no credential ------------------------------------------------------------------------


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[Gateway]:
    """A gateway that takes telemetry of anybody: 10 requests a minute of an address, 10 reports of a tenant and of
    these 2 of an address."""
    made = build(rate_ip_per_minute=10, rate_telemetry_per_minute=10)
    made.authenticator.principal = AnonymousRule.parse("telemetry").principal()
    yield made
    await made.registrar.close()


def telemetry(tenant: str) -> dict[str, Any]:
    return {"tenantId": tenant, "uptime": 86_400, "activeUsers": 42, "exercisesCompletedToday": 156}


async def reported(gateway: Any, *tenants: str, client: Any = ELSEWHERE) -> list[int]:
    return [(await gateway.post("/telemetry", telemetry(tenant), client=client)).status for tenant in tenants]


async def test_reports_of_a_tenant_are_limited_wherever_they_come_from(nodes: Any) -> None:
    for n in range(10):
        assert await reported(nodes, "acme", client=(f"203.0.113.{n}", 1)) == [201]
    assert await reported(nodes, "acme", "globex", client=("203.0.113.99", 1)) == [429, 201]
    assert len(nodes.records.sent) == 11
    assert nodes.usage.tallies["acme"].throttled == 1
    assert nodes.metric("vigie_limits_throttled_total", scope="telemetry") == 1


async def test_a_stranger_silences_no_node(nodes: Any) -> None:
    assert await reported(nodes, *["acme"] * 5) == [201] * 2 + [429] * 3
    assert await reported(nodes, "acme", client=("198.51.100.9", 1)) == [201]
    nodes.authenticator.principal = key()
    assert await reported(nodes, *["acme"] * 11) == [201] * 10 + [429], "a key counts for itself, also from there"


async def test_an_address_is_limited_whatever_tenants_it_names(nodes: Any) -> None:
    assert await reported(nodes, *["nobody", "not a tenant"] * 5) == [404] * 10
    reply = await nodes.post("/telemetry", telemetry("acme"), client=ELSEWHERE)
    assert (reply.status, reply.headers["ratelimit-policy"]) == (429, '"address";q=10;w=60')
    assert nodes.metric("vigie_limits_accounts", scope="telemetry") == 0, "made-up tenants take no room"
    assert set(nodes.usage.tallies) == set()


async def test_reports_of_strangers_are_limited_by_their_bytes_too() -> None:
    gateway = build(rate_telemetry_bytes_per_minute=600_000)
    gateway.authenticator.principal = AnonymousRule.parse("telemetry").principal()

    async def send(address: str, tenant: str = "acme") -> int:
        body = {**telemetry(tenant), "additionalData": {"note": "x" * 15_000}, "hostname": "y" * 44_000}
        return (await gateway.post("/telemetry", body, client=(address, 1))).status

    assert [await send("203.0.113.7") for _ in range(4)] == [201] * 2 + [429] * 2
    assert await send("203.0.113.7", "globex") == 201
    assert await reported(gateway, "acme") == [201], "what is small still fits"
    others = [await send(f"203.0.113.{n}") for n in range(10, 20)]
    assert others == [201] * 8 + [429] * 2, "from all addresses together"
    reply = await gateway.post(
        "/telemetry", {**telemetry("acme"), "hostname": "y" * 60_000}, client=("203.0.113.99", 1)
    )
    assert (reply.status, int(reply.headers["retry-after"]) > 0) == (429, True)
    assert "600000 bytes of reports of this tenant without a credential are allowed" in reply.json["detail"]
    gateway.authenticator.principal = key()
    assert [await send("203.0.113.7") for _ in range(4)] == [201] * 4, "a key is not limited by them"
    await gateway.registrar.close()


async def test_samples_of_reports_count_by_the_tenants_plan(nodes: Any) -> None:
    nodes.tenants.plan = Plan(samples_per_s=5)
    assert await reported(nodes, "acme", "acme") == [201, 429]
    assert (len(nodes.records.sent), len(nodes.publisher.sent)) == (1, 3)
    nodes.clock.advance(2)
    assert await reported(nodes, "acme", client=("203.0.113.8", 1)) == [201]
    tally = nodes.usage.tallies["acme"]
    assert (tally.requests, tally.samples, tally.throttled) == (3, 6, 1)
