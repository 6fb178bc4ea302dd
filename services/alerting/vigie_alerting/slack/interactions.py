"""Presses of buttons: checked, answered within Slack's 3 s, done, and what is refused told to whoever pressed.

The message that a button names is looked up; it says whose it is, and its channel has the secret that the request must
be signed with. So no app can press a button of another tenant's message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging, tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, ProblemError
from vigie_storage.alerts.messages import MessageStore, StoredMessage

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.errors import NotifyError
from vigie_alerting.notifiers.http import Http
from vigie_alerting.slack import payloads
from vigie_alerting.slack.blocks import escaped
from vigie_alerting.slack.errors import NotFromSlack, Replayed
from vigie_alerting.slack.payloads import Pressed
from vigie_alerting.slack.people import People
from vigie_alerting.slack.presses import Presses
from vigie_alerting.slack.replays import Replays
from vigie_alerting.slack.secrets import API, SIGNING
from vigie_alerting.slack.signature import is_signed

log = logging.get(__name__)

ANSWER_S: Final = 2.0
"""Slack waits for 3 s; what takes longer is done after the answer."""
MAX_WORKING: Final = 64
_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_NO_SECRET: Final = "0" * 32
_TOLD_CHARS: Final = 2_000

Lookup: TypeAlias = Callable[[TenantId, str], Awaitable[Channel]]
"""As the keeper's."""


class Interactions:
    """For one event loop. `close` waits for what is being done."""

    def __init__(
        self, messages: MessageStore, lookup: Lookup, *, replays: Replays, people: People, presses: Presses,
        http: Http, clock: Clock,
    ) -> None:  # fmt: skip
        self._messages, self._lookup, self._replays = messages, lookup, replays
        self._people, self._presses, self._http, self._clock = people, presses, http, clock
        self._working: set[asyncio.Task[None]] = set()

    async def take(self, timestamp: str, signature: str, body: bytes) -> None:
        """A request of Slack, with its two headers. Raises Malformed, NotFromSlack, Replayed, Busy,
        StoreUnavailable."""
        pressed = payloads.read(body)
        message = await self._messages.named(pressed.value.message)
        channel = await self._channel(message)
        secret = channel.secrets.get(SIGNING, "") if channel else ""
        right = is_signed(secret or _NO_SECRET, timestamp, signature, body, self._clock.now_ms())
        if message is None or channel is None or not secret or not right:
            raise NotFromSlack
        if len(self._working) >= MAX_WORKING:
            raise Busy("presses of buttons")
        if not await self._replays.first(signature):
            raise Replayed
        task = asyncio.create_task(self._do(message, channel, pressed), name="a press in Slack")
        self._working.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=ANSWER_S)

    async def close(self) -> None:
        """Nothing more comes."""
        if self._working:
            await asyncio.wait(self._working)

    async def _channel(self, message: StoredMessage | None) -> Channel | None:
        if message is None:
            return None
        try:
            return await self._lookup(message.tenant, message.channel)
        except NotifyError:  # it was deleted, or is not readable now
            return None

    async def _do(self, message: StoredMessage, channel: Channel, pressed: Pressed) -> None:
        refused: Sequence[str]
        try:
            actor = await self._people.actor(channel, pressed.by)
            refused = await self._presses.do(message, pressed.press, pressed.value.told, actor)
        except ProblemError as e:
            refused = [e.detail]
        if refused:
            await self._tell(channel, pressed.response_url, "\n".join(refused))

    async def _tell(self, channel: Channel, url: str, words: str) -> None:
        """Only whoever pressed sees it."""
        if not _answers(channel, url):
            log.warning("a refusal is not told: the address is not Slack's", tenant=channel.tenant)
            return
        said = escaped(text.paragraph(f"Not done: {words}", _TOLD_CHARS))
        body = {"response_type": "ephemeral", "replace_original": False, "text": said}
        try:
            await self._http.post(url, {"Content-Type": "application/json; charset=utf-8"}, msgspec.json.encode(body))
        except NotifyError as e:
            log.warning("a refusal was not told", tenant=channel.tenant, failure=e.failure.value)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if error := tasks.retrieve(task):
            log.error("a press was not done", error=type(error).__name__)


def _answers(channel: Channel, url: str) -> bool:
    """Whether Slack answers presses there: at its own hosts, or where the channel says that its API is."""
    try:
        parts, api = urlsplit(url), urlsplit(channel.secrets.get(API, ""))
        if api.hostname and (parts.scheme, parts.hostname, parts.port) == (api.scheme, api.hostname, api.port):
            return True
        return parts.scheme == "https" and parts.hostname in _HOSTS and parts.port in (None, 443)
    except ValueError:
        return False
