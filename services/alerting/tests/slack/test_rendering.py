"""A message shows how its alerts stand, within Slack's limits, and what anybody wrote is only text."""

from __future__ import annotations

from typing import Any

from vigie_alerting.alert import Acknowledgement
from vigie_alerting.notifiers.message import message
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.slack.rendering import rendered
from vigie_alerting.slack.standing import InChain, Stand
from vigie_contracts.alerts import Severity
from vigie_contracts.decisions import Why

from services.alerting.tests.samples import FINGERPRINT, START_MS, firing_message, resolved_message, transition

HOSTILE = "<!channel> *b* `x` <https://evil.example|here> & \u202e\n" * 200
BY = Acknowledgement("anna", START_MS, None, "on it")
MUTE = Mute(Why.SILENCED, "s1", "silenced by ben until 2026-09-21T15:13:20Z: deploy", START_MS + 1)


def shown(body: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    """The heading, the lines about how it stands, and the words of the buttons."""
    blocks = body["attachments"][0]["blocks"]
    contexts = [one["elements"] for one in blocks if one["type"] == "context"][:-1]
    lines = [one["text"] for elements in contexts for one in elements if one["type"] == "plain_text"]
    buttons = [one["text"]["text"] for block in blocks if block["type"] == "actions" for one in block["elements"]]
    return body["attachments"][0]["fallback"], lines, buttons


def test_what_fires_has_the_buttons_that_do_something() -> None:
    body = rendered(firing_message(), {}, "00ff")
    assert shown(body) == ("[FIRING] High Error Rate (high) on booking", [], ["Acknowledge", "Silence 1 h"])
    waits = Stand(chains=(InChain("db", 1, START_MS, waits=True),))
    _, lines, buttons = shown(rendered(firing_message(), {FINGERPRINT: waits}, "00ff"))
    assert buttons == ["Acknowledge", "Silence 1 h", "Escalate"]
    assert lines == ["Escalated: 1 step of the chain 'db', the last at 2026-09-21 14:13:20 UTC"]
    actions = rendered(firing_message(), {FINGERPRINT: waits}, "00ff")["attachments"][0]["blocks"][-2]
    assert {one["value"] for one in actions["elements"]} == {"00ff.1"}


def test_without_an_id_there_are_no_buttons_and_none_when_it_is_over() -> None:
    assert shown(rendered(firing_message(), {}))[2] == []
    assert shown(rendered(resolved_message(), {}, "00ff"))[2] == []


def test_who_has_it_and_what_keeps_it_quiet_is_shown() -> None:
    heading, lines, buttons = shown(rendered(firing_message(), {FINGERPRINT: Stand(BY)}, "00ff"))
    assert heading.startswith("[ACKNOWLEDGED] ")
    assert lines == ["Acknowledged by anna at 2026-09-21 14:13:20 UTC: on it"]
    assert buttons == ["Silence 1 h"]
    heading, lines, buttons = shown(rendered(firing_message(), {FINGERPRINT: Stand(mute=MUTE)}, "00ff"))
    assert heading.startswith("[SILENCED] ")
    assert lines == ["Silenced by ben until 2026-09-21T15:13:20Z: deploy"]
    assert buttons == ["Acknowledge"]


def test_of_several_it_says_of_how_many_something_holds() -> None:
    several = message("n", "ops", [transition(), transition(fingerprint="01" * 8)])
    heading, lines, buttons = shown(rendered(several, {FINGERPRINT: Stand(BY)}, "00ff"))
    assert heading.startswith("[FIRING:2] ")
    assert lines == ["1 of 2: Acknowledged by anna at 2026-09-21 14:13:20 UTC: on it"]
    assert buttons == ["Acknowledge", "Silence 1 h"]


def test_hostile_words_are_only_text_and_within_the_limits_of_slack() -> None:
    from services.alerting.tests.slack_double import check_limits

    steps = [
        transition(
            fingerprint=f"{at:016x}", rule_name=HOSTILE, severity=Severity.CRITICAL, owner=HOSTILE,
            labels={f"l{label}": HOSTILE for label in range(60)},
            annotations={"summary": HOSTILE, "description": HOSTILE},
        )
        for at in range(100)
    ]  # fmt: skip
    stands = {
        step.fingerprint: Stand(
            Acknowledgement(f"{at}{HOSTILE}", START_MS, START_MS, HOSTILE), MUTE, (InChain(HOSTILE, 3, 0, waits=True),)
        )
        for at, step in enumerate(steps[:50])
    }
    body = rendered(message("n", HOSTILE, steps), stands, "00ff")
    check_limits(body)
    assert "<!channel" not in body["text"]
    for block in body["attachments"][0]["blocks"]:
        for one in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if one and "!channel" in str(one):
                assert one.get("type") == "plain_text" or one["text"]["type"] == "plain_text"
