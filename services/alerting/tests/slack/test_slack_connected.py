"""Slack in both directions, on real servers and a local double of Slack: one message through the life of an alert, and
what its buttons do, for whom, and for whom not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from vigie_alerting.alert import Alert
from vigie_alerting.engine import start as engine
from vigie_alerting.slack.rendering import Value
from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action
from vigie_identity.permissions import Role
from vigie_runtime.clients import Database
from vigie_storage.alerts.channels import StoredChannel
from vigie_storage.alerts.document import State
from vigie_storage.mongo import transaction

from services.alerting.tests.conftest import _idle
from services.alerting.tests.kit import answer
from services.alerting.tests.office import ACME, Office, opened, person, settings_for
from services.alerting.tests.slack_double import SIGNING, SlackDouble
from tests.kit.wait import eventually

pytestmark = pytest.mark.connected

PRESSES = "/api/alerts/slack/interactions"
CHANNEL = {"type": "channel", "destination": "slack"}
RULE = {"name": "cpu", "metricName": "cpu", "condition": ">", "threshold": 80, "notificationChannels": [CHANNEL]}
OTHER_SECRET = "0123456789abcdef0123456789abcdef"


@dataclass
class Desk:
    office: Office
    slack: SlackDouble
    channel: str
    """Its id."""

    async def rule(self, **changes: Any) -> Rule:
        made = await self.office.call("POST", "/api/alerts/rules", 201, json={**RULE, **changes})
        found = await self.office.resources.stores.rules.get(ACME, made["id"])
        assert found
        return found.rule

    async def fires(self, rule: Rule, host: str = "a", value: float = 99.0) -> Alert:
        return await self.office.fires(rule, (("host", host),), value, int(time.time() * 1000))

    async def press(self, words: str, status: int = 200, **who: Any) -> Any:
        return await self.send(self.slack.press(words, time.time(), **who), status)

    async def send(self, request: Any, status: int = 200) -> Any:
        return await self.office.call("POST", PRESSES, status, **request)

    async def shows(self, heading: str, *lines: str) -> None:
        async def shown() -> bool:
            assert self.slack.messages, "nothing was posted"
            assert self.slack.heading().startswith(heading)
            for line in lines:
                assert any(line in one for one in self.slack.lines()), self.slack.lines()
            return True

        await eventually(shown)

    async def told(self, words: str) -> None:
        """Only whoever pressed."""

        async def answered() -> bool:
            return any(words in one["text"] for one in self.slack.answered)

        await eventually(answered)
        assert all(one["response_type"] == "ephemeral" for one in self.slack.answered)

    async def audited(self, action: Action) -> list[tuple[str, str]]:
        rows = self.office.resources.stores.messages._store._db["audit"]
        found = rows.find({"action": action.value}).sort("_id", 1)
        return [(row["actor"]["name"], row["target"]) async for row in found]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    database: Database, kafka: str, mongo_uri: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    monkeypatch.setattr(engine, "start", _idle)
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    slack = await SlackDouble().start()
    async with opened(settings_for(servers, database.name, alert_networks="127.0.0.0/8")) as office:
        body = {"name": "slack", "type": "slack", "destination": "#alerts", "secrets": slack.secrets}
        made = await office.call("POST", "/api/alerts/channels", 201, json=body)
        assert set(made["secrets"]) == {"token", "signing", "api"}
        assert all(one.startswith("***") for one in made["secrets"].values())
        yield Desk(office, slack, made["id"])
    await slack.stop()


async def test_one_message_goes_through_the_life_of_an_alert(desk: Desk) -> None:
    alert = await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    assert set(desk.slack.buttons()) == {"Acknowledge", "Silence 1 h"}, "there is no chain"
    await desk.press("Acknowledge")
    await desk.shows("[ACKNOWLEDGED] cpu", "Acknowledged by slack:anna at ")
    assert await desk.audited(Action.ALERT_ACKNOWLEDGED) == [("slack:anna", alert.fingerprint)]
    found = await desk.office.call("GET", f"/api/alerts/{alert.fingerprint}")
    assert (found["status"], found["acknowledgedBy"]) == ("acknowledged", "slack:anna")
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/unacknowledge")
    await desk.shows("[FIRING] cpu")
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/resolve")
    await desk.shows("[RESOLVED] cpu")
    assert desk.slack.buttons() == {}
    assert len(desk.slack.messages) == 1
    assert desk.slack.answered == []
    again = await desk.fires(await desk.rule(name="disk"))

    async def another() -> bool:
        return len(desk.slack.messages) == 2

    await eventually(another)
    assert again.fingerprint != alert.fingerprint


async def test_alerts_that_join_a_group_are_added_to_its_message_with_a_sound(desk: Desk) -> None:
    tree = {
        "route": {"receiver": "team", "groupBy": ["alertname"], "groupInterval": "1s"},
        "receivers": {"team": {"channels": [CHANNEL]}},
    }
    await desk.office.call("PUT", "/api/alerts/routes", json=tree)
    rule = await desk.rule(notificationChannels=[])
    first = await desk.fires(rule, "a")
    await desk.shows("[FIRING] cpu")
    await desk.fires(rule, "b")
    await desk.shows("[FIRING:2] cpu")
    await eventually(lambda: [one["text"] for _, one in desk.slack.replies] == ["cpu fires too, warning"])
    await desk.press("Acknowledge")
    await desk.shows("[ACKNOWLEDGED:2] cpu", "Acknowledged by slack:anna")
    await desk.office.call("POST", f"/api/alerts/{first.fingerprint}/resolve")
    await desk.shows("[ACKNOWLEDGED:1] cpu")
    assert len(desk.slack.messages) == 1


async def test_of_two_who_press_at_once_one_has_it_and_the_other_is_told_who(desk: Desk) -> None:
    alert = await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    presses = [desk.slack.press("Acknowledge", time.time(), user=user, name=user) for user in ("anna", "ben")]
    await asyncio.gather(*(desk.send(one) for one in presses))
    found = await desk.office.call("GET", f"/api/alerts/{alert.fingerprint}")
    winner = found["acknowledgedBy"]
    assert winner in ("slack:anna", "slack:ben")
    await desk.told(f"Not done: {winner} has had it since")
    assert len(desk.slack.answered) == 1
    assert len(await desk.audited(Action.ALERT_ACKNOWLEDGED)) == 1


async def test_who_presses_is_the_person_on_call_by_id_or_by_address(desk: Desk) -> None:
    people = "/api/oncall/people"
    await desk.office.call("PUT", f"{people}/ana", json={"email": "ana@example.com", "slack": "U0ANA"})
    await desk.office.call("PUT", f"{people}/ben", json={"email": "Ben@example.com"})
    await desk.office.call("PUT", f"{people}/x", 422, json={"email": "x@example.com", "slack": "<@U1>"})
    desk.slack.emails["U0BEN"] = "ben@example.com"
    rule = await desk.rule()
    for user, who in (("U0ANA", "ana"), ("U0BEN", "ben"), ("U0ZOE", "slack:zoe")):
        desk.slack.messages.clear()
        alert = await desk.fires(rule, user)
        await desk.shows("[FIRING] cpu")
        await desk.press("Acknowledge", user=user, name="zoe")
        await desk.shows("[ACKNOWLEDGED] cpu", f"Acknowledged by {who} at")
        await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/resolve")
        await desk.shows("[RESOLVED] cpu")


async def test_an_hour_of_silence_is_by_the_labels_of_the_alert_and_shown_until_it_ends(desk: Desk) -> None:
    await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    silence = desk.slack.press("Silence 1 h", time.time())
    again = desk.slack.press("Silence 1 h", time.time() - 1)
    await desk.send(silence)
    await desk.shows("[SILENCED] cpu", "Silenced by slack:anna until ")
    [made] = (await desk.office.call("GET", "/api/alerts/silences"))["silences"]
    assert (sorted(made["matchers"]), made["createdBy"]) == (['alertname="cpu"', 'host="a"'], "slack:anna")
    assert [who for who, _ in await desk.audited(Action.SILENCE_CREATED)] == ["slack:anna"]
    await desk.send(again)
    await desk.told("Not done: silenced by slack:anna until")
    await desk.office.call("DELETE", f"/api/alerts/silences/{made['id']}", 204)
    await desk.shows("[FIRING] cpu")
    assert len(desk.slack.messages) == 1


async def test_the_next_step_of_the_chain_is_told_by_a_press(desk: Desk) -> None:
    for name in ("ana", "ben"):
        await desk.office.call("PUT", f"/api/oncall/people/{name}", json={"email": f"{name}@example.com"})
    steps = [
        {"notify": [{"type": "person", "name": "ana"}]},
        {"after": "30m", "notify": [{"type": "person", "name": "ben"}]},
    ]
    await desk.office.call("PUT", "/api/oncall/chains/db", json={"steps": steps})
    tree = {"route": {"receiver": "team"}, "receivers": {"team": {"channels": [CHANNEL], "escalation": "db"}}}
    await desk.office.call("PUT", "/api/alerts/routes", json=tree)
    alert = await desk.fires(await desk.rule(notificationChannels=[]))
    await desk.shows("[FIRING] cpu", "Escalated: 1 step of the chain 'db'")
    escalate, late = (desk.slack.press("Escalate", time.time() - past) for past in (0, 1))
    await desk.send(escalate)
    await desk.shows("[FIRING] cpu", "Escalated: 2 steps of the chain 'db'")
    assert set(desk.slack.buttons()) == {"Acknowledge", "Silence 1 h"}, "all were told"
    await desk.send(late)
    await desk.told("it was escalated meanwhile")
    why = (await desk.office.call("GET", f"/api/alerts/{alert.fingerprint}/history"))["why"]
    assert any("slack:anna escalated it, step 2 of 2 of the chain 'db': told: ben" in one["sentence"] for one in why)
    assert await desk.audited(Action.ALERT_ESCALATED) == [("slack:anna", alert.fingerprint)]


async def test_what_is_forged_old_or_repeated_does_nothing(desk: Desk) -> None:
    alert = await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    button, now = desk.slack.buttons()["Acknowledge"], time.time()
    right = desk.slack.pressed(button, now)
    no_headers = {**right, "headers": {"content-type": right["headers"]["content-type"]}}
    changed = {**right, "content": right["content"].replace(b"anna", b"evil")}
    unknown = desk.slack.pressed({**button, "value": str(Value("00" * 16, 0))}, now)
    for request in (
        no_headers, changed, unknown, desk.slack.pressed(button, now, secret=OTHER_SECRET),
        desk.slack.pressed(button, now - 301), desk.slack.pressed(button, now + 330),
    ):  # fmt: skip
        refused = await desk.send(request, 401)
        assert "not signed" in refused["detail"]
    await desk.send({**right, "content": b"payload=x"}, 400)
    await desk.send({**right, "content": b"x" * (2 << 20)}, 413)
    await desk.office.call("GET", PRESSES, 405)
    found = await desk.office.call("GET", f"/api/alerts/{alert.fingerprint}")
    assert found["status"] == "active"
    await desk.send(right)
    await desk.shows("[ACKNOWLEDGED] cpu")
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/unacknowledge")
    await desk.send(right, 409)
    desk.office.resources.slack._replays._taken.clear()
    await desk.send(right, 409)  # another replica, which did not see it: Redis knows
    found = await desk.office.call("GET", f"/api/alerts/{alert.fingerprint}")
    assert found["status"] == "active"


async def test_a_press_of_another_tenants_message_is_refused(desk: Desk) -> None:
    await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    rival, stores = TenantId("rival"), desk.office.resources.stores
    mine = desk.slack.buttons()["Acknowledge"]
    own = await stores.messages.named(mine["value"].partition(".")[0])
    assert own
    assert own.tenant == ACME
    theirs = await stores.channels.get(ACME, desk.channel)
    assert theirs
    secrets = {**theirs.secrets, "signing": OTHER_SECRET}
    channel = StoredChannel("rivals", rival, "slack", "slack", "#alerts", secrets, 1, theirs.updated, "eve")
    await transaction(stores.messages._store._db, lambda session: stores.channels.add(channel, session))
    await stores.messages.add(replace(own, id="ee" * 16, tenant=rival, channel="rivals"))
    other = {**mine, "value": str(Value("ee" * 16, 0))}
    await desk.send(desk.slack.pressed(mine, time.time(), secret=OTHER_SECRET), 401)
    await desk.send(desk.slack.pressed(other, time.time(), secret=SIGNING), 401)
    # Signed by the rival's own app it is theirs, and of their alerts it knows none of these.
    await desk.send(desk.slack.pressed(other, time.time(), secret=OTHER_SECRET))
    await desk.told("there is no such alert")
    found = await desk.office.call("GET", "/api/alerts")
    assert [one["status"] for one in found["alerts"]] == ["active"]


async def test_without_a_signing_secret_there_are_no_buttons_and_no_presses(desk: Desk) -> None:
    await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    button = desk.slack.buttons()["Acknowledge"]
    body = {"name": "slack", "type": "slack", "secrets": {"signing": None}}
    await desk.office.call("PUT", f"/api/alerts/channels/{desk.channel}", json=body)
    for secret in (SIGNING, "", "0" * 32):
        await desk.send(desk.slack.pressed(button, time.time(), secret=secret), 401)
    desk.slack.messages.clear()
    await desk.fires(await desk.rule(name="disk"))
    await desk.shows("[FIRING] disk")
    assert desk.slack.buttons() == {}


async def test_a_message_that_was_deleted_is_posted_anew_and_edited_from_then_on(desk: Desk) -> None:
    alert = await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    [old] = desk.slack.messages
    del desk.slack.messages[old]
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/acknowledge", by=person("bob", Role.ADMIN))
    await desk.shows("[ACKNOWLEDGED] cpu", "Acknowledged by bob at ")
    assert old not in desk.slack.messages
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/resolve")
    await desk.shows("[RESOLVED] cpu")


async def test_slack_that_wants_to_be_left_alone_is_and_has_each_message_once(desk: Desk) -> None:
    desk.slack.faults = [answer(429, b"", Retry_After="1"), answer(503)]
    alert = await desk.fires(await desk.rule())
    await desk.shows("[FIRING] cpu")
    desk.slack.faults = [answer(429, b"", Retry_After="1")]
    await desk.office.call("POST", f"/api/alerts/{alert.fingerprint}/acknowledge")
    await desk.shows("[ACKNOWLEDGED] cpu")
    assert len(desk.slack.messages) == 1


async def test_a_token_that_is_not_good_is_a_dead_letter_that_says_so(desk: Desk) -> None:
    desk.slack.token = "xoxb-another-one"
    alert = await desk.fires(await desk.rule())

    async def dead() -> bool:
        [found] = await desk.office.resources.stores.outbox.of_alert(ACME, alert.fingerprint)
        return found.state is State.DEAD and found.last is not None and "the token is not valid" in found.last.detail

    await eventually(dead)
    verdict = await desk.office.call("POST", f"/api/alerts/channels/{desk.channel}/test")
    assert (verdict["delivered"], verdict["failure"]) == (False, "unauthorised")
    desk.slack.token = desk.slack.secrets["token"]
    verdict = await desk.office.call("POST", f"/api/alerts/channels/{desk.channel}/test")
    assert verdict["delivered"] is True
    assert desk.slack.buttons() == {}


async def test_a_channel_that_cannot_work_is_refused_when_it_is_made(desk: Desk) -> None:
    good = desk.slack.secrets
    for destination, secrets, words in (
        ("#alerts", {**good, "token": "hunter2"}, "xoxb-"),
        ("", {"token": good["token"]}, "go to a channel"),
        ("https://hooks.slack.com/services/T/B/x", {"token": good["token"]}, "go to a channel"),
        ("#alerts", {"signing": good["signing"]}, "means nothing without a token"),
        ("#alerts", {"token": good["token"], "api": "ftp://x"}, "is needed"),
    ):
        body = {"name": "x", "type": "slack", "destination": destination, "secrets": secrets}
        refused = await desk.office.call("POST", "/api/alerts/channels", 422, json=body)
        assert words in refused["detail"]
        assert "hunter2" not in str(refused)
