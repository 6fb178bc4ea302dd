"""What alerting keeps in MongoDB."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.channels import ChannelStore
from vigie_storage.alerts.configuration import ConfigurationStore
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.escalations import EscalationStore
from vigie_storage.alerts.groups import GroupStore
from vigie_storage.alerts.handovers import HandoverStore
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.messages import MessageStore
from vigie_storage.alerts.outbox import Outbox
from vigie_storage.alerts.rules import RuleStore
from vigie_storage.alerts.states import AlertStates

from vigie_alerting.settings import AlertingSettings


@dataclass(frozen=True, slots=True)
class Stores:
    rules: RuleStore
    states: AlertStates
    ledger: Ledger
    outbox: Outbox
    channels: ChannelStore
    configuration: ConfigurationStore
    groups: GroupStore
    decisions: Decisions
    escalations: EscalationStore
    handovers: HandoverStore
    messages: MessageStore

    @classmethod
    def of(cls, settings: AlertingSettings, database: Database, clock: Clock) -> Self:
        """As the settings want them."""
        return cls(
            RuleStore(database, clock),
            AlertStates(database, timedelta(days=settings.alert_resolved_days)),
            Ledger(database),
            Outbox(database, clock, timedelta(seconds=settings.alerts_ttl)),
            ChannelStore(database, clock, settings.sealing),
            ConfigurationStore(database, clock),
            GroupStore(database, clock),
            Decisions(database),
            EscalationStore(database, timedelta(seconds=settings.alerts_ttl)),
            HandoverStore(database),
            MessageStore(database, clock, timedelta(seconds=settings.alerts_ttl)),
        )

    async def prepare(self, settings: AlertingSettings) -> None:
        """Make all collections and indexes. Safe to repeat. Raises StoreUnavailable."""
        await self.rules.prepare()
        await self.states.prepare()
        await self.ledger.prepare(timedelta(seconds=settings.alerts_ttl))
        await self.channels.prepare()
        await self.configuration.prepare()
        await self.groups.prepare()
        await self.decisions.prepare(timedelta(seconds=settings.alerts_ttl))
        await self.escalations.prepare()
        await self.handovers.prepare()
        await self.messages.prepare()
