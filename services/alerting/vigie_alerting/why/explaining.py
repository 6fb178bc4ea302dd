"""Why each receiver and channel was told of each step of an alert, or not: one sentence, and the same as data. Pure.

From the ledger comes what happened, from the decisions what was thought of it, from the outbox what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vigie_contracts.alerts import AlertState, Channel, Transition
from vigie_contracts.decisions import Decision, Why
from vigie_query.times import iso_of
from vigie_storage.alerts.document import Notification, State

from vigie_alerting.outbox import NAMED
from vigie_alerting.rulebook.destinations import shown


class Outcome(StrEnum):
    """What it means for whoever was to be told."""

    TOLD = "told"
    LATER = "later"
    """It waits: for its group, or for a channel that does not answer."""
    HELD = "held"
    """Something mutes it; it is told when that ends, if it fires then."""
    NOT_TOLD = "not_told"
    FAILED = "failed"
    """The channel did not take it, and it was given up."""


class By(StrEnum):
    """What kind of thing decided."""

    RULE = "rule"
    ROUTE = "route"
    SILENCE = "silence"
    INHIBITION = "inhibition"
    MAINTENANCE = "maintenance"
    TIME_INTERVAL = "time_interval"
    CHAIN = "chain"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one step, for one receiver or channel. Times are Unix milliseconds."""

    at_ms: int
    step: Transition
    outcome: Outcome
    sentence: str
    why: str = ""
    """A value of `Why`; empty where nothing had to be decided."""
    receiver: str = ""
    channel: str = ""
    """As it may be shown, where this is about one channel."""
    route: str = ""
    group: str = ""
    by: By = By.RULE
    name: str = ""
    """Of what decided: its id or name."""
    until_ms: int | None = None
    """When it is judged again, where that is known."""
    notification: str = ""
    """Its id, where this is about one."""


_OUTCOMES: Final[Mapping[Why, Outcome]] = {
    Why.SENT: Outcome.TOLD,
    Why.REPEATED: Outcome.TOLD,
    Why.ESCALATED: Outcome.TOLD,
    Why.GROUPED: Outcome.LATER,
    Why.SILENCED: Outcome.HELD,
    Why.INHIBITED: Outcome.HELD,
    Why.MAINTENANCE: Outcome.HELD,
    Why.INACTIVE: Outcome.HELD,
}
"""All others: not told."""
_BY: Final[Mapping[Why, By]] = {
    Why.SILENCED: By.SILENCE,
    Why.INHIBITED: By.INHIBITION,
    Why.MAINTENANCE: By.MAINTENANCE,
    Why.INACTIVE: By.TIME_INTERVAL,
    Why.ESCALATED: By.CHAIN,
    Why.ACKNOWLEDGED: By.PERSON,
}
_VERBS: Final[Mapping[Why, str]] = {
    Why.SENT: "was told",
    Why.REPEATED: "was told again",
    Why.ESCALATED: "was told",
    Why.GROUPED: "is told later",
}


_NOBODY: Final = (Why.UNROUTED, Why.NOBODY)


def explained(
    transitions: Iterable[Transition],
    decisions: Iterable[Decision],
    notifications: Iterable[Notification],
    names: Mapping[str, str],
) -> list[Explanation]:
    """About these steps of one alert, the newest first; what is about others is left out. `names`: of the tenant's
    channels, by id."""
    steps = {one.id: one for one in transitions}
    found = [_decided(steps[one.step], one) for one in decisions if one.step in steps]
    found += [
        _delivered(steps[told.id], one, channel_of(one, names))
        for one in notifications
        for told in one.transitions
        if told.id in steps
    ]
    known = {one.step.id for one in found}
    found += [_nobody(step) for step in steps.values() if step.id not in known]
    return sorted(found, key=lambda one: (one.at_ms, one.step.sequence), reverse=True)


def channel_of(notification: Notification, names: Mapping[str, str]) -> str:
    """Its type, and the destination without what is secret; of a named one its name, by its id in `names`."""
    to = notification.address
    one = shown(Channel(to.type, to.destination) if to.type else Channel(NAMED, names.get(to.key, to.key)))
    return f"{one.type} {one.destination}".strip()


