"""What a post, or the time, does to an alert that no rule evaluates. Pure: the life cycle's own steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import Reason, Transition

from vigie_alerting.alert import Alert, External, Observation
from vigie_alerting.external.posted import Posted, rule_for, rule_of
from vigie_alerting.lifecycle import aged, close, due_ms, step
from vigie_alerting.rules.compiling import CompiledRule

RESOLVE_TIMEOUT_MS: Final = 5 * 60_000
"""After which an alert ends whose sender does not say when, unless it is sent again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The alert afterwards, with the rule that stands for it; None: there is nothing to keep."""

    after: Alert | None
    rule: CompiledRule
    transitions: list[Transition]
    changed: bool
    """Whether `after` must be stored."""


def posted(before: Alert | None, said: Posted, tenant: str, now_ms: int) -> Outcome:
    """It was sent. One that ended and is not known was never told of: nothing happens."""
    rule = rule_for(tenant, said.labels, said.annotations, said.generator_url)
    firing = said.ends_at is None or said.ends_at > now_ms
    after, made = step(before, Observation(said.labels, firing, rule.rule.severity), rule, now_ms)
    if after is None:
        return Outcome(None, rule, made, changed=bool(made))
    known = before.external if before is not None and before.episode == after.episode else None
    if firing:
        until = now_ms + RESOLVE_TIMEOUT_MS if said.ends_at is None else said.ends_at
        since = now_ms if said.starts_at is None else said.starts_at
        if known is not None:  # as Alertmanager has it: the first start and the last end that were said
            until, since = max(until, known.until) if before and before.open else until, min(since, known.since)
        after = replace(after, external=External(until, since, dict(said.annotations), said.generator_url))
    elif known is not None:
        after = replace(after, external=known)
    return Outcome(after, rule, made, changed=bool(made) or _news(before, after))


def _news(before: Alert | None, after: Alert) -> bool:
    """Whether anything but its clock moved: a post that only repeats the last one is not written."""
    if before is None or before.by_hand != after.by_hand:
        return True
    return after.open and (before.external, before.clear_age) != (after.external, after.clear_age)


def elapsed(before: Alert, external: External, now_ms: int) -> Outcome:
    """Nothing was sent, and it was due."""
    rule = rule_of(before, external)
    calming = before.clear_age is not None
    if before.open and not calming and external.until <= now_ms:
        after, made = close(aged(before, rule, now_ms), rule, Reason.EXPIRED)
    else:
        after, made = step(before, Observation(before.series, not calming, before.severity), rule, now_ms)
    return Outcome(after, rule, made, changed=after is not None)


def due(alert: Alert, rule: CompiledRule) -> int | None:
    """When the clock moves it next: its end, that of an acknowledgement, or when it is calm; None: it is over."""
    if alert.external is None or not alert.open:
        return None
    other = due_ms(alert, rule)
    if alert.clear_age is not None:  # it ended, and was flapping
        return other
    return alert.external.until if other is None else min(alert.external.until, other)
