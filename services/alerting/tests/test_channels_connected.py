"""Channels of tenants: kept apart, secrets not shown, tested for real."""

from __future__ import annotations

import json

import pytest
from vigie_alerting.channels.channels import Channels
from vigie_alerting.channels.drafts import Draft
from vigie_alerting.channels.errors import ChannelConflict, ChannelNotFound, InvalidChannel
from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.registry import notifiers
from vigie_alerting.outbox import notification
from vigie_contracts.alerts import Channel

from services.alerting.tests.kit import WebServer, answer
from services.alerting.tests.rigs import SECRET
from services.alerting.tests.samples import transition
from services.alerting.tests.stage import ACME, RIVAL, Stage
from tests.kit.wait import eventually

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def channels(stage: Stage) -> Channels:
    return Channels(stage.store, notifiers(stage.resources), stage.resources)


def webhook(name: str = "ops", **more: object) -> Draft:
    fields = {"destination": f"https://hooks.example.com/{SECRET}", "secrets": {"signing": WHSEC}, **more}
    return Draft(name, "webhook", **fields)  # pyright: ignore[reportArgumentType]


async def test_secrets_go_in_and_do_not_come_out(stage: Stage, channels: Channels) -> None:
    made = await channels.create(ACME, webhook(), "u1")
    everything = repr([made, await channels.get(ACME, made.id), await channels.all(ACME), webhook()])
    assert SECRET not in everything
    assert WHSEC not in everything
    assert made.destination == "https://hooks.example.com/***8PVw"
    assert made.secrets == {"signing": "***LaSw"}
    assert SECRET not in repr(await stage.store.get(ACME, made.id))


async def test_what_is_sent_back_as_it_was_shown_stays(stage: Stage, channels: Channels) -> None:
    made = await channels.create(ACME, webhook(), "u1")
    again = Draft("ops 2", "webhook", made.destination, {"signing": "***LaSw", "authorization": "Bearer x"})
    changed = await channels.change(ACME, made.id, again, "u2", made.version)
    assert (changed.name, changed.version, changed.by) == ("ops 2", 2, "u2")
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert stored.destination.endswith(SECRET)
    assert stored.secrets == {"signing": WHSEC, "authorization": "Bearer x"}
    await channels.change(ACME, made.id, Draft("ops 2", "webhook", None, {"signing": None}), "u2")
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert stored.secrets == {"authorization": "Bearer x"}


async def test_another_type_takes_no_secret_along(stage: Stage, channels: Channels) -> None:
    made = await channels.create(ACME, webhook(), "u1")
    await channels.change(ACME, made.id, Draft("ops", "email", "ops@example.com"), "u1")
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert (stored.destination, stored.secrets) == ("ops@example.com", {})


async def test_two_who_change_at_once_are_told(channels: Channels) -> None:
    made = await channels.create(ACME, webhook(), "u1")
    await channels.change(ACME, made.id, webhook("first"), "u1", made.version)
    with pytest.raises(ChannelConflict):
        await channels.change(ACME, made.id, webhook("second"), "u2", made.version)
    with pytest.raises(ChannelConflict):
        await channels.create(ACME, webhook("first"), "u2")


