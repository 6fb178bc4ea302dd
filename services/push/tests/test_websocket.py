"""A client of `/ws`, over a real server."""

import json
from collections.abc import AsyncIterator

import pytest
from vigie_identity.errors import BadCredential, RefusalReason, TenantInactive
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime.errors import StoreUnavailable
from vigie_web.close_codes import CloseCode
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.push.tests.kit import ACME, RIVAL, Service, ask, ended, person, serving, silent, subscribed, told
from tests.kit import eventually


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(push_recheck_s=0.05, push_auth_timeout_s=0.3) as made:
        yield made


async def test_a_snapshot_then_what_is_new_each_once(service: Service) -> None:
    service.things.stands = {"a": 1, "b": 2}
    async with service.client() as client:
        welcome = await told(client)
        assert welcome["type"] == "welcome"
        assert welcome["user"] == "alice"
        answer = await subscribed(client, id=7)
        assert answer["id"] == 7
        assert answer["tenant"] == "acme"
        first, second = await told(client), await told(client)
        service.publish("a", 2)  # in the snapshot already
        service.publish("a", 3)
        third = await told(client)
    assert [(one["key"], one["value"], one["seq"], one["cursor"]) for one in (first, second, third)] == [
        ("a", 1, 1, "1"),
        ("b", 2, 2, "2"),
        ("a", 3, 3, "3"),
    ]
    assert {one["channel"] for one in (first, second, third)} == {"server"}
    assert {one["subscription"] for one in (first, second, third)} == {answer["subscription"]}


async def test_who_comes_back_with_a_cursor_gets_what_came_since(service: Service) -> None:
    service.things.stands = {"a": 1, "b": 2}
    async with service.client() as client:
        await subscribed(client, after="1")
        assert (await told(client))["key"] == "b"
        assert await silent(client)


async def test_what_comes_during_the_snapshot_is_sent_after_it(service: Service) -> None:
    service.things.stands = {"a": 1}
    service.things.gate.clear()
    async with service.client() as client:
        await subscribed(client)
        service.publish("b", 5)
        service.publish("b", 6)
        service.things.gate.set()
        assert [(await told(client))["value"] for _ in range(2)] == [1, 6]


@pytest.mark.parametrize("how", ["query", "header", "key", "subprotocol", "message"])
async def test_every_way_to_show_a_credential(service: Service, how: str) -> None:
    service.callers.known["vk_secret"] = service.callers.known["alice"]
    more = {
        "header": {"additional_headers": {"Authorization": "Bearer alice"}},
        "key": {"additional_headers": {"X-API-Key": "vk_secret"}},
        "subprotocol": {"subprotocols": ["bearer", "alice"]},
    }.get(how, {})
    async with service.client("alice" if how == "query" else None, **more) as client:
        if how == "message":
            await ask(client, type="auth", token="alice", id="x")
        assert (await told(client))["user"] == "alice"
        if how == "subprotocol":
            assert client.subprotocol == "bearer"


async def test_a_credential_that_is_not_good_closes_with_a_reason(service: Service) -> None:
    async with service.client("mallory") as client:
        assert await ended(client) == (CloseCode.UNAUTHENTICATED, BadCredential(RefusalReason.KEY_UNKNOWN).detail)
    async with service.client("alice", additional_headers={"Authorization": "Bearer alice"}) as client:
        assert (await ended(client))[0] == CloseCode.UNAUTHENTICATED
    async with service.client(None) as client:
        await ask(client, type="auth", token="mallory")
        assert (await ended(client))[0] == CloseCode.UNAUTHENTICATED


async def test_without_a_credential_nothing_is_seen_and_the_time_is_short(service: Service) -> None:
    async with service.client(None) as client:
        await ask(client, type="subscribe", channel="server", id=1)
        refused = await told(client)
        assert (refused["type"], refused["code"], refused["id"]) == ("error", "unauthenticated", 1)
        assert (await ended(client))[0] == CloseCode.UNAUTHENTICATED


