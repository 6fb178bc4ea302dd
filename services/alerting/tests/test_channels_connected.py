"""Channels of tenants: kept apart, secrets not shown, tested for real."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vigie_alerting.channels.channelbook import Channelbook
from vigie_alerting.channels.channels import Channels
from vigie_alerting.channels.drafts import Draft
from vigie_alerting.channels.errors import ChannelConflict, ChannelInUse, ChannelNotFound, InvalidChannel
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.registry import notifiers
from vigie_alerting.outbox import notification
from vigie_contracts.alerts import Channel, Rule
from vigie_identity.audit import Actor
from vigie_identity.pages import PageRequest
from vigie_storage.alerts.channels import StoredChannel
from vigie_storage.alerts.rules import Change, RuleWrite
from vigie_storage.mongo import transaction

from services.alerting.tests.kit import WebServer, answer
from services.alerting.tests.rigs import SECRET
from services.alerting.tests.samples import transition
from services.alerting.tests.stage import ACME, RIVAL, Stage
from tests.kit.wait import eventually

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


U1, U2 = Actor("u1", "u1"), Actor("u2", "u2")


@pytest.fixture
def channels(stage: Stage) -> Channels:
    return Channels(stage.store, notifiers(stage.resources), stage.resources)


@pytest.fixture
def book(stage: Stage) -> Channelbook:
    return stage.book


def webhook(name: str = "ops", **more: object) -> Draft:
    fields = {"destination": f"https://hooks.example.com/{SECRET}", "secrets": {"signing": WHSEC}, **more}
    return Draft(name, "webhook", **fields)  # pyright: ignore[reportArgumentType]


async def test_secrets_go_in_and_do_not_come_out(stage: Stage, channels: Channels, book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    everything = repr([made, await channels.get(ACME, made.id), await channels.all(ACME), webhook()])
    assert SECRET not in everything
    assert WHSEC not in everything
    assert made.destination == "https://hooks.example.com/***8PVw"
    assert made.secrets == {"signing": "***LaSw"}
    assert SECRET not in repr(await stage.store.get(ACME, made.id))


async def test_what_is_sent_back_as_it_was_shown_stays(stage: Stage, book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    again = Draft("ops 2", "webhook", made.destination, {"signing": "***LaSw", "authorization": "Bearer x"})
    changed = await book.change(ACME, made.id, again, U2, version=made.version)
    assert (changed.name, changed.version, changed.by) == ("ops 2", 2, "u2")
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert stored.destination.endswith(SECRET)
    assert stored.secrets == {"signing": WHSEC, "authorization": "Bearer x"}
    await book.change(ACME, made.id, Draft("ops 2", "webhook", None, {"signing": None}), U2)
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert stored.secrets == {"authorization": "Bearer x"}


async def test_another_type_takes_no_secret_along(stage: Stage, book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    await book.change(ACME, made.id, Draft("ops", "email", "ops@example.com"), U1)
    stored = await stage.store.get(ACME, made.id)
    assert stored
    assert (stored.destination, stored.secrets) == ("ops@example.com", {})


async def test_two_who_change_at_once_are_told(book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    await book.change(ACME, made.id, webhook("first"), U1, version=made.version)
    with pytest.raises(ChannelConflict):
        await book.change(ACME, made.id, webhook("second"), U2, version=made.version)
    with pytest.raises(ChannelConflict):
        await book.create(ACME, webhook("first"), U2)


async def test_a_tenant_does_not_see_anothers_channels(channels: Channels, book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    assert [one.name for one in await channels.all(RIVAL) if not one.default] == []
    for attempt in (
        channels.get(RIVAL, made.id),
        book.change(RIVAL, made.id, webhook(), U2),
        book.remove(RIVAL, made.id, U2),
        channels.test(RIVAL, made.id),
    ):
        with pytest.raises(ChannelNotFound):
            await attempt
    await book.create(RIVAL, webhook(), U2)  # the name is free there
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
        (Draft("x", "slack", "#alerts", {"signing": "abc"}), "secrets.signing"),
        (Draft("x", "slack", "#alerts", {"signing": "0" * 32}), "destination"),
        (Draft("x", "live", "", {"signing": "abc"}), "secrets"),
    ],
)
async def test_what_cannot_work_is_told_by_its_field(book: Channelbook, draft: Draft, field: str) -> None:
    with pytest.raises(InvalidChannel) as caught:
        await book.create(ACME, draft, U1)
    assert caught.value.field == field


async def test_a_test_says_whether_it_arrived_and_why_not(channels: Channels, book: Channelbook) -> None:
    server = await WebServer().start()
    made = await book.create(ACME, webhook(destination=server.url()), U1)
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
    made = await stage.book.create(ACME, webhook(destination=server.url()), U1)
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


NEW, OLD = "ab" * 32, "cd" * 32


def keyed(database: object, *keys: str) -> Stage:
    return Stage(database, channel_keys=",".join(keys) or None)


async def stored(stage: Stage, channel: str) -> StoredChannel:
    found = await stage.store.get(ACME, channel)
    assert found
    return found


async def documents(database: Any) -> str:
    return repr([one async for one in database.alert_channels.find()])


async def test_with_a_key_nothing_secret_is_stored_in_the_clear(stage: Stage, database: Any) -> None:
    plain = await stage.book.create(ACME, webhook("plain"), U1)
    assert SECRET in await documents(database)
    given = keyed(database, NEW)
    assert (await stored(given, plain.id)).destination.endswith(SECRET), "old ones are read"
    made = await given.book.create(ACME, webhook("made"), U1)
    await given.book.change(ACME, plain.id, Draft("plain", "webhook", plain.destination), U1)
    told = await documents(database)
    assert SECRET not in told
    assert WHSEC not in told
    for one in (plain, made):
        kept = await stored(given, one.id)
        assert (kept.destination[-len(SECRET) :], kept.secrets) == (SECRET, {"signing": WHSEC})
    await given.http.aclose()


async def test_a_start_encrypts_what_is_not_encrypted_with_the_newest_key(stage: Stage, database: Any) -> None:
    await stage.book.create(ACME, webhook("plain"), U1)
    old, both, new = keyed(database, OLD), keyed(database, NEW, OLD), keyed(database, NEW)
    made = await old.book.create(ACME, webhook("old"), U1)
    assert (await stored(new, made.id)).readable is False
    await both.prepare()
    assert SECRET not in await documents(database)
    for one in await new.store.all(ACME):
        assert one.destination.endswith(SECRET), "the old key is not needed any more"
        assert one.version == 1
    for one in (old, both, new):
        await one.http.aclose()


async def test_a_channel_whose_key_is_missing_waits_for_it_and_can_be_given_anew(database: Any, stage: Stage) -> None:
    given, without = keyed(database, OLD), keyed(database, NEW)
    made = await given.book.create(ACME, webhook(), U1)
    (to,) = await given.channels.addresses(ACME, [Channel("channel", "ops")])
    with pytest.raises(Temporary, match="VIGIE_ENCRYPTION_KEYS"):
        await without.channels.lookup(notification([transition()], to, 0))
    verdict = await without.channels.test(ACME, made.id)
    assert (verdict.delivered, verdict.failure) == (False, Failure.MISCONFIGURED)
    shown = await without.channels.get(ACME, made.id)
    assert (shown.destination, shown.secrets) == ("***", {})
    with pytest.raises(InvalidChannel):
        await without.book.change(ACME, made.id, Draft("ops", "webhook", "***"), U1)
    await without.book.change(ACME, made.id, webhook(), U1)
    assert (await without.channels.lookup(notification([transition()], to, 0))).destination.endswith(SECRET)
    for one in (given, without):
        await one.http.aclose()


async def test_what_is_encrypted_for_one_channel_is_none_of_anothers(database: Any, stage: Stage) -> None:
    given = keyed(database, NEW)
    mine, theirs = await given.book.create(ACME, webhook(), U1), await given.book.create(RIVAL, webhook(), U2)
    sealed = (await database.alert_channels.find_one({"_id": theirs.id}))["sealed"]
    await database.alert_channels.update_one({"_id": mine.id}, {"$set": {"sealed": sealed}})
    assert (await stored(given, mine.id)).readable is False
    await given.http.aclose()


async def test_a_change_and_its_audit_are_one(stage: Stage, book: Channelbook, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await book.create(ACME, webhook(), U1)

    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no audit")

    with monkeypatch.context() as patched:
        patched.setattr(stage.audit, "add", fails)
        for attempt in (
            book.create(ACME, webhook("other"), U1),
            book.change(ACME, made.id, webhook("renamed"), U1),
            book.remove(ACME, made.id, U1),
        ):
            with pytest.raises(RuntimeError):
                await attempt
    assert [(one.name, one.version) for one in await stage.store.all(ACME)] == [("ops", 1)]
    assert [one.action for one in (await stage.audit.page(ACME, PageRequest(10))).items] == ["channel.created"]


async def test_a_channel_that_rules_name_stays_unless_it_is_forced(stage: Stage, book: Channelbook) -> None:
    made = await book.create(ACME, webhook(), U1)
    by_name, other = [Channel("channel", "ops")], [Channel("email", "ops")]
    rules = [
        Rule(id=f"r{at}", tenant=ACME, name=f"rule {at}", notification_channels=channels)
        for at, channels in enumerate((by_name, other, [*other, *by_name]))
    ]

    async def write(session: Any) -> None:
        await stage.rules.write(ACME, [RuleWrite(one, 0, Change.CREATED) for one in rules], session)

    await transaction(stage.database, write)
    with pytest.raises(ChannelInUse, match="2 rules name the channel 'ops', so it is not deleted") as refused:
        await book.remove(ACME, made.id, U1)
    assert [one.reason for one in refused.value.problem("/x").errors] == ["rule 0 (r0)", "rule 2 (r2)"]
    with pytest.raises(ChannelInUse, match="so it is not renamed"):
        await book.change(ACME, made.id, webhook("other"), U1)
    await book.change(ACME, made.id, webhook(destination="https://elsewhere.example.com/"), U1)
    await book.change(ACME, made.id, webhook("other"), U1, force=True)
    await book.remove(ACME, made.id, U1)
    again = await book.create(ACME, webhook(), U1)
    await book.remove(ACME, again.id, U1, force=True)
    assert await stage.store.all(ACME) == []