async def test_a_tenant_does_not_see_anothers_channels(channels: Channels) -> None:
    made = await channels.create(ACME, webhook(), "u1")
    assert [one.name for one in await channels.all(RIVAL) if not one.default] == []
    for attempt in (
        channels.get(RIVAL, made.id),
        channels.change(RIVAL, made.id, webhook(), "u2"),
        channels.remove(RIVAL, made.id),
        channels.test(RIVAL, made.id),
    ):
        with pytest.raises(ChannelNotFound):
            await attempt
    await channels.create(RIVAL, webhook(), "u2")  # the name is free there
    (to,) = await channels.addresses(RIVAL, [Channel("channel", "nobody's")])
    with pytest.raises(Permanent):
        await channels.lookup(notification([transition(tenant="rival")], to, 0))


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft("x", "pigeon", "coop"), "type"),
        (Draft("\n", "webhook", "https://x.example/"), "name"),
        (Draft("x", "webhook", "hook"), "destination"),
        (Draft("x", "webhook", None), "destination"),
        (Draft("x", "email", "nobody"), "destination"),
        (Draft("x", "slack", "#al erts"), "destination"),
        (Draft("x", "live", "somewhere"), "destination"),
        (Draft("x", "apprise", "json://10.0.0.1/"), "destination"),
        (Draft("x", "webhook", "https://x.example/", {"signing": "abc"}), "secrets.signing"),
        (Draft("x", "webhook", "https://x.example/", {"authorization": "a\r\nb"}), "secrets.authorization"),
        (Draft("x", "slack", "#alerts", {"signing": "abc"}), "secrets"),
    ],
)
async def test_what_cannot_work_is_told_by_its_field(channels: Channels, draft: Draft, field: str) -> None:
    with pytest.raises(InvalidChannel) as caught:
        await channels.create(ACME, draft, "u1")
    assert caught.value.field == field


async def test_a_test_says_whether_it_arrived_and_why_not(channels: Channels) -> None:
    server = await WebServer().start()
    made = await channels.create(ACME, webhook(destination=server.url()), "u1")
    assert (await channels.test(ACME, made.id)).delivered
    assert json.loads(server.calls[0].body)["commonLabels"]["alertname"] == "Test notification"
    server.always = answer(401)
    verdict = await channels.test(ACME, made.id)
    assert (verdict.delivered, verdict.failure, verdict.temporary) == (False, Failure.UNAUTHORISED, False)
    assert verdict.detail == "the receiver answered 401"
    missing = await channels.test_inline(ACME, Channel("slack", "#alerts"))
    assert missing.failure is Failure.MISCONFIGURED
    assert "SLACK_WEBHOOK_URL" in missing.detail
    assert not (await channels.test_inline(ACME, Channel("pigeon", ""))).delivered
    await server.stop()


async def test_the_settings_give_channels(stage: Stage, database: object) -> None:
    server = await WebServer().start()
    more = {
        "slack_webhook_url": server.url("/services/x"),
        "email_smtp_host": "mail",
        "email_username": "me@example.com",
    }
    given = Stage(database, **more, alert_networks="")
    channels = Channels(given.store, notifiers(given.resources), given.resources)
    shown = await channels.all(ACME)
    assert [(one.name, one.default) for one in shown] == [("slack", True), ("email", True), ("live", True)]
    assert [to.key for to in await channels.addresses(ACME, [])] == ["default:slack", "default:email", "default:live"]
    assert (await channels.test(ACME, "slack")).delivered
    (to,) = await channels.addresses(ACME, [Channel("slack", "#alerts")])
    ready = await channels.lookup(notification([transition()], to, 0))
    assert (ready.name, ready.destination) == ("#alerts", "#alerts")
    assert "alerts" not in to.key
    await given.http.aclose()
    await server.stop()


async def test_from_a_transition_to_slack_and_webhook_by_name(stage: Stage) -> None:
    server = await WebServer().start()
    stage.notifiers.update(notifiers(stage.resources))
    made = await stage.channels.create(ACME, webhook(destination=server.url()), "u1")
    told = transition(
        channels=[Channel("channel", "ops"), Channel("slack", server.url("/services/x")), Channel("live", "")]
    )
    async with stage.sending() as sender:
        await stage.dispatch(told, wake=sender.wake)

        await eventually(lambda: len(server.calls) == 2 and stage.published)
    bodies = {call.path: json.loads(call.body) for call in server.calls}
    assert bodies["/hook"]["receiver"] == "ops"
    assert "traceparent" in next(call for call in server.calls if call.path == "/hook").headers
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in json.dumps(bodies["/services/x"])
    assert stage.published[0][0] == "acme"
    delivered = await stage.outbox.of_alert(ACME, told.fingerprint)
    assert {one.state for one in delivered} == {"sent"}
    assert made.id in {one.address.key for one in delivered}
    await server.stop()
