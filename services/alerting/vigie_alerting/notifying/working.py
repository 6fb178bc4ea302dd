"""The groups that one transaction changes: read, changed in memory, written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.decisions import Decision
from vigie_storage.alerts.groups import Group, Member

from vigie_alerting.notifying import groups as machine
from vigie_alerting.notifying.groups import Moved
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.notifying.places import Place, alone, alone_id

Key: TypeAlias = tuple[str, str]
"""Group and fingerprint."""


@dataclass(frozen=True, slots=True)
class Going:
    """A step, and where it goes."""

    step: Transition
    direct: bool
    """Whether the channels of its rule are told of it, or those of the settings."""
    places: tuple[Place, ...] = ()
    """Where routes take it; of a step that fires."""
    mutes: Mapping[str, Mute] = field(default_factory=dict[str, Mute])
    """By group, what mutes it there now; `alone_id` stands for the channels of its rule."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message of a group, worst first."""

    group: Group
    steps: tuple[Transition, ...]


class Working:
    """Of one tenant."""

    def __init__(self, tenant: str, groups: Mapping[str, Group], members: Iterable[Member], now_ms: int) -> None:
        self._tenant, self._now = tenant, now_ms
        self.groups: dict[str, Group] = dict(groups)
        self.members: dict[Key, Member] = {(one.group, one.fingerprint): one for one in members}
        self._of_alert: dict[str, set[str]] = {}
        for group, fingerprint in self.members:
            self._of_alert.setdefault(fingerprint, set()).add(group)
        self._mutes: dict[Key, Mute] = {}
        self.touched: dict[Key, None] = {}
        """Members that were changed, in their order."""
        self.left: set[Key] = set()
        self.direct: list[Transition] = []
        """What the channels of rules are told, each on its own."""
        self.told: list[Told] = []
        self.decisions: list[Decision] = []

    def move(self, going: Going) -> None:
        """A step of an alert."""
        step = going.step
        own = alone_id(self._tenant, step.fingerprint)
        here = {place.group.id: place for place in going.places}
        fires = step.to_state is AlertState.FIRING
        if going.direct and (fires or step.to_state is AlertState.RESOLVED) and self._directly(going, own):
            here[own] = alone(step)
        if step.to_state is AlertState.RESOLVED and going.places and not self._of_alert.get(step.fingerprint):
            self.direct.append(step)  # it fired before there were routes for it: these were told of that
        for place in here.values():
            if fires:
                self._join(step, place, going.mutes.get(place.group.id))
        for group in sorted(self._of_alert.get(step.fingerprint, set()) - (here.keys() if fires else set())):
            self._put(machine.leave(self.groups[group], self.members[group, step.fingerprint], step, self._now))

    def _directly(self, going: Going, own: str) -> bool:
        """Tell the channels of the rule, or say that the group of one has to decide."""
        step = going.step
        held = self.members.get((own, step.fingerprint))
        if step.to_state is AlertState.RESOLVED:
            if held is None and (going.places or step.channels or not self._of_alert.get(step.fingerprint)):
                self.direct.append(step)  # else it was a group that was told, by routes that are no more
            return False
        if own in going.mutes:
            if held is None and step.from_state in (AlertState.FIRING, AlertState.ACKNOWLEDGED):
                self._heard(step, own)
            return True
        if held is not None:
            self.decisions += machine.superseded(self.groups[own], held, self._now)
            self._remove((own, step.fingerprint))
        self.direct.append(step)
        return False

    def _heard(self, step: Transition, own: str) -> None:
        """Nothing was held of this alert, and it fired: they were told so."""
        before = replace(step, sequence=step.sequence - 1, id="")
        member = Member(
            group=own, tenant=self._tenant, fingerprint=step.fingerprint, step=before, told_state=AlertState.FIRING
        )
        self._put(Moved(member))

    def _join(self, step: Transition, place: Place, mute: Mute | None) -> None:
        new = place.group
        known = self.groups.get(new.id)
        self.groups[new.id] = group = new if known is None else replace(
            known, receiver=new.receiver, channels=new.channels, chain=new.chain, mute_times=new.mute_times,
            active_times=new.active_times, interval_ms=max(known.interval_ms, new.interval_ms),
        )  # fmt: skip
        key = group.id, step.fingerprint
        self._put(machine.join(group, self.members.get(key), step, place.timings, self._now))
        if mute is None:
            self._mutes.pop(key, None)
        else:
            self._mutes[key] = mute

    def flush(self, mutes: Mapping[Key, Mute] | None = None) -> None:
        """Tell what is due of the members that were touched, or of all where `mutes` says what of them is muted."""
        by_group: dict[str, list[Member]] = {}
        for key in list(self.touched if mutes is None else self.members):
            by_group.setdefault(key[0], []).append(self.members[key])
        for id_, members in by_group.items():
            muted = self._mutes if mutes is None else mutes
            here = {one.fingerprint: mute for one in members if (mute := muted.get((id_, one.fingerprint)))}
            self._flush(self.groups[id_], members, here)

    def _flush(self, group: Group, members: Sequence[Member], mutes: Mapping[str, Mute]) -> None:
        done = machine.flush(group, members, mutes, self._now)
        self.groups[group.id] = done.group
        self.decisions += done.decisions
        for member in done.changed:
            self._put(Moved(member))
        for member in done.left:
            self._remove((member.group, member.fingerprint))
        if group.route and done.told:
            self.told.append(Told(done.group, done.told))
        elif not group.route:
            self.direct += done.told
            for step in done.told:  # nothing is to be known of what they were told
                self._remove((group.id, step.fingerprint))

    def due(self) -> None:
        """Say of every group when it is looked at again, as far as that is known of the members that were touched."""
        for key in self.touched:
            group, due = self.groups[key[0]], self.members[key].due_ms
            if due is not None and (group.due_ms is None or due < group.due_ms):
                self.groups[group.id] = replace(group, due_ms=due)

    def written(self) -> tuple[list[Group], list[str], list[Member], list[str]]:
        """What is to be written: groups, those that hold nothing any more, members, those of which nothing need be
        known any more."""
        changed = dict.fromkeys(group for group, _ in self.touched)
        gone = {group for group, _ in self.left if not self.groups[group].route} - changed.keys()
        return (
            [self.groups[id_] for id_ in changed],
            sorted(gone),
            [self.members[key] for key in self.touched],
            [f"{group}/{fingerprint}" for group, fingerprint in self.left],
        )

    def _put(self, moved: Moved) -> None:
        member = moved.member
        key = member.group, member.fingerprint
        self.decisions += moved.decisions
        if self.members.get(key) == member:
            return
        self.members[key] = member
        self._of_alert.setdefault(member.fingerprint, set()).add(member.group)
        self.touched[key] = None
        self.left.discard(key)

    def _remove(self, key: Key) -> None:
        del self.members[key]
        self._of_alert[key[1]].discard(key[0])
        self.touched.pop(key, None)
        self.left.add(key)