async def test_anonymous_callers_see_what_the_deployment_allows(service: Service) -> None:
    held = assigned(Assignment.of(ACME, Role.READONLY))
    service.callers.nobody = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous", assignments=held)
    async with service.client(None) as client:
        assert (await told(client))["user"] == "anonymous"
        await subscribed(client)
        await ask(client, type="auth", token="alice")
        assert (await told(client, "welcome"))["user"] == "alice"


async def test_a_foreign_tenant_is_as_one_that_does_not_exist(service: Service) -> None:
    async with service.client() as client:
        answers = []
        for tenant in (RIVAL, "nobody"):
            await ask(client, type="subscribe", channel="server", tenant=tenant)
            answers.append(await told(client, "error"))
        assert answers[0] == answers[1]
        assert answers[0]["code"] == "not-found"
        service.publish("a", 1, tenant=RIVAL)
        assert await silent(client)
    async with service.client("rita") as rita:
        await subscribed(rita)
        service.publish("a", 1)
        assert await silent(rita)


async def test_what_cannot_be_subscribed_to_is_said(service: Service) -> None:
    async with service.client() as client:
        for wrong, code, word in (
            ({"channel": "nonsense"}, "not-found", "there is no channel nonsense"),
            ({"channel": "server", "thingId": ["x"]}, "invalid-request", "thingId"),
            ({"channel": "server", "thingId": "hidden"}, "not-found", "thing"),
            ({}, "malformed-message", "channel"),
        ):
            await ask(client, type="subscribe", **wrong)
            refused = await told(client, "error")
            assert refused["code"] == code
            assert word in refused["message"] + str(refused.get("field"))


async def test_a_snapshot_that_cannot_be_read_ends_the_subscription_only(service: Service) -> None:
    service.things.failure = StoreUnavailable()
    async with service.client() as client:
        await subscribed(client)
        assert (await told(client))["code"] == "store-unavailable"
        service.things.failure = None
        await subscribed(client)
        service.publish("a", 1)
        assert (await told(client))["key"] == "a"


async def test_unsubscribing_one_or_all(service: Service) -> None:
    async with service.client() as client:
        one = await subscribed(client, thingId="1")
        await subscribed(client, thingId="2")
        await ask(client, type="unsubscribe", subscription=one["subscription"])
        assert (await told(client, "unsubscribed"))["subscription"] == one["subscription"]
        await ask(client, type="unsubscribe", subscription="99")
        assert (await told(client))["code"] == "not-found"
        await ask(client, type="unsubscribe")
        await told(client, "unsubscribed")
        service.publish("a", 1)
        assert await silent(client)
    await eventually(lambda: not service.hub.topics and not service.source.followed)


async def test_unsubscribing_what_has_these_parameters(service: Service) -> None:
    async with service.client() as client:
        one = await subscribed(client, thingId="1")
        two = await subscribed(client, thingId="2")
        await ask(client, type="unsubscribe", channel="server", thingId="2")
        assert (await told(client, "unsubscribed"))["subscription"] == two["subscription"]
        service.publish("a", 1)
        assert (await told(client))["subscription"] == one["subscription"]
        await ask(client, type="unsubscribe", channel="server")
        assert (await told(client, "unsubscribed"))["subscription"] == one["subscription"]


async def test_subscribing_again_begins_anew(service: Service) -> None:
    service.things.stands = {"a": 1}
    async with service.client() as client:
        await subscribed(client)
        await told(client, "thing")
        await subscribed(client)
        assert (await told(client, "thing"))["seq"] == 1
        service.publish("a", 2)
        assert (await told(client, "thing"))["seq"] == 2
        assert await silent(client)


@pytest.mark.parametrize(
    ("becomes", "code"),
    [
        (BadCredential(RefusalReason.EXPIRED), CloseCode.UNAUTHENTICATED),
        (BadCredential(RefusalReason.OWNER), CloseCode.UNAUTHENTICATED),
        (TenantInactive(), CloseCode.NOT_ALLOWED),
        (person("alice", tenant=RIVAL), CloseCode.NOT_ALLOWED),
    ],
    ids=["token expired", "user blocked", "tenant switched off", "moved to another tenant"],
)
async def test_who_is_not_allowed_any_more_is_disconnected_and_sees_nothing(
    service: Service, becomes: Principal | Exception, code: CloseCode
) -> None:
    async with service.client() as client, service.client("rita") as rita:
        await subscribed(client)
        await subscribed(rita)
        service.callers.known["alice"] = becomes  # type: ignore[assignment]
        assert (await ended(client))[0] == code
        service.publish("a", 1)
        service.publish("a", 2, tenant=RIVAL)
        assert (await told(rita))["value"] == 2


