"""Senders of Slack messages on a database of their own; run as a program, one that dies where it is told to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo import AsyncMongoClient
from vigie_alerting.channels.channels import Channels
from vigie_alerting.notifiers.slack import Slack
from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.sender.failpoints import Failpoint, from_environment, never
from vigie_alerting.slack.bot import Bot, Keeping
from vigie_alerting.slack.keeper import Keeper
from vigie_alerting.slack.standing import Standing
from vigie_alerting.slack.web_api import WebApi
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.escalations import EscalationStore
from vigie_storage.alerts.messages import MessageStore
from vigie_storage.alerts.states import AlertStates

from services.alerting.tests.slack_double import SlackDouble
from services.alerting.tests.stage import KEPT, Stage
from tests.kit.wait import eventually


@dataclass
class Shop:
    stage: Stage
    slack: SlackDouble
    messages: MessageStore
    states: AlertStates
    escalations: EscalationStore
    muted: bool = False

    @classmethod
    async def opened(cls, stage: Stage, slack: SlackDouble) -> Shop:
        db = stage.database
        made = cls(
            stage, slack, MessageStore(db, stage.clock, KEPT), AlertStates(db, timedelta(days=1)),
            EscalationStore(db, KEPT),
        )  # fmt: skip
        for one in (made.messages, made.states, made.escalations):
            await one.prepare()
        return made

    def keeping(self, failpoint: Failpoint = never) -> Keeping:
        standing = Standing(self.states, self.escalations, self.silenced, self.stage.clock)
        return Keeping(self.messages, standing, self.stage.clock, "", failpoint)

    def use(self, failpoint: Failpoint = never) -> None:
        """As a process that dies there."""
        bot = Bot(WebApi(self.stage.http), self.keeping(failpoint))
        self.stage.notifiers["slack"] = Slack(self.stage.http, None, bot)
        self.stage.channels = Channels(self.stage.store, self.stage.notifiers, self.stage.resources)

    def keeper(self) -> Keeper:
        bot = Bot(WebApi(self.stage.http), self.keeping())
        return Keeper(self.messages, bot, self.stage.channels.by_key, self.stage.clock)

    async def all_sent(self) -> None:
        async def sent() -> bool:
            return set(await self.stage.states()) == {"sent"}

        await eventually(sent, 20)

    async def silenced(self, _tenant: TenantId, items: Sequence[Item], _now: int) -> list[Mute | None]:
        return [Mute(Why.SILENCED, "s", "silenced by ben") if self.muted else None for _ in items]


async def die(uri: str, database: str) -> None:
    """Send what there is, until the failpoint of the environment."""
    client = AsyncMongoClient[dict[str, Any]](uri)
    shop = await Shop.opened(Stage(client[database]), SlackDouble())
    failpoint = from_environment()
    shop.use(failpoint)
    async with shop.stage.sending(failpoint):
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(die(*sys.argv[1:]))
