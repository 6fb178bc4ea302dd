"""A message in Slack's Block Kit. What rules, labels and people bring in is plain text in the blocks, so none of it is
markup there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.message import Alert, Message, Status

_COLOURS: Final = {"info": "#439fe0", "low": "#439fe0", "warning": "#daa038", "medium": "#daa038"}
_RED: Final = "#d50200"
_GREEN: Final = "#2eb886"
MAX_SHOWN: Final = 8
"""Alerts per message: each takes up to three of the fifty blocks that Slack takes."""
MAX_FIELDS: Final = 10

Json = dict[str, Any]


def payload(message: Message, to: str = "") -> Json:
    """The body for an incoming webhook; `to` is the name of a channel, for webhooks that may choose."""
    body = written(message, text.title(message), colour(message))
    return {"channel": to, **body} if to else body


def written(message: Message, heading: str, bar: str, more: Sequence[Json] = ()) -> Json:
    """The body with this heading and coloured bar; `more` are blocks below the alerts."""
    blocks: list[Json] = [{"type": "header", "text": plain(heading, 150)}]
    for alert in message.alerts[:MAX_SHOWN]:
        blocks += _blocks(alert)
    blocks += more
    foot = " · ".join(filter(None, (text.more(message, MAX_SHOWN), text.foot(message))))
    blocks.append({"type": "context", "elements": [plain(foot, 300)]})
    return {
        "text": escaped(heading),
        "attachments": [{"color": bar, "fallback": heading, "blocks": blocks}],
    }


def escaped(words: str) -> str:
    """As Slack wants text in which `<...>` is a mention or a link."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(words: str, limit: int) -> Json:
    """Text that is nothing else, at most `limit` characters."""
    return {"type": "plain_text", "text": text.cut(words, limit), "emoji": False}


def colour(message: Message) -> str:
    """By the worst of what fires; green when all is over."""
    return _GREEN if message.status is Status.RESOLVED else _COLOURS.get(message.severity, _RED)


def _blocks(alert: Alert) -> list[Json]:
    told = "\n".join(filter(None, (text.summary(alert), text.description(alert))))
    fields = [f"{name}\n{value}" for name, value in (*text.facts(alert), *text.labels(alert))]
    blocks: list[Json] = [
        {"type": "section", "text": plain(told, 3_000)},
        {"type": "section", "fields": [plain(field, 600) for field in fields[:MAX_FIELDS]]},
    ]
    if links := [f"<{_link(address)}|{name}>" for name, address in text.links(alert)]:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(links)}]})
    return blocks


def _link(address: str) -> str:
    return address.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
