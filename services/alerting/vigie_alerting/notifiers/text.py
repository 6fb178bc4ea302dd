"""The words of a message, shared by all notifiers. Everything that rules and labels bring in is clean when it leaves
here: no control characters, no line breaks in a line, no text without end."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from vigie_contracts.alerts import Reason

from vigie_alerting.notifiers.message import ALERT_NAME, SEVERITY, Alert, Message, Status, number

MAX_SHOWN: Final = 20
"""Alerts of which a message for people says all."""
MAX_LABELS: Final = 20
MAX_VALUE_CHARS: Final = 300
MAX_TEXT_CHARS: Final = 1_500
MAX_TITLE_CHARS: Final = 140
ESCALATION: Final = "escalation"
"""The annotation that says which step of which chain tells it, and why."""
_SPACES: Final = re.compile(r"\s+")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters (those that turn the direction of writing are some), half characters, line breaks."""


def line(text: str, limit: int = MAX_VALUE_CHARS) -> str:
    """`text` as one line of visible characters."""
    return cut(_SPACES.sub(" ", _visible(text[: 4 * limit], "")).strip(), limit)


def paragraph(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """`text` with its line breaks, but nothing else that is not seen."""
    return cut(_visible(text[: 4 * limit], "\n").strip(), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def title(message: Message) -> str:
    """One line: `[FIRING] High Error Rate (high) on booking`."""
    firing = sum(alert.status is Status.FIRING for alert in message.alerts)
    first = message.alerts[0]
    if first.reason is Reason.HAND_OVER:
        return line(f"[ON CALL] {first.detail}", MAX_TITLE_CHARS)
    many = len(message.alerts) + message.more > 1
    count = f":{(firing or len(message.alerts)) + message.more}" if many else ""
    names = {alert.rule_name for alert in message.alerts}
    name = first.rule_name if len(names) == 1 else f"{first.rule_name} and {len(names) - 1} more"
    subject = _together(message) if many else _subject(first)
    text = f"[{message.status.upper()}{count}] {line(name)} ({message.severity})"
    return line(f"{text} on {subject}" if subject else text, MAX_TITLE_CHARS)


def summary(alert: Alert) -> str:
    """What happened: the rule's own words, else the reason's."""
    told = alert.annotations.get("summary") or alert.annotations.get("description") or alert.detail
    return paragraph(told) if told else f"{line(alert.rule_name)} is {alert.status}"


def description(alert: Alert) -> str:
    """What the rule says beyond its summary; maybe nothing."""
    return paragraph(alert.annotations.get("description", "")) if alert.annotations.get("summary") else ""


def facts(alert: Alert) -> Iterator[tuple[str, str]]:
    """Name and value of what is known of it."""
    yield "Severity", alert.severity.value
    if alert.value is not None:
        yield "Value", number(alert.value)
    yield "Started", moment(alert.starts_at)
    if alert.ends_at is not None:
        yield "Ended", moment(alert.ends_at)
    yield "Reason", alert.reason.value.replace("_", " ")
    if alert.acknowledged:
        yield "Acknowledged", "yes"
    if why := alert.annotations.get(ESCALATION):
        yield "Escalation", line(why)
    if alert.expression:
        yield "Rule", line(alert.expression)
    if alert.owner:
        yield "Owner", line(alert.owner)


def labels(alert: Alert) -> list[tuple[str, str]]:
    """Those beside name and severity, in their order."""
    shown = [(line(name), line(value)) for name, value in sorted(alert.labels.items()) if name not in _SAID]
    return shown[:MAX_LABELS]


def links(alert: Alert) -> Iterator[tuple[str, str]]:
    """Name and address. Only of the web: others might do something when they are followed."""
    for name, address in (("Runbook", alert.runbook), ("History", alert.link)):
        if re.match(r"https?://[!-~]+\Z", address) and len(address) <= MAX_TEXT_CHARS:
            yield name, address


def more(message: Message, shown: int = MAX_SHOWN) -> str:
    """The sentence about alerts that are not shown; empty when all are."""
    left = max(len(message.alerts) - shown, 0) + message.more
    return f"and {left} more alerts" if left > 0 else ""


def plain(message: Message) -> str:
    """All of it as plain text, without the title."""
    blocks = ["\n".join(_lines(alert)) for alert in message.alerts[:MAX_SHOWN]]
    blocks.append("\n".join(filter(None, (more(message), foot(message)))))
    return "\n\n".join(filter(None, blocks)) + "\n"


def foot(message: Message) -> str:
    """Whose it is, and how to find what made it happen."""
    trace = f", trace {message.trace_id}" if re.fullmatch(r"[0-9a-f]{32}", message.trace_id) else ""
    return f"Vigie, tenant {line(message.tenant)}{trace}"


def moment(when: datetime) -> str:
    """A UTC time, to the second."""
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def _lines(alert: Alert) -> Iterator[str]:
    yield summary(alert)
    if told := description(alert):
        yield told
    for name, value in facts(alert):
        yield f"{name}: {value}"
    if shown := labels(alert):
        yield "Labels: " + ", ".join(f"{name}={value}" for name, value in shown)
    for name, address in links(alert):
        yield f"{name}: {address}"


def _subject(alert: Alert) -> str:
    """The value of the label that most likely says where."""
    known = ("target", "service", "host", "instance", "job", "node", "endpoint")
    return next((line(alert.labels[name], 60) for name in known if alert.labels.get(name)), "")


def _together(message: Message) -> str:
    """What the alerts of a group have in common."""
    shown = ", ".join(f"{name}={value}" for name, value in message.group_labels.items() if name not in _SAID)
    return line(shown, 60)


def _visible(text: str, kept: str) -> str:
    return "".join(
        char if char in kept or unicodedata.category(char) not in _INVISIBLE else " " if char.isspace() else ""
        for char in text
    )


_SAID: Final = frozenset({ALERT_NAME, SEVERITY})
