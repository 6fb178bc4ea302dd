"""Who would have been told of some transitions, and how often: routes, groups and mutes by a clock of their own, with
the machine that decides it in production."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.groups import Group, Member

from vigie_alerting.notifying import groups
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.muting import Mute, Muter, muted
from vigie_alerting.routing.timings import Timings
from vigie_alerting.routing.tree import Routes

MAX_LOOKS: Final = 50_000
"""Times at which a group is looked at: what comes after that is not known."""
AT_ONCE: Final = 50
"""Looks between two pauses."""
_DIRECT: Final = Timings(0, 0, 0)


@dataclass(slots=True)
class Pages:
    """Notifications, by whom they would have reached."""

    total: int = 0
    by_receiver: Counter[str] = field(default_factory=Counter[str])
    by_rule: Counter[str] = field(default_factory=Counter[str])
    """Notifications in which a rule has a part, by its id: one may tell of several rules."""
    muted: Counter[str] = field(default_factory=Counter[str])
    """Firing steps that were held, by why."""
    unrouted: int = 0
    """Firing steps of which nobody would have been told."""
    complete: bool = True
    """Whether all was looked at."""


@dataclass(slots=True)
class _Kept:
    group: Group
    timings: Timings
    members: dict[str, Member] = field(default_factory=dict[str, Member])


class Told:
    """One run. Transitions of one tenant in the order of their times."""

    def __init__(self, tenant: TenantId, routes: Routes, muters: Sequence[Muter] = ()) -> None:
        """`muters` are asked as of the time of a message."""
        self._tenant, self._routes, self._muters = tenant, routes, muters
        self._groups: dict[str, _Kept] = {}
        self._dues: list[tuple[int, str]] = []
        self._looks = 0
        self.pages = Pages()

    async def run(self, transitions: Iterable[Transition], until_ms: int) -> Pages:
        """Raises StoreUnavailable."""
        for step in transitions:
            if step.to_state not in (AlertState.FIRING, AlertState.RESOLVED):
                continue
            await self._flush_until(step.timestamp - 1)
            for key, kept in self._legs(step):
                self._join(kept, step)
                self._plan(key, kept)
            await self._flush_until(step.timestamp)
        await self._flush_until(until_ms)
        return self.pages

    def _legs(self, step: Transition) -> list[tuple[str, _Kept]]:
        """The groups that a step goes to: by routes, and for each channel of its rule one of its own."""
        labels = labels_of(step)
        found = [
            self._group(f"{leg.route}\0{leg.receiver}\0{sorted(leg.group_labels.items())}", leg.route, leg.receiver, step,
                        leg.timings, leg.mute_times, leg.active_times)
            for leg in self._routes.of(labels)
        ]  # fmt: skip
        own = {(one.type, one.destination) for one in step.channels}
        for kind, destination in sorted(own):
            name = f"{kind}:{destination}" if kind == "channel" else kind
            found.append(self._group(f"\0{kind}\0{destination}\0{step.fingerprint}", "", name, step, _DIRECT))
        if not found and self._routes.default:
            found.append(self._group(f"\0\0{step.fingerprint}", "", self._routes.default, step, _DIRECT))
        if not found and step.to_state is AlertState.FIRING:
            self.pages.unrouted += 1
        return found

    def _group(
        self, key: str, route: str, receiver: str, step: Transition, timings: Timings,
        mute_times: tuple[str, ...] = (), active_times: tuple[str, ...] = (),
    ) -> tuple[str, _Kept]:  # fmt: skip
        kept = self._groups.get(key)
        if kept is None:
            group = Group(
                id=key, tenant=self._tenant, route=route, receiver=receiver, mute_times=mute_times,
                active_times=active_times, born=step.id,
            )  # fmt: skip
            kept = self._groups[key] = _Kept(group, timings)
        kept.timings = timings
        return key, kept

    def _join(self, kept: _Kept, step: Transition) -> None:
        member = kept.members.get(step.fingerprint)
        if step.to_state is AlertState.FIRING:
            after = groups.join(kept.group, member, step, kept.timings, step.timestamp).member
        elif member is None:
            return
        else:
            after = groups.leave(kept.group, member, step, step.timestamp).member
        if after is None:
            kept.members.pop(step.fingerprint, None)
        else:
            kept.members[step.fingerprint] = after

    def _plan(self, key: str, kept: _Kept) -> None:
        """When it is looked at next; a group that has no members any more is forgotten."""
        due = min((one.due_ms for one in kept.members.values() if one.due_ms is not None), default=None)
        if due != kept.group.due_ms:
            kept.group = replace(kept.group, due_ms=due)
            if due is not None:
                heapq.heappush(self._dues, (due, key))
        if not kept.members:
            self._groups.pop(key, None)

    async def _flush_until(self, now_ms: int) -> None:
        while self._dues and self._dues[0][0] <= now_ms:
            due, key = heapq.heappop(self._dues)
            kept = self._groups.get(key)
            if kept is None or kept.group.due_ms != due:
                continue
            if self._looks >= MAX_LOOKS:
                self.pages.complete = False
                return
            self._looks += 1
            await self._flush(key, kept, due)
            if self._looks % AT_ONCE == 0:
                await asyncio.sleep(0)  # others have work to do, too

    async def _flush(self, key: str, kept: _Kept, now_ms: int) -> None:
        members = list(kept.members.values())
        mutes = await self._mutes(kept.group, [one for one in members if groups.asked(one)], now_ms)
        done = groups.flush(kept.group, members, mutes, now_ms)
        held = {one.fingerprint: one.held for one in members}
        for member in done.changed:
            if member.held and member.held != held.get(member.fingerprint):
                self.pages.muted[mutes[member.fingerprint].why.value] += 1
            kept.members[member.fingerprint] = member
        for member in done.left:
            kept.members.pop(member.fingerprint, None)
        if done.told:
            self.pages.total += 1
            self.pages.by_receiver[done.group.receiver] += 1
            self.pages.by_rule.update({one.rule_id for one in done.told})
        kept.group = replace(done.group, due_ms=None)
        self._plan(key, kept)

    async def _mutes(self, group: Group, members: Sequence[Member], now_ms: int) -> Mapping[str, Mute]:
        items = [
            Item(
                one.step, labels_of(one.step), group.receiver, group.route, group.key, group.mute_times,
                group.active_times,
            )
            for one in members
        ]  # fmt: skip
        verdicts = await muted(self._muters, self._tenant, items, now_ms) if items and self._muters else []
        pairs = zip(members, verdicts, strict=False)
        return {member.fingerprint: mute for member, mute in pairs if mute is not None}