async def test_who_may_see_something_else_now_has_to_subscribe_anew(service: Service) -> None:
    async with service.client() as client:
        await subscribed(client)
        service.things.narrowed = "less"
        code, reason = await ended(client)
    assert (code, reason) == (CloseCode.NOT_ALLOWED, "server: what you may see of it has changed; subscribe anew")


async def test_a_deleted_tenant_ends_the_connections_of_those_who_see_all(service: Service) -> None:
    service.callers.known["root"] = Principal(PrincipalKind.USER, "root", "root", role=Role.SUPERADMIN)
    async with service.client("root") as client:
        await subscribed(client, tenant="acme")
        service.callers.tenants.remove("acme")
        assert (await ended(client))[0] == CloseCode.NOT_ALLOWED


async def test_while_nobody_can_say_the_connection_stays(service: Service) -> None:
    async with service.client() as client:
        await subscribed(client)
        service.callers.away = StoreUnavailable()
        asked = service.callers.asked
        await eventually(lambda: service.callers.asked >= asked + 2)
        service.publish("a", 1)
        assert (await told(client))["key"] == "a"


async def test_a_page_of_a_stranger_cannot_listen(service: Service) -> None:
    own = f"http://127.0.0.1:{service.port}"
    with pytest.raises(InvalidStatus) as refused:
        async with service.client(origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["type"] == "/problems/cross-site-request"
    async with service.client(origin=own) as client:
        assert (await told(client))["type"] == "welcome"


async def test_pages_that_the_settings_name_may_listen() -> None:
    async with (
        serving(cors_origins="https://app.example.com") as service,
        service.client(origin="https://app.example.com") as client,
    ):
        assert (await told(client))["type"] == "welcome"


async def test_other_paths_take_no_websockets(service: Service) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{service.port}/nothing"):
            pass
    assert refused.value.response.status_code in (403, 404)


async def test_ping_is_answered(service: Service) -> None:
    async with service.client() as client:
        await ask(client, type="ping", id="p")
        assert (await told(client, "pong"))["id"] == "p"


async def test_when_the_process_stops_clients_are_told_to_come_again() -> None:
    async with serving() as service, service.client() as client:
        await subscribed(client)
        service.server.should_exit = True
        assert (await ended(client))[0] == CloseCode.GOING_AWAY


async def test_a_source_that_is_away_is_told_and_polled(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigie_push.hub.POLL_S", 0.05)
    async with service.client() as client, service.client("rita") as rita:
        mine = await subscribed(client)
        await subscribed(rita)
        service.hub.degraded("made-up")
        assert (await told(client))["subscriptions"] == [mine["subscription"]]
        service.things.stands = {"a": 4}
        assert (await told(client, "thing"))["value"] == 4
        service.things.polled = 4
        service.hub.restored("made-up")
        assert (await told(client, "restored"))["subscriptions"] == [mine["subscription"]]


async def test_the_counters_of_the_replaced_system(service: Service) -> None:
    async with service.client() as client:
        await subscribed(client)
        service.publish("a", 1)
        await told(client, "thing")
        assert service.counted("kpi_websocket_active_connections") == 1
        assert service.counted("kpi_websocket_active_subscriptions") == 1
        assert service.counted("kpi_websocket_events_published_total", type="server") == 1
        assert service.counted("kpi_websocket_events_delivered_total", type="server") == 1
        assert service.counted("kpi_websocket_delivery_latency_seconds_count") == 1
        assert service.counted("kpi_websocket_subscription_operations_total", operation="subscribe", type="server") == 1
    await eventually(lambda: not service.counted("kpi_websocket_active_connections"))
