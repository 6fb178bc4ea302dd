"""Who would have been told of some transitions, and how often: routes, groups and mutes by a clock of their own, with
the code that decides it in production."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from msgspec import structs
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_runtime.expressions import Check, ExpressionTooSlow
from vigie_storage.alerts.groups import Group, Member

from vigie_alerting.notifying import groups as machine
from vigie_alerting.notifying.item import labels_of
from vigie_alerting.notifying.muting import Judge, Mute
from vigie_alerting.notifying.pipeline import goings_of
from vigie_alerting.notifying.places import alone, item
from vigie_alerting.notifying.working import Going, Key, Working
from vigie_alerting.routing.tree import Routes

MAX_LOOKS: Final = 50_000
"""Times at which a group is looked at: what comes after that is not known."""
_MUTED: Final = frozenset({Why.SILENCED, Why.INHIBITED, Why.MAINTENANCE, Why.INACTIVE})


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
    """Firing steps that no route takes, of rules without channels: at most the channels of the settings are told."""
    complete: bool = True
    """Whether all was looked at."""


class Told:
    """One run, of transitions of one tenant in the order of their times."""

    def __init__(self, tenant: TenantId, routes: Routes, judges: Sequence[Judge], check: Check) -> None:
        """`judges` are asked as of the time of a message, in their order. `check` is called often, and may raise
        ExpressionTooSlow."""
        self._tenant, self._routes, self._judges, self._check = tenant, routes, judges, check
        self._groups: dict[str, Group] = {}
        self._members: dict[str, dict[str, Member]] = {}
        """By group and fingerprint."""
        self._of_alert: dict[str, set[str]] = {}
        self._dues: list[tuple[int, str]] = []
        self._looks = 0
        self.pages = Pages()

    def run(self, transitions: Iterable[Transition], until_ms: int) -> Pages:
        """When the time is over, what is known by then."""
        try:
            for at_ms, steps in groupby(transitions, key=lambda step: step.timestamp):
                self._look_until(at_ms)
                self._move(list(steps), at_ms)
            self._look_until(until_ms)
        except ExpressionTooSlow:
            self.pages.complete = False
        return self.pages

    def _move(self, steps: Sequence[Transition], now_ms: int) -> None:
        """Steps of one moment are dispatched together."""
        goings = [self._going(step, now_ms) for step in steps]
        ids = {id_ for step in steps for id_ in self._of_alert.get(step.fingerprint, ())}
        members = [
            self._members[id_][step.fingerprint]
            for step in {one.fingerprint: one for one in steps}.values()
            for id_ in self._of_alert.get(step.fingerprint, ())
        ]
        ids |= {one.group.id for going in goings for one in going.places}
        known = {id_: self._groups[id_] for id_ in ids & self._groups.keys()}
        working = Working(self._tenant, known, members, now_ms)
        for going in goings:
            if going.direct and not going.step.channels and going.step.to_state is AlertState.FIRING:
                self.pages.unrouted += 1
            working.move(going)
        working.flush()
        working.due()
        self._take(working)

    def _going(self, step: Transition, now_ms: int) -> Going:
        self._check()
        ([going], _) = goings_of([step], self._routes, now_ms)
        if step.to_state is not AlertState.FIRING:
            return going
        groups = [one.group for one in (*((alone(step),) if going.direct else ()), *going.places)]
        found = {group.id: self._mute(step, group, now_ms) for group in groups}
        return replace(going, mutes={id_: mute for id_, mute in found.items() if mute is not None})

    def _mute(self, step: Transition, group: Group, at_ms: int) -> Mute | None:
        self._check()
        asked = item(step, labels_of(step), group)
        return next((mute for judge in self._judges if (mute := judge(asked, at_ms)) is not None), None)

    def _look_until(self, now_ms: int) -> None:
        while self._dues and self._dues[0][0] <= now_ms:
            due_ms, id_ = heapq.heappop(self._dues)
            group = self._groups.get(id_)
            if group is None or group.due_ms != due_ms:
                continue
            if self._looks >= MAX_LOOKS:
                self.pages.complete = False
                return
            self._looks += 1
            self._look(group, due_ms)

    def _look(self, group: Group, now_ms: int) -> None:
        self._check()
        members = [
            one
            for one in self._members[group.id].values()
            if one.due_ms is not None and one.due_ms <= now_ms + group.interval_ms
        ]
        asked = [one for one in members if machine.asked(one)]
        found = {(one.group, one.fingerprint): self._mute(one.step, group, now_ms) for one in asked}
        mutes: dict[Key, Mute] = {key: mute for key, mute in found.items() if mute is not None}
        working = Working(self._tenant, {group.id: group}, members, now_ms)
        working.flush(mutes)
        self._take(working)
        dues = [one.due_ms for one in self._members.get(group.id, {}).values() if one.due_ms is not None]
        if group.id in self._groups:
            self._groups[group.id] = structs.replace(working.groups[group.id], due_ms=None)
            self._plan(group.id, min(dues, default=None))

    def _take(self, working: Working) -> None:
        """What is told, and what is known from now on."""
        pages = self.pages
        for step in working.direct:
            for kind in {(one.type, one.destination): one.type for one in step.channels}.values():
                self._tell(kind, (step,))
        for told in working.told:
            for _ in {(one.type, one.destination) for one in told.group.channels} or [None]:
                self._tell(told.group.receiver, told.steps)
        pages.muted.update(one.why.value for one in working.decisions if one.why in _MUTED)
        for key in working.left:
            self._members.get(key[0], {}).pop(key[1], None)
            self._of_alert.get(key[1], set()).discard(key[0])
        for id_, fingerprint in working.touched:
            self._members.setdefault(id_, {})[fingerprint] = working.members[id_, fingerprint]
            self._of_alert.setdefault(fingerprint, set()).add(id_)
            due_ms = working.groups[id_].due_ms
            self._groups[id_] = working.groups[id_]
            self._plan(id_, due_ms)
        for id_ in {id_ for id_, _ in working.left}:
            if not self._members.get(id_):
                self._members.pop(id_, None)
                self._groups.pop(id_, None)

    def _tell(self, receiver: str, steps: Sequence[Transition]) -> None:
        self.pages.total += 1
        self.pages.by_receiver[receiver] += 1
        self.pages.by_rule.update({one.rule_id for one in steps})

    def _plan(self, id_: str, due_ms: int | None) -> None:
        """When the group is looked at next."""
        self._groups[id_] = structs.replace(self._groups[id_], due_ms=due_ms)
        if due_ms is not None:
            heapq.heappush(self._dues, (due_ms, id_))
