"""What people do to an alert: acknowledge it, give it back, resolve it. Repeating a command changes nothing."""

from __future__ import annotations

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Reason
from vigie_query.times import iso

from vigie_alerting.alert import Acknowledgement, Alert
from vigie_alerting.lifecycle import Step, aged, close
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.transitions import moved


class CommandError(Exception):
    """The alert is not in a state for that. The text is a sentence for whoever asked."""


class NotFiringError(CommandError):
    """There is nothing to acknowledge, or to resolve."""

    def __init__(self, state: AlertState) -> None:
        super().__init__(f"the alert is {state}: only one that fires can be acknowledged or resolved")
        self.state = state


class TakenError(CommandError):
    """Somebody else was first."""

    def __init__(self, taken: Acknowledgement) -> None:
        until = "" if taken.until is None else f" until {iso(taken.until)}"
        super().__init__(f"{taken.by} has had it since {iso(taken.at)}{until}")
        self.taken = taken


class InvalidExpiryError(CommandError):
    """The acknowledgement would be over before it begins."""

    def __init__(self, until: int, now_ms: int) -> None:
        super().__init__(f"the acknowledgement would expire at {iso(until)}, and it is {iso(now_ms)}")


def acknowledge(
    alert: Alert | None, rule: CompiledRule, by: str, now_ms: int, *, until: int | None = None, note: str = ""
) -> Step:
    """`by` has it. From the same person: another note or expiry. Raises NotFiringError, TakenError,
    InvalidExpiryError."""
    alert = _firing(alert)
    taken = alert.acknowledgement
    if taken is not None and taken.by != by:
        raise TakenError(taken)
    if taken is not None and (taken.until, taken.note) == (until, note):
        return alert, []
    alert = aged(alert, rule, now_ms)
    if until is not None and until <= alert.seen_at:
        raise InvalidExpiryError(until, alert.seen_at)
    since = taken.at if taken else alert.seen_at
    after, made = moved(
        replace(alert, acknowledgement=Acknowledgement(by, since, until, note)),
        rule,
        AlertState.ACKNOWLEDGED,
        Reason.ACKNOWLEDGED,
        actor=by,
        note=note,
    )
    return after, [made]


def unacknowledge(alert: Alert | None, rule: CompiledRule, by: str, now_ms: int, *, note: str = "") -> Step:
    """Nobody has it any more, whoever had. Raises NotFiringError."""
    alert = _firing(alert)
    if alert.acknowledgement is None:
        return alert, []
    alert = replace(aged(alert, rule, now_ms), acknowledgement=None)
    after, made = moved(alert, rule, AlertState.FIRING, Reason.UNACKNOWLEDGED, actor=by, note=note)
    return after, [made]


def resolve(alert: Alert | None, rule: CompiledRule, by: str, now_ms: int, *, note: str = "") -> Step:
    """Over, says `by`. While the condition goes on to hold it stays so for the deduplication window, and is a new
    episode after that. One that is resolved already stays as it is. Raises NotFiringError."""
    if alert is not None and alert.state is AlertState.RESOLVED:
        return alert, []
    return close(aged(_firing(alert), rule, now_ms), rule, Reason.RESOLVED_BY_HAND, actor=by, note=note)


def _firing(alert: Alert | None) -> Alert:
    if alert is None or not alert.open:
        raise NotFiringError(AlertState.INACTIVE if alert is None else alert.state)
    return alert
