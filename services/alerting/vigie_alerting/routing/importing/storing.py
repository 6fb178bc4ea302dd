"""Taking a file of Alertmanager: all of it or nothing, in one transaction; or only saying what would be done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import LimitReached
from vigie_storage.alerts.channels import ChannelStore, ChannelTaken, StoredChannel
from vigie_storage.alerts.configuration import ConfigurationStore, Kind, Stored, TooMany
from vigie_storage.mongo import Session

from vigie_alerting.channels.drafts import ShownChannel, checked, shown
from vigie_alerting.channels.errors import ChannelConflict, InvalidChannel
from vigie_alerting.inhibition import MAX_INHIBITIONS, Inhibition, check_expressions
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.outbox import NAMED
from vigie_alerting.routing.importing.judging import IMPORTED, inhibitions, judged, refuse, times
from vigie_alerting.routing.importing.reading import Read, read
from vigie_alerting.routing.model import RoutingTree
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.rules.files import Finding
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.snapshots import Watch
from vigie_alerting.times.interval import MAX_INTERVALS, TimeInterval

T = TypeVar("T", bound=msgspec.Struct)
_OF_IMPORT: Final = re.compile(rf"{IMPORTED}\d+")


class Verdict(StrEnum):
    """What becomes of a part."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    """It came with an import before, and is not in the file any more."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the file."""

    kind: str
    name: str
    line: int
    verdict: Verdict
    channel: ShownChannel | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What an import did, or would do."""

    stored: Stored[RoutingTree] | None
    """What there is now."""
    tree: RoutingTree
    """That of the file."""
    parts: Sequence[Part]
    unmapped: Sequence[Finding]
    warnings: Sequence[RuleProblem]


@dataclass(slots=True)
class _Plan:
    """What is to be written."""

    channels: list[tuple[StoredChannel, bool]] = field(default_factory=list[tuple[StoredChannel, bool]])
    """Each with whether it is new."""
    times: dict[str, TimeInterval] = field(default_factory=dict[str, TimeInterval])
    inhibitions: dict[str, Inhibition] = field(default_factory=dict[str, Inhibition])
    gone: list[str] = field(default_factory=list[str])
    """Inhibition rules."""
    parts: list[Part] = field(default_factory=list[Part])

    @property
    def changes(self) -> bool:
        return any(one.verdict is not Verdict.UNCHANGED for one in self.parts)


class Imports:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        book: Routebook,
        configuration: ConfigurationStore,
        channels: ChannelStore,
        *,
        audit: Audit,
        watch: Watch,
        resources: Resources,
    ) -> None:
        self._book, self._channels, self._audit, self._watch = book, channels, audit, watch
        self._times = configuration.of(Kind.TIME_INTERVAL, TimeInterval, MAX_INTERVALS)
        self._inhibitions = configuration.of(Kind.INHIBITION, Inhibition, MAX_INHIBITIONS)
        self._resources = resources

    async def put(
        self, tenant: TenantId, text: str, by: Actor, *, if_version: int | None = None, dry_run: bool = False
    ) -> Done:
        """Raises InvalidRuleFile with every line that is wrong, ConfigurationConflict, ChannelConflict,
        LimitReached."""
        found = await asyncio.to_thread(read, text)
        refuse(found.document)
        plan = _Plan()
        tree = await self._planned_channels(tenant, found, by, plan)
        await self._planned_times(tenant, found, plan)
        thinking = self._book.thinking(tenant)
        rules = await thinking.run(lambda check: inhibitions(found, check))
        await self._planned_inhibitions(tenant, rules, plan)
        before = await self._book.stored(tenant)
        known = await self._book.known(
            tenant, before.value if before else None, channels=found.drafts, times=found.times
        )
        routes, warnings = await thinking.run(lambda check: judged(found.document, tree, known, check))
        stored = before
        if not dry_run and (before is None or before.value != tree or plan.changes):
            stored = await self._write(tenant, routes.tree, plan, by, if_version)
        return Done(stored, tree, plan.parts, found.findings, warnings)

    async def _planned_channels(self, tenant: TenantId, found: Read, by: Actor, plan: _Plan) -> RoutingTree:
        """The tree without the channels that cannot be sent to."""
        present = {one.name: one for one in await self._channels.all(tenant)}
        refused: set[str] = set()
        for name, (line, draft) in found.drafts.items():
            before = present.get(name)
            try:
                made = checked(draft, tenant, by.name, self._resources, before)
            except InvalidChannel as e:
                found.document.lost(line, f"the channel {name!r} cannot be used: {e.detail}")
                refused.add(name)
                continue
            verdict = _verdict_of_channel(before, made)
            plan.parts.append(Part("channel", name, line, verdict, shown(made)))
            if verdict is not Verdict.UNCHANGED:
                plan.channels.append((made, before is None))
        return _without(found.tree, refused)

    async def _planned_times(self, tenant: TenantId, found: Read, plan: _Plan) -> None:
        present = {one.name: one.value for one in await self._times.all(tenant)}
        for name, made in (await asyncio.to_thread(times, found)).items():
            verdict = _verdict(present.get(name), made)
            plan.parts.append(Part(Kind.TIME_INTERVAL.value, name, found.times[name].line, verdict))
            if verdict is not Verdict.UNCHANGED:
                plan.times[name] = made

    async def _planned_inhibitions(
        self, tenant: TenantId, rules: Mapping[str, tuple[int, Inhibition]], plan: _Plan
    ) -> None:
        present = {one.name: one.value for one in await self._inhibitions.all(tenant)}
        for name, (line, made) in rules.items():
            plan.parts.append(Part(Kind.INHIBITION.value, name, line, _verdict(present.get(name), made)))
            plan.inhibitions[name] = made
        plan.gone = [name for name in present if _OF_IMPORT.fullmatch(name) and name not in plan.inhibitions]
        kept = {name: one for name, one in present.items() if name not in plan.gone}
        check_expressions({**kept, **plan.inhibitions}.values())
        plan.parts += [Part(Kind.INHIBITION.value, name, 1, Verdict.DELETED) for name in plan.gone]

    async def _write(
        self, tenant: TenantId, tree: RoutingTree, plan: _Plan, by: Actor, if_version: int | None
    ) -> Stored[RoutingTree]:
        async def also(session: Session) -> None:
            for channel, new in plan.channels:
                await self._write_channel(channel, new, by, session)
            for name, value in plan.times.items():
                await self._times.write(tenant, name, value, by.name, session)
            for name, value in plan.inhibitions.items():
                await self._inhibitions.write(tenant, name, value, by.name, session)
            for name in plan.gone:
                await self._inhibitions.delete(tenant, name, by.name, session)

        counts = {verdict.value: sum(one.verdict is verdict for one in plan.parts) for verdict in Verdict}
        try:
            return await self._book.put(
                tenant, tree, by, Action.ROUTES_IMPORTED, if_version=if_version, also=also, **counts
            )
        except ChannelTaken as e:
            raise ChannelConflict(str(e)) from e
        except TooMany as e:
            raise LimitReached(f"documents of the kind {e.kind.value}", e.most) from None
        finally:
            self._watch.drop(tenant, Kind.TIME_INTERVAL)
            self._watch.drop(tenant, Kind.INHIBITION)

    async def _write_channel(self, channel: StoredChannel, new: bool, by: Actor, session: Session) -> None:
        if new:
            await self._channels.add(channel, session)
        elif await self._channels.replace(channel, session) is None:
            raise ChannelConflict(f"somebody else changed the channel {channel.name!r} meanwhile: import again")
        action = Action.CHANNEL_CREATED if new else Action.CHANNEL_CHANGED
        await self._audit.add(session, channel.tenant, by, action, channel.id, name=channel.name, type=channel.type)


def _verdict(before: T | None, made: T) -> Verdict:
    if before is None:
        return Verdict.CREATED
    return Verdict.UNCHANGED if before == made else Verdict.CHANGED


def _verdict_of_channel(before: StoredChannel | None, made: StoredChannel) -> Verdict:
    if before is None:
        return Verdict.CREATED
    same = (before.type, before.destination, before.secrets) == (made.type, made.destination, made.secrets)
    return Verdict.UNCHANGED if same and before.readable else Verdict.CHANGED


def _without(tree: RoutingTree, refused: Collection[str]) -> RoutingTree:
    receivers = {
        name: replace(one, channels=[to for to in one.channels if not (to.type == NAMED and to.destination in refused)])
        for name, one in tree.receivers.items()
    }
    return replace(tree, receivers=receivers)
