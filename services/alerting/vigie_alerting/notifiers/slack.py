"""Slack, with Block Kit: by incoming webhooks, and by the token of an app, whose messages are edited while their alerts
go on (`vigie_alerting.slack`).

A destination is the URL of a webhook, which is a secret as a whole, or a channel's name like `#alerts`. That is where a
channel with a token posts; without one it goes to the webhook of the settings.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from vigie_alerting.channels.model import Channel, masked_url
from vigie_alerting.notifiers.base import Kind
from vigie_alerting.notifiers.errors import Failure, Permanent
from vigie_alerting.notifiers.http import Http, parsed
from vigie_alerting.notifiers.message import Message
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.slack import secrets
from vigie_alerting.slack.blocks import payload
from vigie_alerting.slack.bot import Bot
from vigie_alerting.slack.web_api import WebApi

_NAME: Final = re.compile(r"[#@]?[\w.-]{1,80}")


class Slack:
    """Posts as the app of the channel, to its webhook, or to that of the settings."""

    def __init__(self, http: Http, default: str | None, bot: Bot | None = None) -> None:
        self._http = http
        self._default = default
        self._bot = bot

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`."""
        if secrets.TOKEN in channel.secrets and self._bot is not None:
            await self._bot.send(channel, message)
            return
        own = _is_url(channel.destination)
        url = channel.destination if own else self._default
        if not url:
            raise Permanent(
                Failure.MISCONFIGURED,
                "no Slack webhook: set SLACK_WEBHOOK_URL, name a webhook's URL as destination, or give a token",
            )
        body = msgspec.json.encode(payload(message, "" if own else channel.destination))
        await self._http.post(url, {"Content-Type": "application/json"}, body, trusted=not own)


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


def _made(resources: Resources) -> Slack:
    bot = Bot(WebApi(resources.http), resources.keeping) if resources.keeping else None
    return Slack(resources.http, _default(resources), bot)


KIND: Final = Kind(
    "slack",
    _made,
    _check,
    lambda destination: masked_url(destination) if _is_url(destination) else destination,
    secrets.ALL,
    check_secret=secrets.check,
    check_together=secrets.check_together,
    by_default=lambda resources: "" if _default(resources) else None,
)
