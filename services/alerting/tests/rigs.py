"""A rig per kind of channel: its notifier on a real receiver, and how that receiver is made to behave.

Whoever adds a kind adds a rig; `test_conformance` then holds it to what holds for all.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from vigie_alerting.channels.model import Channel
from vigie_alerting.channels.settings import ChannelSettings
from vigie_alerting.notifiers.apprise import Apprise
from vigie_alerting.notifiers.base import Notifier
from vigie_alerting.notifiers.http import Http
from vigie_alerting.notifiers.live import Live
from vigie_alerting.notifiers.slack import Slack
from vigie_alerting.notifiers.smtp import Email
from vigie_alerting.notifiers.webhook import Webhook
from vigie_alerting.slack.bot import Bot
from vigie_alerting.slack.web_api import WebApi
from vigie_contracts.tenants import TenantId
from vigie_runtime.addresses import networks
from vigie_runtime.clock import ManualClock

from services.alerting.tests.kit import MailServer, WebServer, answer, drip, drop, hang, huge

NOW_MS = 1_790_000_100_000
LOOPBACK = networks("127.0.0.0/8")
SECRET = "hunter2-Zq8PVw"
"""In every secret of every channel here."""
DEADLINE_S = 0.5


class Scenario(StrEnum):
    DELIVERED = "delivered"
    BUSY = "busy"
    """Answers that it is not able to now."""
    LIMITED = "limited"
    """Says how long to wait: 7 s."""
    REFUSED = "refused"
    """Understood, and never."""
    HANGING = "hanging"
    DRIPPING = "dripping"
    DROPPED = "dropped"
    AWAY = "away"
    """Nobody listens."""
    HUGE = "huge"
    """10 MB of answer to what it takes."""
    HUGE_REFUSAL = "huge refusal"
    ECHOING = "echoing"
    """Refuses, and repeats everything that it was sent."""


def settings(**more: Any) -> ChannelSettings:
    return ChannelSettings(
        kafka_bootstrap_servers="kafka:9092", mongodb_uri="mongodb://mongo", redis_url="redis://redis", **more
    )


class Rig(ABC):
    """`received`: the messages that were taken, as bytes."""

    scenarios: ClassVar[frozenset[Scenario]]
    golden: ClassVar[str] = ""
    """What its files are called, where its type has several rigs."""

    def __init__(self) -> None:
        self.notifier: Notifier
        self.channel: Channel

    @abstractmethod
    async def start(self, directory: Path) -> None: ...

    @abstractmethod
    async def behave(self, scenario: Scenario) -> None: ...

    @abstractmethod
    def received(self) -> list[bytes]: ...

    @abstractmethod
    async def stop(self) -> None: ...


class HttpRig(Rig):
    """Those that POST to a web server."""

    scenarios = frozenset(Scenario)

    async def start(self, directory: Path) -> None:
        self.server = await WebServer().start()
        self.clock = ManualClock(NOW_MS)
        self.http = Http(LOOPBACK, self.clock, deadline_s=DEADLINE_S)
        self.build()

    def build(self) -> None:
        raise NotImplementedError

    async def behave(self, scenario: Scenario) -> None:
        if scenario is Scenario.AWAY:
            await self.server.stop()
        self.server.always = {
            Scenario.BUSY: answer(503),
            Scenario.LIMITED: answer(429, Retry_After="7"),
            Scenario.REFUSED: answer(404),
            Scenario.HANGING: hang,
            Scenario.DRIPPING: drip,
            Scenario.DROPPED: drop,
            Scenario.HUGE: huge(200),
            Scenario.HUGE_REFUSAL: huge(400),
            Scenario.ECHOING: self._echo,
        }.get(scenario, answer(200, b"ok"))

    async def _echo(self, writer: asyncio.StreamWriter) -> None:
        call = self.server.calls[-1]
        said = f"{call.path} {call.headers} {SECRET}".encode() + call.body
        await answer(400, said, X_Echo=SECRET, Location=f"http://127.0.0.1/{SECRET}")(writer)

    def received(self) -> list[bytes]:
        return [call.body for call in self.server.calls]

    async def stop(self) -> None:
        await self.http.aclose()
        await self.server.stop()


class WebhookRig(HttpRig):
    def build(self) -> None:
        self.notifier = Webhook(self.http, self.clock)
        self.channel = Channel(
            "c1", TenantId("acme"), "ops", "webhook", self.server.url(f"/hook/{SECRET}"),
            {"authorization": f"Bearer {SECRET}"},
        )  # fmt: skip


class SlackRig(HttpRig):
    def build(self) -> None:
        self.notifier = Slack(self.http, None)
        self.channel = Channel("c1", TenantId("acme"), "ops", "slack", self.server.url(f"/services/{SECRET}"))


class SlackBotRig(HttpRig):
    """By the token of an app: what answers is told apart by its `ok`."""

    scenarios = frozenset(Scenario) - {Scenario.HUGE}
    """Slack's answer to what it takes has to be read: where the message is."""
    golden = "slack-bot"

    def build(self) -> None:
        self.server.always = _POSTED
        keeping: Any = None  # of messages that belong to nothing nothing is kept
        self.notifier = Slack(self.http, None, Bot(WebApi(self.http), keeping))
        secrets = {"token": f"xoxb-{SECRET}", "signing": SECRET, "api": self.server.url(f"/{SECRET}")}
        self.channel = Channel("c1", TenantId("acme"), "ops", "slack", "#alerts", secrets)

    async def behave(self, scenario: Scenario) -> None:
        await super().behave(scenario)
        if scenario is Scenario.DELIVERED:
            self.server.always = _POSTED


