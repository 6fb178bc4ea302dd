"""Who pressed a button: somebody of the people on call where that is known, else whom Slack names."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from vigie_identity.audit import Actor
from vigie_runtime.clock import Clock

from vigie_alerting.channels.model import Channel
from vigie_alerting.escalation.oncall import OnCall
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.errors import NotifyError
from vigie_alerting.schedules.model import Person
from vigie_alerting.slack.payloads import Presser
from vigie_alerting.slack.web_api import WebApi
from vigie_alerting.snapshots import Snapshots

ASK_S: Final = 1.0
"""How long Slack may take to say the address of somebody: who presses waits."""
KNOWN_S: Final = 3_600.0
MAX_KNOWN: Final = 10_000
_NAME_CHARS: Final = 60


class People:
    """For one event loop."""

    def __init__(self, api: WebApi, known: Snapshots[OnCall], clock: Clock) -> None:
        self._api, self._known, self._clock = api, known, clock
        self._emails: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()
        """By channel and Slack's user, when it was asked and what it is."""

    async def actor(self, channel: Channel, by: Presser) -> Actor:
        """By the id of Slack's user, else by the address. Raises StoreUnavailable."""
        people = (await self._known.of(channel.tenant)).people
        name = next((name for name, one in people.items() if one.slack and one.slack == by.id), "")
        if not name and any(one.email for one in people.values()):
            name = _by_email(people, await self._email(channel, by.id))
        return Actor(
            f"slack:{by.team}/{by.id}", name or f"slack:{text.line(by.name or by.id, _NAME_CHARS)}", agent="Slack"
        )

    async def _email(self, channel: Channel, user: str) -> str:
        """Empty where Slack does not say it in time."""
        key, now = (channel.key, user), self._clock.monotonic()
        if (found := self._emails.get(key)) and now - found[0] < KNOWN_S:
            return found[1]
        email = ""
        with suppress(NotifyError, TimeoutError):
            async with asyncio.timeout(ASK_S):
                email = await self._api.email(channel, user)
            self._emails[key] = now, email
            self._emails.move_to_end(key)
            if len(self._emails) > MAX_KNOWN:
                self._emails.popitem(last=False)
        return email


def _by_email(people: Mapping[str, Person], email: str) -> str:
    """Empty for nobody, and for an address that several have."""
    found = [name for name, one in people.items() if email and one.email.casefold() == email.casefold()]
    return found[0] if len(found) == 1 else ""
