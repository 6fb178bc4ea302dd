"""Posts a message, remembers where it is, and edits it while its alerts go on.

What is shown is read from the stores at each edit, so that doing one again is harmless. Only a post is not: between it
and the moment at which it is remembered a process that dies leaves a message that nobody edits, and another one is
posted by whoever sends the notification again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from vigie_contracts.alerts import Reason, Transition
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.messages import MessageStore, StoredMessage

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary
from vigie_alerting.notifiers.message import Message
from vigie_alerting.notifiers.message import message as made_of
from vigie_alerting.sender.failpoints import Failpoint, Point, never
from vigie_alerting.slack import said as saying
from vigie_alerting.slack.blocks import Json
from vigie_alerting.slack.rendering import rendered
from vigie_alerting.slack.said import MAX_TOLD, Said
from vigie_alerting.slack.secrets import SIGNING, TOKEN
from vigie_alerting.slack.standing import NOTHING, Standing
from vigie_alerting.slack.web_api import Gone, Posted, WebApi

log = logging.get(__name__)

ATTEMPTS: Final = 5
"""To write what somebody else changed meanwhile."""
_STORE: Final = Backoff(0.1, 1.0)
_REMEMBER_S: Final = 5.0
"""How long it is tried to remember where a message is."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a bot works with."""

    messages: MessageStore
    standing: Standing
    clock: Clock
    external_url: str = ""
    failpoint: Failpoint = never


class Bot:
    """By the token of a channel. Raises Temporary and Permanent."""

    def __init__(self, api: WebApi, keeping: Keeping) -> None:
        self._api, self._keeping = api, keeping

    async def send(self, channel: Channel, message: Message) -> None:
        """See `Notifier`. What was told already is not told again."""
        if not message.queue or any(step.reason == Reason.HAND_OVER for step in message.steps):
            await self._api.post(channel, _sent(rendered(message, NOTHING)))
            return
        try:
            await self._tell(channel, message)
        except StoreUnavailable:
            raise Temporary(Failure.UNREACHABLE, "it could not be looked up what was posted before") from None

    async def refresh(self, channel: Channel, there: StoredMessage) -> None:
        """Show how the alerts of a message stand now. Raises StoreUnavailable too."""
        if channel.type != "slack" or TOKEN not in channel.secrets:  # the channel was changed since
            raise Permanent(Failure.MISCONFIGURED, "the channel does not post by the token of an app any more")
        await self._edit(channel, there, (), None)

    async def _tell(self, channel: Channel, message: Message) -> None:
        conversation = conversation_of(channel, message.queue)
        there = await self._keeping.messages.of(channel.tenant, conversation, message.id)
        left = {step.fingerprint: step for step in message.steps}
        together = message.together is not None and message.queue.endswith(f"/{message.together.id}")
        for one in there:
            if message.id in one.told:  # by somebody who died before it was settled
                left = {} if together else {name: step for name, step in left.items() if name not in one.fingerprints}
        for one in there:
            mine = [step for name, step in left.items() if together or name in one.fingerprints]
            if mine and message.id not in one.told:
                await self._edit(channel, one, mine, message)
                left = {name: step for name, step in left.items() if step not in mine}
        if left:
            await self._post(channel, conversation, list(left.values()), message)

    async def _post(self, channel: Channel, conversation: str, steps: Sequence[Transition], message: Message) -> None:
        id_, said = secrets.token_hex(16), saying.begun(steps, message.together)
        body, due = await self._rendered(channel, id_, said)
        posted = await self._api.post(channel, _sent(body))
        self._keeping.failpoint(Point.AFTER_POST)
        said = msgspec.structs.replace(said, shown=_digest(body))
        stored = StoredMessage(
            id_, channel.tenant, channel.key, conversation, posted.place, posted.ts, said.open, said.fingerprints,
            (message.id,), msgspec.json.encode(said), due,
        )  # fmt: skip
        await self._remember(stored)

    async def _remember(self, stored: StoredMessage) -> None:
        """For some time: what is not remembered is posted again."""
        clock = self._keeping.clock
        end = clock.monotonic() + _REMEMBER_S
        async for _ in _STORE.attempts(clock.sleep):
            try:
                await self._keeping.messages.add(stored)
                return
            except StoreUnavailable:
                if clock.monotonic() > end:
                    raise

    async def _edit(
        self, channel: Channel, there: StoredMessage, steps: Sequence[Transition], message: Message | None
    ) -> None:
        """Again, when others changed it or what it shows meanwhile."""
        moved: Posted | None = None
        found: StoredMessage | None = there
        news: tuple[str, ...] = ()
        for attempt in range(ATTEMPTS):
            if found is None or (message is not None and message.id in found.told):
                return
            before = saying.decoded(found.data)
            said, fresh = saying.merged(before, steps, message.together if message else None)
            news = fresh if attempt == 0 else news
            body, due = await self._rendered(channel, found.id, said)
            where, shown = moved or Posted(found.place, found.ts), _digest(body)
            if shown != before.shown or attempt:
                try:
                    await self._api.update(channel, where, _sent(body))
                except Gone:
                    where = moved = await self._api.post(channel, _sent(body))
                    self._keeping.failpoint(Point.AFTER_POST)
                    news = ()
            if news:
                await self._reply(channel, where, news)
                news = ()
            told = (*found.told[1 - MAX_TOLD :], message.id) if message else found.told
            said = msgspec.structs.replace(said, shown=shown)
            after = replace(
                found, place=where.place, ts=where.ts, open=said.open, fingerprints=said.fingerprints, told=told,
                data=msgspec.json.encode(said), due=due,
            )  # fmt: skip
            if await self._keeping.messages.write(after):
                return
            found = await self._keeping.messages.get(there.tenant, there.id)
        raise Temporary(Failure.SERVER_ERROR, "what the message shows changes all the time")

    async def _reply(self, channel: Channel, where: Posted, news: Sequence[str]) -> None:
        """An edit makes no sound."""
        try:
            await self._api.reply(channel, where, "\n".join(news))
        except Permanent as e:  # the message itself says it too
            log.warning("a reply was refused", tenant=channel.tenant, reason=str(e))

    async def _rendered(self, channel: Channel, id: str, said: Said) -> tuple[Json, int | None]:  # noqa: A002 - what it is called
        """The body, and when it is to be looked at again by itself."""
        stands = await self._keeping.standing.of(channel.tenant, said.firing)
        together = said.together and replace(said.together, more=said.more)
        told = made_of("", channel.name, said.steps, self._keeping.external_url, together)
        buttons = id if SIGNING in channel.secrets else ""
        ends = [one.mute.until_ms for one in stands.values() if one.mute and one.mute.until_ms is not None]
        return rendered(told, stands, buttons), min(ends, default=None)


def conversation_of(channel: Channel, queue: str) -> str:
    """What belongs together in one channel of a tenant."""
    return hashlib.sha256(f"{channel.tenant}\0{channel.key}\0{queue}".encode()).hexdigest()[:32]


def _sent(body: Json) -> Json:
    return {**body, "unfurl_links": False, "unfurl_media": False}


def _digest(body: Json) -> str:
    return hashlib.sha256(msgspec.json.encode(body)).hexdigest()[:32]