_POSTED = answer(200, b'{"ok": true, "channel": "C0123456789", "ts": "1790000000.000001"}')


class AppriseRig(HttpRig):
    scenarios = frozenset(Scenario) - {Scenario.LIMITED, Scenario.DRIPPING}
    """Apprise does not tell Retry-After; its own time-outs end what drips, later than a test may take."""

    def build(self) -> None:
        self.notifier = Apprise(frozenset({"json"}), 20.0)
        self.channel = Channel(
            "c1", TenantId("acme"), "ops", "apprise", f"json://user:{SECRET}@127.0.0.1:{self.server.port}/{SECRET}"
        )

    async def behave(self, scenario: Scenario) -> None:
        if scenario is Scenario.HANGING:
            self.notifier = Apprise(frozenset({"json"}), DEADLINE_S)
        await super().behave(scenario)


class EmailRig(Rig):
    scenarios = frozenset(
        {Scenario.DELIVERED, Scenario.BUSY, Scenario.REFUSED, Scenario.HANGING, Scenario.AWAY, Scenario.ECHOING}
    )

    async def start(self, directory: Path) -> None:
        self.server = await MailServer().start(login=True)
        self._port = self.server.port
        self.notifier = self.email(self._port)
        self.channel = Channel("c1", TenantId("acme"), "ops", "email", "ops@example.com")

    @staticmethod
    def email(port: int, tls: ssl.SSLContext | None = None, deadline_s: float = 5.0, **more: Any) -> Email:
        fields: dict[str, Any] = {
            "email_smtp_host": "127.0.0.1", "email_smtp_port": port, "email_username": "vigie@example.com",
            "email_password": SECRET, "email_smtp_tls": "none",
        }  # fmt: skip
        context = tls or ssl.create_default_context()
        return Email(settings(**{**fields, **more}), ManualClock(NOW_MS), context, deadline_s)

    async def behave(self, scenario: Scenario) -> None:
        match scenario:
            case Scenario.BUSY:
                self.server.data = "451 4.7.1 greylisted"
            case Scenario.REFUSED:
                self.server.data = "554 5.7.1 no"
            case Scenario.ECHOING:
                self.server.data = f"554 5.7.1 no, {SECRET}"
            case Scenario.HANGING:
                self.server.hanging = True
                self.notifier = self.email(self._port, deadline_s=DEADLINE_S)
            case Scenario.AWAY:
                self.server.stop()
            case _:
                pass

    def received(self) -> list[bytes]:
        return [bytes(mail.content or b"") for mail in self.server.mails if not isinstance(mail.content, str)]

    async def stop(self) -> None:
        self.server.stop()


class LiveRig(Rig):
    scenarios = frozenset({Scenario.DELIVERED, Scenario.AWAY, Scenario.HANGING})
    """Whoever hands the record over does not judge it."""

    async def start(self, directory: Path) -> None:
        self._scenario = Scenario.DELIVERED
        self._received: list[bytes] = []
        self.notifier = Live(self._publish, 0.05)
        self.channel = Channel("live", TenantId("acme"), "live", "live")

    async def _publish(self, tenant: TenantId, record: bytes) -> None:
        if self._scenario is Scenario.AWAY:
            raise ConnectionRefusedError(SECRET)
        if self._scenario is Scenario.HANGING:
            await asyncio.Event().wait()
        self._received.append(record)

    async def behave(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def received(self) -> list[bytes]:
        return self._received

    async def stop(self) -> None:
        pass


# By the type of the channel, and by what else it is where a type has several.
RIGS: dict[str, type[Rig]] = {
    "slack": SlackRig, "slack bot": SlackBotRig, "email": EmailRig, "webhook": WebhookRig, "live": LiveRig,
    "apprise": AppriseRig,
}  # fmt: skip
