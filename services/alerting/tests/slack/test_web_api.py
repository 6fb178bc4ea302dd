"""What Slack refuses is told apart: what passes by itself, what never will, and what is posted anew."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import Failure, NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.http import Http
from vigie_alerting.slack import secrets
from vigie_alerting.slack.web_api import Gone, Posted, WebApi
from vigie_contracts.tenants import TenantId
from vigie_runtime.addresses import networks
from vigie_runtime.clock import ManualClock

from services.alerting.tests.kit import answer
from services.alerting.tests.rigs import LOOPBACK, NOW_MS
from services.alerting.tests.slack_double import CHANNEL, TOKEN, SlackDouble

BODY = {"text": "x"}
PASSING = {"ratelimited": Failure.RATE_LIMITED, "internal_error": Failure.SERVER_ERROR}
NEVER = {
    "channel_not_found": Failure.REJECTED, "not_in_channel": Failure.REJECTED, "is_archived": Failure.REJECTED,
    "invalid_auth": Failure.UNAUTHORISED, "token_revoked": Failure.UNAUTHORISED, "missing_scope": Failure.UNAUTHORISED,
    "invalid_blocks": Failure.REJECTED, "a_new_error": Failure.REJECTED, "": Failure.REJECTED,
}  # fmt: skip


class Place:
    def __init__(self) -> None:
        self.slack = SlackDouble()
        self.http = Http(LOOPBACK, ManualClock(NOW_MS), deadline_s=2.0)
        self.api = WebApi(self.http)

    @property
    def channel(self) -> Channel:
        return Channel("c1", TenantId("acme"), "ops", "slack", "#alerts", self.slack.secrets)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    await made.slack.start()
    yield made
    await made.http.aclose()
    await made.slack.stop()


async def failed(place: Place, error: str, method: str = "chat.postMessage") -> NotifyError:
    place.slack.refuse[method] = [error]
    there = Posted(CHANNEL, "1790000000.000001")
    edit = method == "chat.update"
    call = place.api.update(place.channel, there, BODY) if edit else place.api.post(place.channel, BODY)
    with pytest.raises(NotifyError) as caught:
        await call
    assert TOKEN not in str(caught.value) + repr(place.channel)
    return caught.value


async def test_a_message_is_posted_edited_and_replied_to(place: Place) -> None:
    there = await place.api.post(place.channel, BODY)
    assert there == Posted(CHANNEL, "1790000000.000001")
    await place.api.update(place.channel, there, {"text": "y"})
    await place.api.reply(place.channel, there, "z <!channel>")
    assert place.slack.only()["text"] == "y"
    [(ts, reply)] = place.slack.replies
    assert (ts, reply["reply_broadcast"], reply["mrkdwn"]) == (there.ts, True, False)


@pytest.mark.parametrize("error", PASSING)
async def test_what_passes_by_itself_is_temporary(place: Place, error: str) -> None:
    found = await failed(place, error)
    assert isinstance(found, Temporary)
    assert found.failure is PASSING[error]


@pytest.mark.parametrize("error", NEVER)
async def test_what_never_will_be_taken_is_permanent(place: Place, error: str) -> None:
    found = await failed(place, error)
    assert isinstance(found, Permanent)
    assert found.failure is NEVER[error]
    assert "a_new_error" not in str(found), "what is not known may be anything"


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_a_message_that_cannot_be_edited_is_gone(place: Place, error: str) -> None:
    assert isinstance(await failed(place, error, "chat.update"), Gone)
    assert not isinstance(await failed(place, error), Gone)


async def test_slack_says_how_long_to_wait(place: Place) -> None:
    for fault in (
        answer(429, b"", Retry_After="30"),
        answer(200, b'{"ok": false, "error": "ratelimited"}', Retry_After="30"),
    ):
        place.slack.faults.append(fault)
        with pytest.raises(Temporary) as caught:
            await place.api.post(place.channel, BODY)
        assert (caught.value.failure, caught.value.retry_after_s) == (Failure.RATE_LIMITED, 30)


@pytest.mark.parametrize(
    "said",
    [b"", b"ok", b"[]", b"{}", b'{"ok": true}', b'{"ok": true, "channel": "C1", "ts": 7}', b'{"ok": "yes"}',
     b'{"ok": true, "channel": {"id": "C1"}, "ts": "1"}', b"[" * 100_000, b'{"ok": true, "channel": "C1", "ts": "x"}'],
)  # fmt: skip
async def test_what_answers_and_is_not_slack_is_tried_again(place: Place, said: bytes) -> None:
    place.slack.faults.append(answer(200, said))
    with pytest.raises(Temporary):
        await place.api.post(place.channel, BODY)


async def test_an_address_inside_is_not_called_for_a_tenant(place: Place) -> None:
    api = WebApi(Http(networks(""), ManualClock(NOW_MS)))
    with pytest.raises(Permanent) as caught:
        await api.post(place.channel, BODY)
    assert caught.value.failure is Failure.FORBIDDEN_ADDRESS
    assert place.slack.server.calls == []


async def test_the_address_of_a_user_is_asked_for(place: Place) -> None:
    place.slack.emails["U1"] = "ana@example.com"
    assert await place.api.email(place.channel, "U1") == "ana@example.com"
    assert await place.api.email(place.channel, "U2&user=U1") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("token", "hunter2"), ("token", "xoxb-"), ("token", "xoxb-1 2345678"), ("signing", "short"),
     ("signing", "x" * 31 + "\n"), ("api", "slack.com/api"), ("api", "https://a:b@slack.com/api"),
     ("api", "https://slack.com/api?x=1"), ("api", "file:///etc/passwd")],
)  # fmt: skip
def test_a_secret_that_cannot_be_one_is_refused(name: str, value: str) -> None:
    with pytest.raises(Permanent):
        secrets.check(name, value)


def test_what_is_needed_together_is_asked_for_together() -> None:
    secrets.check_together("#alerts", {"token": TOKEN})
    secrets.check_together("https://hooks.slack.com/services/x", {})
    for destination, some in (("", {"token": TOKEN}), ("https://x", {"token": TOKEN}), ("@ana", {"token": TOKEN})):
        with pytest.raises(Permanent, match="go to a channel"):
            secrets.check_together(destination, some)
    with pytest.raises(Permanent, match="means nothing without a token"):
        secrets.check_together("#alerts", {"signing": "x" * 32})
