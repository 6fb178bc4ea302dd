"""Changing schedules, people and chains: judged together, so that none names what there is not."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from hmac import compare_digest
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace
from vigie_contracts.problems import shortened
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.names import new_id
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.configuration import Stored
from vigie_storage.alerts.handovers import HandoverStore
from vigie_storage.mongo import Session

from vigie_alerting.channels.channels import Channels
from vigie_alerting.configbook import Configbook, ConfigurationConflict
from vigie_alerting.escalation.chain import Chain, Kind
from vigie_alerting.escalation.errors import InvalidOnCall, OnCallInUse, OnCallNotFound
from vigie_alerting.escalation.oncall import Calendar, OnCallStore
from vigie_alerting.schedules.model import Override, Person, Schedule
from vigie_alerting.snapshots import Watch

MAX_OVERRIDES: Final = 200
PAST_MS: Final = 90 * 86_400_000
"""How long an override is kept after it ended."""
ATTEMPTS: Final = 5
_SCHEDULE, _PERSON, _CHAIN = "schedule", "person", "chain"


class OnCallBook:
    """All methods raise StoreUnavailable. `if_version`: as Configbook has it."""

    def __init__(
        self, db: Database, store: OnCallStore, audit: Audit, watch: Watch, handovers: HandoverStore,
        *, channels: Channels, chain_users: Callable[[TenantId, str], Awaitable[list[str]]], clock: Clock,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """`chain_users`: what of the routes names a chain; `wake` is called when somebody else may be on call."""
        self._store, self._handovers, self._channels, self._clock = store, handovers, channels, clock
        self._audit = audit
        self._chain_users, self._wake = chain_users, wake
        self._schedules = Configbook(db, store.schedules, audit, watch)
        self._people = Configbook(db, store.people, audit, watch)
        self._chains = Configbook(db, store.chains, audit, watch)
        self._calendars = Configbook(db, store.calendars, audit, watch)

    async def put_schedule(
        self, tenant: TenantId, name: str, schedule: Schedule, by: Actor, if_version: int | None
    ) -> Stored[Schedule]:
        """Its overrides stay as they are. Raises InvalidOnCall, ConfigurationConflict, LimitReached."""
        await self._check(tenant, schedule)
        return await self._change(
            tenant, name, lambda before: replace(schedule, overrides=before.overrides if before else ()), by, if_version
        )

    async def tried(self, tenant: TenantId, name: str, schedule: Schedule) -> Schedule:
        """What `put_schedule` would store, with the overrides that there are; nothing is. Raises InvalidOnCall."""
        await self._check(tenant, schedule)
        before = await self._store.schedules.get(tenant, name)
        return replace(schedule, overrides=before.value.overrides if before else ())

    async def add_override(self, tenant: TenantId, schedule: str, override: Override, by: Actor) -> Override:
        """With an id of its own. Raises OnCallNotFound, InvalidOnCall."""
        await self._check_people(tenant, {override.person}, "person")
        made = replace(override, id=new_id(), by=by.name)

        def added(before: Schedule | None) -> Schedule:
            there = _required(before, schedule)
            if len(there.overrides) >= MAX_OVERRIDES:
                raise InvalidOnCall("overrides", f"must be at most {MAX_OVERRIDES}: delete some")
            return replace(there, overrides=(*there.overrides, made))

        await self._change(tenant, schedule, added, by)
        return made

    async def remove_override(self, tenant: TenantId, schedule: str, override: str, by: Actor) -> None:
        """Raises OnCallNotFound."""

        def without(before: Schedule | None) -> Schedule:
            there = _required(before, schedule)
            left = tuple(one for one in there.overrides if one.id != override)
            if len(left) == len(there.overrides):
                raise OnCallNotFound("override", override)
            return replace(there, overrides=left)

        await self._change(tenant, schedule, without, by)

    async def delete_schedule(self, tenant: TenantId, name: str, by: Actor, if_version: int | None) -> None:
        """Raises OnCallNotFound, OnCallInUse, ConfigurationConflict."""
        _check_unused(_SCHEDULE, name, await self._in_chains(tenant, Kind.SCHEDULE, name))

        async def also(session: Session) -> None:
            await self._look(tenant, name)(session)
            # With the schedule: the next one of that name is nothing to those who knew this address.
            calendar = await self._store.calendars.delete(tenant, name, by.name, session)
            if calendar is not None:
                await self._audit.add(session, tenant, by, Action.CALENDAR_CLOSED, name, version=calendar.version)

        gone = await self._schedules.delete(tenant, name, by, Action.SCHEDULE_DELETED, if_version=if_version, also=also)
        if gone is None:
            raise OnCallNotFound(_SCHEDULE, name)
        self._wake()

    async def put_person(
        self, tenant: TenantId, name: str, person: Person, by: Actor, if_version: int | None
    ) -> Stored[Person]:
        """Raises InvalidOnCall, ConfigurationConflict, LimitReached."""
        await self._check_channels(tenant, person.channels, "channels")
        return await self._people.put(tenant, name, person, by, Action.PERSON_CHANGED, if_version=if_version)

    async def delete_person(self, tenant: TenantId, name: str, by: Actor, if_version: int | None) -> None:
        """Raises OnCallNotFound, OnCallInUse, ConfigurationConflict."""
        schedules = await self._store.schedules.all(tenant)
        users = [
            f"schedule {one.name!r}" for one in schedules if name in _now_or_later(one.value, self._clock.now_ms())
        ]
        _check_unused(_PERSON, name, [*users, *await self._in_chains(tenant, Kind.PERSON, name)])
        if await self._people.delete(tenant, name, by, Action.PERSON_DELETED, if_version=if_version) is None:
            raise OnCallNotFound(_PERSON, name)

    async def put_chain(
        self, tenant: TenantId, name: str, chain: Chain, by: Actor, if_version: int | None
    ) -> Stored[Chain]:
        """Raises InvalidOnCall, ConfigurationConflict, LimitReached."""
        for at, step in enumerate(chain.steps):
            field = f"steps[{at}].notify"
            named = {kind: [one.name for one in step.notify if one.kind is kind] for kind in Kind}
            await self._check_people(tenant, named[Kind.PERSON], field)
            await self._check_channels(tenant, named[Kind.CHANNEL], field)
            for schedule in named[Kind.SCHEDULE]:
                if await self._store.schedules.get(tenant, schedule) is None:
                    raise InvalidOnCall(field, f"there is no schedule {shortened(schedule)!r}")
        return await self._chains.put(tenant, name, chain, by, Action.CHAIN_CHANGED, if_version=if_version)

    async def delete_chain(self, tenant: TenantId, name: str, by: Actor, if_version: int | None) -> None:
        """Raises OnCallNotFound, OnCallInUse, ConfigurationConflict."""
        _check_unused(_CHAIN, name, await self._chain_users(tenant, name))
        if await self._chains.delete(tenant, name, by, Action.CHAIN_DELETED, if_version=if_version) is None:
            raise OnCallNotFound(_CHAIN, name)

    async def share_calendar(self, tenant: TenantId, schedule: str, by: Actor) -> str:
        """The token of a new address of the calendar; one from before is none any more. Raises OnCallNotFound."""
        if await self._store.schedules.get(tenant, schedule) is None:
            raise OnCallNotFound(_SCHEDULE, schedule)
        secret = secrets.token_urlsafe(32)
        await self._calendars.put(tenant, schedule, Calendar(_hash(secret)), by, Action.CALENDAR_SHARED)
        return f"{tenant}.{secret}"

    async def close_calendar(self, tenant: TenantId, schedule: str, by: Actor) -> None:
        """Nobody reads it any more. Raises OnCallNotFound."""
        if await self._calendars.delete(tenant, schedule, by, Action.CALENDAR_CLOSED) is None:
            raise OnCallNotFound("calendar of", schedule)

    async def shared(self, tenant: TenantId, schedule: str, secret: str) -> Schedule:
        """The schedule of a calendar. Raises OnCallNotFound: the same for a wrong name and a wrong secret."""
        calendar = await self._store.calendars.get(tenant, schedule)
        found = await self._store.schedules.get(tenant, schedule)
        known = calendar is not None and compare_digest(calendar.value.hash, _hash(secret))
        if not known or found is None:
            raise OnCallNotFound("calendar of", schedule)
        return found.value

    async def users_of(self, tenant: TenantId, channel: str) -> list[str]:
        """The people and chains that name a channel."""
        people = [one.name for one in await self._store.people.all(tenant) if channel in one.value.channels]
        return [f"person {name!r}" for name in people] + await self._in_chains(tenant, Kind.CHANNEL, channel)

    async def _change(
        self, tenant: TenantId, name: str, change: Callable[[Schedule | None], Schedule], by: Actor,
        if_version: int | None = None,
    ) -> Stored[Schedule]:  # fmt: skip
        """Again when somebody else was faster, unless the caller says from which version it is."""
        for attempt in range(1, ATTEMPTS + 1):
            before = await self._store.schedules.get(tenant, name)
            made = self._lasting(change(before.value if before else None))
            version = before.version if before else 0
            if if_version is not None and if_version != version:
                raise ConfigurationConflict(f"{_SCHEDULE} {name!r}", before)
            try:
                done = await self._schedules.put(
                    tenant, name, made, by, Action.SCHEDULE_CHANGED, if_version=version, also=self._look(tenant, name)
                )
            except ConfigurationConflict:
                if attempt == ATTEMPTS or if_version is not None:
                    raise
                continue
            self._wake()
            return done
        raise AssertionError("the last attempt raises")

    def _look(self, tenant: TenantId, name: str) -> Callable[[Session], Awaitable[None]]:
        return partial(self._handovers.look, tenant, name, self._clock.now_ms())

    def _lasting(self, schedule: Schedule) -> Schedule:
        """Without overrides that are long over."""
        since = self._clock.now_ms() - PAST_MS
        return replace(schedule, overrides=tuple(one for one in schedule.overrides if one.end > since))

    async def _check(self, tenant: TenantId, schedule: Schedule) -> None:
        for at, zone in enumerate((schedule.timezone, *(layer.timezone for layer in schedule.layers))):
            _check_zone(zone or schedule.timezone, f"layers[{at - 1}].timezone" if at else "timezone")
        for at, layer in enumerate(schedule.layers):
            await self._check_people(tenant, layer.people, f"layers[{at}].people")

    async def _check_people(self, tenant: TenantId, names: Iterable[str], field: str) -> None:
        known = {one.name for one in await self._store.people.all(tenant)}
        if unknown := sorted(set(names) - known):
            raise InvalidOnCall(
                field, f"nobody knows how {shortened(unknown[0])!r} is reached: PUT /api/oncall/people/... first"
            )

    async def _check_channels(self, tenant: TenantId, names: Collection[str], field: str) -> None:
        known = {one.name for one in await self._channels.all(tenant) if not one.default} if names else set[str]()
        for name in names:
            if name not in known:
                raise InvalidOnCall(field, f"there is no channel named {shortened(name)!r}")

    async def _in_chains(self, tenant: TenantId, kind: Kind, name: str) -> list[str]:
        found = await self._store.chains.all(tenant)
        return [f"chain {one.name!r}" for one in found if name in one.value.named(kind)]


def _required(found: Schedule | None, name: str) -> Schedule:
    if found is None:
        raise OnCallNotFound(_SCHEDULE, name)
    return found


def _check_unused(what: str, name: str, users: list[str]) -> None:
    if users:
        raise OnCallInUse(what, name, users)


def _check_zone(name: str, field: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidOnCall(
            field, f"must be the name of a time zone, as Europe/Paris, not {shortened(name)!r}"
        ) from None


def _now_or_later(schedule: Schedule, at_ms: int) -> set[str]:
    """Without who stands only in overrides that are over."""
    return replace(schedule, overrides=tuple(one for one in schedule.overrides if one.end > at_ms)).people


def _hash(secret: str) -> str:
    """256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
