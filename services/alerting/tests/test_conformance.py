"""What every notifier must do, whatever it sends through."""

from __future__ import annotations

import json
import re
import time
import traceback
import tracemalloc
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path

import pytest
from vigie_alerting.notifiers.errors import NotifyError, Permanent, Temporary
from vigie_alerting.notifiers.message import message
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.notifiers.text import title

from services.alerting.tests.rigs import RIGS, SECRET, Rig, Scenario
from services.alerting.tests.samples import EXTERNAL, firing_message, group_message, resolved_message, transition

GOLDEN = Path(__file__).parent / "golden"
TEMPORARY = {
    Scenario.BUSY, Scenario.LIMITED, Scenario.HANGING, Scenario.DRIPPING, Scenario.DROPPED, Scenario.AWAY,
}  # fmt: skip
PERMANENT = {Scenario.REFUSED, Scenario.HUGE_REFUSAL, Scenario.ECHOING}
CASES = [
    (name, scenario) for name, rig in RIGS.items() for scenario in Scenario if scenario in rig.scenarios
]  # fmt: skip


@pytest.fixture
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    made = RIGS[request.param]()
    await made.start(tmp_path)
    yield made
    await made.stop()


def test_every_kind_of_the_registry_has_a_rig() -> None:
    assert {name.partition(" ")[0] for name in RIGS} == KINDS.keys()
    assert all({Scenario.DELIVERED, Scenario.HANGING, Scenario.AWAY} <= rig.scenarios for rig in RIGS.values())


@pytest.mark.parametrize(("rig", "scenario"), CASES, indirect=["rig"])
async def test_outcome_is_as_the_retry_table_says(rig: Rig, scenario: Scenario) -> None:
    await rig.behave(scenario)
    started = time.monotonic()
    try:
        await rig.notifier.send(rig.channel, firing_message())
        error = None
    except NotifyError as e:
        error = e
    assert time.monotonic() - started < 15, "the deadline was not kept"
    if scenario in TEMPORARY:
        assert isinstance(error, Temporary)
        assert error.retry_after_s == (7 if scenario is Scenario.LIMITED else None)
    elif scenario in PERMANENT:
        assert isinstance(error, Permanent)
    else:
        assert error is None
        assert len(rig.received()) == 1
    if error is not None:
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(rig.channel) + repr(rig.notifier)
        assert SECRET not in told
        assert str(error)


@pytest.mark.parametrize("rig", RIGS, indirect=True)
async def test_body_is_exactly_the_golden_one(rig: Rig) -> None:
    await rig.notifier.send(rig.channel, firing_message())
    await rig.notifier.send(rig.channel, resolved_message())
    _check_golden(rig, f"{rig.golden or rig.channel.type}.txt")


@pytest.mark.parametrize("rig", RIGS, indirect=True)
async def test_body_about_a_group_is_exactly_the_golden_one(rig: Rig) -> None:
    await rig.notifier.send(rig.channel, group_message())
    _check_golden(rig, f"{rig.golden or rig.channel.type}-group.txt")


def _check_golden(rig: Rig, name: str) -> None:
    sent = b"\n".join(received.replace(b"\r\n", b"\n") for received in rig.received())
    file = GOLDEN / name
    if not file.exists():  # a new kind: look at it, and commit it
        file.write_bytes(sent)
    assert sent.decode() == file.read_text()


HOSTILE = "x\r\nBcc: victim@example.com\r\n\r\n<!channel> <script>alert(1)</script> *b* \u202egnp\u0000\u2028 & \"'"


@pytest.mark.parametrize("rig", RIGS, indirect=True)
async def test_hostile_names_are_only_text(rig: Rig) -> None:
    hostile = transition(
        rule_name=HOSTILE, labels={"service": HOSTILE, HOSTILE[:60]: "v"}, expression=HOSTILE, owner=HOSTILE,
        annotations={"summary": HOSTILE * 200, "description": HOSTILE}, runbook="javascript:alert(1)", id=HOSTILE,
        traceparent=HOSTILE, episode=HOSTILE,
    )  # fmt: skip
    await rig.notifier.send(rig.channel, message(HOSTILE if rig.channel.type == "email" else "n3", "ops", [hostile]))
    (body,) = rig.received()
    assert len(body) < 400_000
    if rig.channel.type == "email":
        mail = message_from_bytes(body)
        assert mail["Bcc"] is None
        assert set(mail.keys()) <= {
            "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
            "X-Vigie-Status", "X-Vigie-Trace-Id", "MIME-Version", "Content-Type", "X-Peer", "X-MailFrom", "X-RcptTo",
        }  # fmt: skip
        html = [part for part in mail.walk() if part.get_content_type() == "text/html"]
        assert len(html) == 1
        assert b"<script" not in html[0].get_payload(decode=True)  # pyright: ignore[reportOperatorIssue]
        return
    parsed = json.loads(body)  # still one document
    if rig.channel.type == "slack":
        assert "<!" not in parsed["text"]
        assert all(
            element["type"] == "plain_text"
            for element in _elements(parsed["attachments"])
            if "!channel" in str(element)
        )
        assert "javascript:" not in body.decode()
    if rig.channel.type != "webhook":  # whose receivers get the labels as they are, as from Alertmanager
        assert not re.search("[\u202e\u2028\u0000]", str(parsed.get("title", "")))


def _elements(value: object) -> list[dict[str, object]]:
    """Every text object of blocks."""
    if isinstance(value, dict):
        own = [value] if value.get("type") in ("plain_text", "mrkdwn") else []
        return own + [found for inner in value.values() for found in _elements(inner)]
    return [found for inner in value for found in _elements(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    "rig", [name for name, one in RIGS.items() if Scenario.HUGE in one.scenarios and name != "apprise"], indirect=True
)
async def test_ten_megabytes_of_answer_are_not_kept(rig: Rig) -> None:
    await rig.behave(Scenario.HUGE_REFUSAL)
    tracemalloc.start()
    with pytest.raises(Permanent):
        await rig.notifier.send(rig.channel, firing_message())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_the_title_of_an_alert_on_a_health_target_says_which() -> None:
    told = firing_message(rule_name="ServiceUnavailable", labels={"group": "booking", "target": "car-rental"})
    assert title(told) == "[FIRING] ServiceUnavailable (high) on car-rental"


def test_a_message_about_several_alerts_says_what_they_have_in_common() -> None:
    told = message(
        "n", "ops", [transition(), transition(fingerprint="01", labels={"service": "search"}, value=1)], EXTERNAL
    )
    assert told.group_labels == {"alertname": "High Error Rate"}
    assert told.group_key == '{}:{alertname="High Error Rate"}'
