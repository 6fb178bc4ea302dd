"""What a tenant configures about being on call: schedules, people, chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.configuration import ConfigurationStore, Kind
from vigie_storage.alerts.escalations import EscalationStore

from vigie_alerting.escalation.chain import Chain
from vigie_alerting.schedules.model import Person, Schedule

MAX_SCHEDULES: Final = 200
MAX_PEOPLE: Final = 1_000
MAX_CHAINS: Final = 200


class Calendar(msgspec.Struct, frozen=True):
    """Who knows the address of a schedule's calendar may read it; kept is a hash of what is secret of it."""

    hash: str


@dataclass(frozen=True, slots=True)
class OnCall:
    """By their names."""

    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])
    people: Mapping[str, Person] = field(default_factory=dict[str, Person])
    chains: Mapping[str, Chain] = field(default_factory=dict[str, Chain])
    running: bool = False
    """Whether escalations run, also of chains that were deleted."""

    def __bool__(self) -> bool:
        """Whether a step of an alert may have to do with escalations."""
        return bool(self.chains) or self.running


class OnCallStore:
    """All of it, as it is stored."""

    def __init__(self, store: ConfigurationStore, escalations: EscalationStore) -> None:
        self._escalations = escalations
        self.schedules = store.of(Kind.SCHEDULE, Schedule, MAX_SCHEDULES)
        self.people = store.of(Kind.PERSON, Person, MAX_PEOPLE)
        self.chains = store.of(Kind.CHAIN, Chain, MAX_CHAINS)
        self.calendars = store.of(Kind.CALENDAR, Calendar, MAX_SCHEDULES)

    async def load(self, tenant: TenantId) -> OnCall:
        """What a replica holds of a tenant. Raises StoreUnavailable."""
        return OnCall(
            {one.name: one.value for one in await self.schedules.all(tenant)},
            {one.name: one.value for one in await self.people.all(tenant)},
            {one.name: one.value for one in await self.chains.all(tenant)},
            await self._escalations.any(tenant),
        )
