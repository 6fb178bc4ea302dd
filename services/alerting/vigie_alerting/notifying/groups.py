"""What a group of alerts does when one of them moves, and when it is looked at. Pure: no clock, no store.

The first of a group is told at once (after `group_wait`). What joins waits until `group_interval` after its last
message, and then all that changed is told in one. What fires on and nobody has acknowledged is told again after
`repeat_interval`. A mute holds what fires; a `resolved` is told to whoever was told of the firing, muted or not, and to
nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_contracts.decisions import Decision, Why
from vigie_query.times import iso
from vigie_storage.alerts.document import order
from vigie_storage.alerts.groups import Group, Member

from vigie_alerting.notifying.muting import Mute
from vigie_alerting.routing.timings import Timings

RECHECK_MS: Final = 30_000
"""How often a mute of which nobody knows the end is looked at again..."""
RECHECK_KNOWN_MS: Final = 5 * 60_000
"""... and one that has an end: somebody may have ended it before, and died before anybody heard of it."""
LINGER_MS: Final = 10 * 60_000
"""How long an alert stays in its group after it is over: late data may take back its reason for half of that."""
_SILENT: Final = (AlertState.PENDING, AlertState.INACTIVE)
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Moved:
    """An alert of a group after a step of it, and what was decided on that occasion."""

    member: Member
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class Flushed:
    """A group after it was looked at."""

    group: Group
    changed: tuple[Member, ...]
    left: tuple[Member, ...] = ()
    """Of which nothing need be known any more."""
    told: tuple[Transition, ...] = ()
    """What one message is to say: what fires first, worst first; empty: no message."""
    decisions: tuple[Decision, ...] = ()


def join(group: Group, member: Member | None, step: Transition, timings: Timings, now_ms: int) -> Moved:
    """The alert moved to `firing`, and the group is one that is told of it. A step that is known already, or is older
    than the newest known one, changes nothing."""
    if member is not None and order(step) <= order(member.step):
        return Moved(member)
    first, next_ = now_ms + timings.group_wait_ms, group.told_ms + timings.group_interval_ms
    due = max(now_ms, next_) if group.told_ms else first
    if member is not None and pending(member) and member.due_ms is not None and not member.held:
        due = min(due, member.due_ms)  # who waits already does not wait longer
    before = member or Member(group=group.id, tenant=group.tenant, fingerprint=step.fingerprint, step=step)
    after = replace(
        before,
        step=step,
        due_ms=due,
        interval_ms=timings.group_interval_ms,
        repeat_ms=timings.repeat_interval_ms,
        held="",
    )
    return Moved(after, (*superseded(group, member, now_ms), *_grouped(group, after, now_ms)))


def leave(group: Group, member: Member, step: Transition, now_ms: int) -> Moved:
    """The alert moved to anything else, or to `firing` where its group is not told of it any more. That its condition
    holds again, or did not for long enough, is nothing to be told: what waits to be told goes on waiting."""
    if order(step) <= order(member.step) or step.to_state in _SILENT:
        return Moved(member)
    if step.to_state is AlertState.RESOLVED:
        return _resolved(group, member, step, now_ms)
    decisions: tuple[Decision, ...] = ()
    if step.to_state is AlertState.ACKNOWLEDGED and asked(member) and pending(member):
        who = step.acknowledged_by or step.actor or "somebody"
        decisions = (_decision(group, member.step, Why.ACKNOWLEDGED, f"{who} has it", now_ms, by=who),)
    return Moved(replace(member, step=step, due_ms=None, held=""), decisions)


def _resolved(group: Group, member: Member, step: Transition, now_ms: int) -> Moved:
    amended = member.told_state is AlertState.RESOLVED and over(member)
    if member.told_state is not AlertState.FIRING and not amended:
        # It is known for a while that this was settled, so that doing it again changes nothing.
        after = replace(member, step=step, told=step.id, told_state=None, due_ms=now_ms + LINGER_MS, held="")
        text = "it was over before anybody here was told that it fired"
        return Moved(after, (_decision(group, step, Why.NOT_TOLD, text, now_ms),))
    after = replace(member, step=step, due_ms=max(now_ms, group.told_ms + member.interval_ms), held="")
    return Moved(after, (*superseded(group, member, now_ms), *_grouped(group, after, now_ms)))


def flush(group: Group, members: Sequence[Member], mutes: Mapping[str, Mute], now_ms: int) -> Flushed:
    """Tell what is due of these members, and with it what they would tell within an interval: one message. `mutes`: by
    fingerprint, those whose firing must not be told now. The group's own `due_ms` is left to the caller, who knows the
    other members."""
    dues = [one for one in members if one.due_ms is not None and one.due_ms <= now_ms + group.interval_ms]
    if not any(_due(one, now_ms) for one in dues):
        return Flushed(group, ())
    changed: list[Member] = []
    left: list[Member] = []
    told: list[Member] = []
    decisions: list[Decision] = []
    at = max(now_ms, group.told_ms)
    for member in dues:
        if over(member):
            left += [member] if _due(member, now_ms) else []
            continue
        mute = mutes.get(member.fingerprint) if asked(member) else None
        if mute is not None:
            after, decision = _held(group, member, mute, now_ms)
            changed.append(after)
            decisions += [decision] if decision else []
        else:
            told.append(member)
    if told:
        group = replace(group, sequence=group.sequence + 1, told_ms=at)
        decisions += [decision for one in told for decision in _told(group, one, len(told), now_ms)]
        changed += [_after(member, at) for member in told]
    steps = [member.step for member in told]
    steps.sort(key=lambda step: (step.to_state is AlertState.RESOLVED, -_RANK[step.severity], order(step)))
    return Flushed(group, tuple(changed), tuple(left), tuple(steps), tuple(decisions))


def pending(member: Member) -> bool:
    """Whether its newest step is one that is to be told, and was not."""
    return member.step.id != member.told and member.step.to_state in (AlertState.FIRING, AlertState.RESOLVED)


def over(member: Member) -> bool:
    """Whether it is over, and nothing is to be told of that any more."""
    return member.step.id == member.told and member.step.to_state is AlertState.RESOLVED


def asked(member: Member) -> bool:
    """Whether mutes are to be asked about it: it fires, and is to be told, perhaps again."""
    return member.step.to_state is AlertState.FIRING


def superseded(group: Group, member: Member | None, now_ms: int) -> tuple[Decision, ...]:
    """The verdict on a step that was to be told, and another one is in its place."""
    if member is None or not pending(member):
        return ()
    return (_decision(group, member.step, Why.SUPERSEDED, "a later step came before it was told", now_ms),)


def _held(group: Group, member: Member, mute: Mute, now_ms: int) -> tuple[Member, Decision | None]:
    if mute.until_ms is None:
        again = now_ms + RECHECK_MS
    else:
        again = min(max(mute.until_ms, now_ms + 1), now_ms + RECHECK_KNOWN_MS)
    held = f"{mute.why}/{mute.by}/{member.step.id}"
    after = replace(member, due_ms=again, held=held)
    if held == member.held:
        return after, None
    return after, _decision(group, member.step, mute.why, mute.detail, now_ms, by=mute.by, until_ms=mute.until_ms)


def _told(group: Group, member: Member, together: int, now_ms: int) -> tuple[Decision, ...]:
    others = f" together with {together - 1} others" if together > 1 else ""
    if group.chain and not group.channels:  # which says itself whom it tells, and that it is over
        text = f"the escalation chain {group.chain!r} begins"
        return (_decision(group, member.step, Why.SENT, text, now_ms, by=group.chain),) if asked(member) else ()
    if member.step.id == member.told:
        text = f"told again{others}: it still fires, and nobody has acknowledged it"
        return (_decision(group, member.step, Why.REPEATED, text, now_ms),)
    text = f"told{others} in message {group.sequence} of its group" if group.route else "told now"
    return (_decision(group, member.step, Why.SENT, text, now_ms),)


def _due(member: Member, now_ms: int) -> bool:
    return member.due_ms is not None and member.due_ms <= now_ms


def _after(member: Member, at: int) -> Member:
    """Once it was told."""
    due = at + LINGER_MS
    if member.step.to_state is AlertState.FIRING:
        due = at + member.repeat_ms if member.repeat_ms else None
    return replace(member, told=member.step.id, told_state=member.step.to_state, due_ms=due, held="")


def _grouped(group: Group, member: Member, now_ms: int) -> tuple[Decision, ...]:
    due = member.due_ms
    if due is None or due <= now_ms:
        return ()
    text = f"waits until {iso(due)} for the next message of its group"
    return (_decision(group, member.step, Why.GROUPED, text, now_ms, until_ms=due),)


def _decision(
    group: Group, step: Transition, why: Why, detail: str, now_ms: int, *, by: str = "", until_ms: int | None = None
) -> Decision:
    return Decision(
        tenant=group.tenant,
        step=step.id,
        fingerprint=step.fingerprint,
        receiver=group.receiver,
        route=group.route,
        group=group.key,
        why=why,
        detail=detail,
        by=by,
        at_ms=now_ms,
        until_ms=until_ms,
    )
