"""Slack by incoming webhooks, with Block Kit.

A destination is the URL of a webhook, which is a secret as a whole, or a channel's name like `#alerts`, which goes to
the webhook of the settings. What rules and labels bring in is plain text in the blocks, so none of it is markup there.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vigie_alerting.channels.model import Channel, masked_url
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.http import Http, parsed
from vigie_alerting.notifiers.message import Alert, Message, Status
from vigie_alerting.notifiers.resources import Resources

_NAME: Final = re.compile(r"[#@]?[\w.-]{1,80}")
_COLOURS: Final = {"info": "#439fe0", "low": "#439fe0", "warning": "#daa038", "medium": "#daa038"}
_RED: Final = "#d50200"
_GREEN: Final = "#2eb886"
MAX_SHOWN: Final = 8
"""Alerts per message: each takes up to five of the fifty blocks that Slack takes."""
MAX_FIELDS: Final = 10


class Slack:
    """Posts to the webhook of the channel, or to that of the settings."""

    def __init__(self, http: Http, default: str | None) -> None:
        self._http = http
        self._default = default

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`."""
        own = _is_url(channel.destination)
        url = channel.destination if own else self._default
        if not url:
            raise Permanent(
                Failure.MISCONFIGURED, "no Slack webhook: set SLACK_WEBHOOK_URL, or name a webhook's URL as destination"
            )
        body = msgspec.json.encode(payload(message, "" if own else channel.destination))
        await self._http.post(url, {"Content-Type": "application/json"}, body, trusted=not own)


def payload(message: Message, to: str = "") -> dict[str, Any]:
    """The body; `to` is the name of a channel, for webhooks that may choose."""
    heading = text.title(message)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(heading, 150)}]
    for alert in message.alerts[:MAX_SHOWN]:
        blocks += _blocks(alert)
    foot = " · ".join(filter(None, (text.more(message, MAX_SHOWN), text.foot(message))))
    blocks.append({"type": "context", "elements": [_plain(foot, 300)]})
    body: dict[str, Any] = {
        "text": escaped(heading),
        "attachments": [{"color": _colour(message), "fallback": heading, "blocks": blocks}],
    }
    return {"channel": to, **body} if to else body


def escaped(words: str) -> str:
    """As Slack wants text in which `<...>` is a mention or a link."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(alert: Alert) -> list[dict[str, Any]]:
    told = "\n".join(filter(None, (text.summary(alert), text.description(alert))))
    fields = [f"{name}\n{value}" for name, value in (*text.facts(alert), *text.labels(alert))]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": _plain(told, 3_000)},
        {"type": "section", "fields": [_plain(field, 600) for field in fields[:MAX_FIELDS]]},
    ]
    if links := [f"<{_link(address)}|{name}>" for name, address in text.links(alert)]:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(links)}]})
    return blocks


def _plain(words: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": text.cut(words, limit), "emoji": False}


def _link(address: str) -> str:
    return address.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _colour(message: Message) -> str:
    return _GREEN if message.status is Status.RESOLVED else _COLOURS.get(message.severity, _RED)


def _is_url(destination: str) -> bool:
    return "://" in destination


def _check(destination: str, _: Resources) -> str:
    if _is_url(destination):
        parsed(destination)
    elif destination and not _NAME.fullmatch(destination):
        raise Permanent(Failure.MISCONFIGURED, "a Slack destination is a channel like #alerts, or a webhook's URL")
    return destination


def _default(resources: Resources) -> str | None:
    url = resources.settings.slack_webhook_url
    return url.get_secret_value() if url else None


KIND: Final = Kind(
    "slack",
    lambda resources: Slack(resources.http, _default(resources)),
    _check,
    lambda destination: masked_url(destination) if _is_url(destination) else destination,
    by_default=lambda resources: "" if _default(resources) else None,
)