def _decided(step: Transition, decision: Decision) -> Explanation:
    why = decision.why
    by = _BY.get(why, By.ROUTE if decision.route else By.RULE)
    who = "nobody" if why in _NOBODY else decision.receiver or "the channels of its rule"
    verb = _VERBS.get(why, "was told" if why in _NOBODY else "was not told")
    via = f", by the route {decision.route}" if decision.route else ""
    return Explanation(
        decision.at_ms,
        step,
        _OUTCOMES.get(why, Outcome.NOT_TOLD),
        _sentence(f"{who} {verb} {_what(step)}{via}: {decision.detail}"),
        why=why.value,
        receiver=decision.receiver,
        route=decision.route,
        group=decision.group,
        by=by,
        name=decision.by or decision.route or step.rule_id,
        until_ms=decision.until_ms,
    )


def _delivered(step: Transition, told: Notification, channel: str) -> Explanation:
    """What became of a notification."""
    what, last = _what(step), told.last
    at = told.settled or told.created
    match told.state:
        case State.SENT:
            outcome = Outcome.TOLD
            tries = "" if told.attempts < 2 else f" with attempt {told.attempts}"
            text = f"{channel} was told at {iso_of(at)}{tries} {what}: {_because(step, told)}"
        case State.DEAD:
            outcome = Outcome.FAILED
            text = (
                f"{channel} was not told {what}, although {_because(step, told)}: {last.detail if last else 'given up'}"
            )
        case State.PENDING:
            outcome = Outcome.LATER
            tried = f": attempt {told.attempts} failed, {last.detail}, and it is tried again" if last else ""
            text = f"{channel} is about to be told {what}, because {_because(step, told)}{tried}"
    group = told.group
    return Explanation(
        round(at.timestamp() * 1000),
        step,
        outcome,
        _sentence(text),
        why=Why.SENT.value,
        receiver=group.receiver if group else "",
        channel=channel,
        group=group.key if group else "",
        by=By.ROUTE if group else By.RULE,
        name=group.receiver if group else step.rule_id,
        notification=told.id,
    )


def _because(step: Transition, told: Notification) -> str:
    if told.group:
        return f"it is a channel of {told.group.receiver or 'its rule'}"
    if not step.channels:
        return "its rule names no channel, and this is one of the settings"
    return "its rule names this channel"


def _nobody(step: Transition) -> Explanation:
    """Where nothing had to be decided, or nothing is known any more."""
    match step.to_state:
        case AlertState.PENDING:
            text = f"nobody is told {_what(step)}: {step.detail or 'it does not fire yet'}"
        case AlertState.INACTIVE:
            text = f"nobody is told {_what(step)}: it did not come to firing"
        case AlertState.ACKNOWLEDGED:
            text = f"nobody is told {_what(step)}: whoever was told that it fires sees it there"
        case _ if step.channels:
            text = f"nothing is known of who was told {_what(step)}: what was sent is not kept any more"
        case _:
            none = "its rule names no channel, no route took it, and the settings have none"
            text = f"nobody was told {_what(step)}: {none}"
    return Explanation(step.timestamp, step, Outcome.NOT_TOLD, _sentence(text), name=step.rule_id)


def _what(step: Transition) -> str:
    """With the rule, and its version."""
    rule = f"{step.rule_name or step.rule_id} (rule version {step.rule_version})"
    match step.to_state:
        case AlertState.PENDING:
            return f"that {rule} is pending"
        case AlertState.INACTIVE:
            return f"that {rule} is not pending any more"
        case AlertState.FIRING:
            return f"that {rule} fires, {step.severity.value}"
        case AlertState.ACKNOWLEDGED:
            return f"that {step.acknowledged_by or step.actor or 'somebody'} has {rule}"
        case AlertState.RESOLVED:
            return f"that {rule} is over"


def _sentence(text: str) -> str:
    """One line, with a capital and an end."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:].rstrip(".") + "."
