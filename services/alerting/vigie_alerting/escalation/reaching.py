"""Where a step of a chain goes: its schedules, people and channels as they are at that moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vigie_contracts.alerts import Channel
from vigie_contracts.tenants import TenantId
from vigie_query.times import iso
from vigie_storage.alerts.document import Address

from vigie_alerting.channels.channels import Channels
from vigie_alerting.escalation.chain import Kind, Target
from vigie_alerting.escalation.oncall import OnCall
from vigie_alerting.outbox import NAMED
from vigie_alerting.schedules import rotation
from vigie_alerting.schedules.model import Person

EMAIL: Final = "email"
Addresses: TypeAlias = Callable[[TenantId, Sequence[Channel]], Awaitable[list[Address]]]
"""`Channels.addresses`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """`told` and `missed` are parts of a sentence: who is told, and who cannot be, and why."""

    addresses: tuple[Address, ...]
    told: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses)


class Reaching:
    """All methods raise StoreUnavailable."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, tenant: TenantId, targets: Iterable[Target], known: OnCall, at_ms: int) -> Reach:
        """Everybody of a step, each address once."""
        addresses: dict[str, Address] = {}
        told: list[str] = []
        missed: list[str] = []
        for target in targets:
            channels, name = _channels(target, known, at_ms)
            found = await self._usable(tenant, channels)
            addresses |= {one.key: one for one in found}
            if found:
                told.append(name)
            else:
                missed.append(f"{name} has no channel that there is" if channels else name)
        return Reach(tuple(addresses.values()), tuple(told), tuple(missed))

    async def person(self, tenant: TenantId, person: Person) -> Reach:
        """One of the people."""
        return Reach(tuple(await self._usable(tenant, contacts(person))))

    async def default(self, tenant: TenantId, channels: Sequence[Channel]) -> Reach:
        """Who is told when nobody else can be: these channels, without any those of the settings."""
        found = await self._channels.addresses(tenant, channels)
        return Reach(tuple(found), ("the default channel",) if found else ())

    async def _usable(self, tenant: TenantId, channels: Sequence[Channel]) -> list[Address]:
        """Without those that were deleted."""
        if not channels:
            return []
        return [one for one in await self._channels.addresses(tenant, channels) if one.type != NAMED]


def contacts(person: Person) -> list[Channel]:
    """As rules have channels."""
    mail = [Channel(EMAIL, person.email)] if person.email else []
    return [*(Channel(NAMED, name) for name in person.channels), *mail]


def _channels(target: Target, known: OnCall, at_ms: int) -> tuple[list[Channel], str]:
    """The channels of a target, and who that is; without channels: why there are none."""
    if target.kind is Kind.CHANNEL:
        return [Channel(NAMED, target.name)], f"channel {target.name!r}"
    if target.kind is Kind.PERSON:
        return _of_person(target.name, known, target.name)
    schedule = known.schedules.get(target.name)
    if schedule is None:
        return [], f"there is no schedule {target.name!r}"
    now = rotation.now(schedule, at_ms)
    if now.person is None:
        back = f" until {iso(now.until)}" if now.until is not None else ""
        return [], f"nobody is on call in {target.name!r}{back}"
    until = f" until {iso(now.until)}" if now.until is not None else ""
    return _of_person(now.person, known, f"{now.person}, on call in {target.name!r}{until}")


def _of_person(name: str, known: OnCall, told: str) -> tuple[list[Channel], str]:
    person = known.people.get(name)
    if person is None:
        return [], f"nobody knows how {told} is reached"
    return contacts(person), told
