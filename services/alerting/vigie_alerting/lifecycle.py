"""What happens to an alert when something is observed. Pure: the same observations give the same transitions.

```
None -> pending -> firing <-> acknowledged -> resolved -> None
           |          ^                          |
           v          +---- pending <------------+   again within DEDUPLICATION_MS: the same episode
        inactive
```

A transition to `resolved` comes only after one to `firing` of the same episode, and the last of an episode that fired
is `resolved` or `inactive`. What a rule asks to last (`for`, `keep_firing_for`, calm) is measured on the episode's own
clock, of which a step adds at most `patience_ms`: neither a jump of the clock nor a gap makes an alert fire early.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, NoData, Reason, Severity, Transition

from vigie_alerting.alert import Alert, Observation, fingerprint
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.transitions import moved

DEDUPLICATION_MS: Final = 5 * 60_000
"""An alert whose condition holds again so soon after it was resolved, with the same severity, continues its episode."""
FLAPS: Final = 5
FLAP_WINDOW_MS: Final = 30 * 60_000
"""An alert that begins to fire `FLAPS` times within that is flapping."""
CALM_MS: Final = 5 * 60_000
"""How long the condition of a flapping alert must not hold before it is resolved, and how long a milder severity must
last at least before it is told."""
DEFAULT_INTERVAL_MS: Final = 15_000
PATIENCE: Final = 4
"""Intervals without an observation that still count as time."""

Step = tuple[Alert | None, list[Transition]]
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


def patience_ms(rule: CompiledRule) -> int:
    """How much time may pass between two observations as far as durations are concerned."""
    return PATIENCE * (rule.rule.interval_ms or DEFAULT_INTERVAL_MS)


def step(alert: Alert | None, seen: Observation, rule: CompiledRule, now_ms: int) -> Step:
    """The alert after an observation, None when nothing need be remembered, and the transitions that it made. `now_ms`
    is the time of the evaluation, and does not go back from one evaluation of a rule to the next."""
    active, no_data = seen.active, seen.value is None and rule.compares
    if no_data:
        match rule.rule.no_data:
            case NoData.KEEP:
                return _waited(alert, rule, now_ms)
            case NoData.ALERT:
                active = True
            case NoData.OK:
                active = False
    if alert is None:
        return _begin(seen, rule, now_ms, no_data) if active else (None, [])
    alert, made = _expired(aged(alert, rule, now_ms), rule)
    if alert.state is AlertState.PENDING:
        after, more = _pending(_valued(alert, seen), seen, rule, active, no_data)
    elif alert.open:
        after, more = _open(_valued(alert, seen), seen, rule, active, no_data)
    elif alert.state is AlertState.RESOLVED:
        after, more = _resolved(alert, seen, rule, active, no_data)
    else:
        after, more = _inactive(alert, seen, rule, active, no_data)
    return after, [*made, *more]


def steady(alert: Alert, rule: CompiledRule) -> bool:
    """Whether nothing becomes of the alert, but that time passes, for as long as its condition holds."""
    if not alert.open or rule.rule.levels or alert.severity is not rule.rule.severity:
        return False
    expires = alert.acknowledgement is not None and alert.acknowledgement.until is not None
    return alert.clear_age is None and alert.milder is None and not expires


def lasted(alert: Alert, until_ms: int, counted_ms: int, value: float) -> Alert:
    """What `step` makes of a steady one while its condition holds: up to that time, at which it has this value.
    `counted_ms`: of the time since it was seen last, what counts (`patience_ms` between two observations at most)."""
    return replace(alert, seen_at=until_ms, age=alert.age + counted_ms, value=value)


def due_ms(alert: Alert | None, rule: CompiledRule) -> int | None:
    """When the alert must be observed again even if nothing arrives; None: it need not."""
    if alert is None:
        return None
    dues: list[int] = []
    if alert.state is AlertState.PENDING:
        dues.append(_after(alert, alert.active_age + rule.rule.for_ms, rule))
    elif alert.open:
        if alert.clear_age is not None:
            dues.append(_after(alert, alert.clear_age + _calm(alert, rule), rule))
        if alert.milder is not None:
            dues.append(_after(alert, alert.milder_age + _lasting(rule), rule))
        if alert.acknowledgement and alert.acknowledgement.until is not None:
            dues.append(alert.acknowledgement.until)
    elif alert.state is AlertState.RESOLVED and alert.ends_at is not None:
        dues.append(alert.ends_at + DEDUPLICATION_MS)
    return min(dues, default=None)


def _after(alert: Alert, age: int, rule: CompiledRule) -> int:
    return alert.seen_at + min(max(age - alert.age, 0), patience_ms(rule))


def aged(alert: Alert, rule: CompiledRule, now_ms: int) -> Alert:
    """At this time, or at the last one where the clock went back."""
    passed = max(now_ms - alert.seen_at, 0)
    return replace(alert, seen_at=alert.seen_at + passed, age=alert.age + min(passed, patience_ms(rule)))


def _valued(alert: Alert, seen: Observation) -> Alert:
    return alert if seen.value is None else replace(alert, value=seen.value)


def _waited(alert: Alert | None, rule: CompiledRule, now_ms: int) -> Step:
    """Nothing is known of that time: only what does not depend on the condition goes on."""
    if alert is None:
        return None, []
    alert, made = _expired(replace(alert, seen_at=max(alert.seen_at, now_ms)), rule)
    return (None if _forgotten(alert) else alert), made


def _begin(seen: Observation, rule: CompiledRule, at: int, no_data: bool, before: Alert | None = None) -> Step:
    """A new episode; `before` is the one that it follows so soon that both may be flapping."""
    age = before.age if before else 0
    alert = Alert(
        tenant=rule.rule.tenant,
        rule_id=rule.rule.id,
        series=seen.labels,
        fingerprint=fingerprint(rule.rule.tenant, rule.rule.id, seen.labels),
        state=AlertState.PENDING,
        severity=seen.severity,
        value=seen.value,
        starts_at=at,
        seen_at=at,
        age=age,
        active_age=age,
        fired_ages=before.fired_ages if before else (),
    )
    return _wait_or_fire(alert, seen, rule, no_data)


def _wait_or_fire(alert: Alert, seen: Observation, rule: CompiledRule, no_data: bool) -> Step:
    """The condition began to hold."""
    if not rule.rule.for_ms:
        return _fire(alert, seen, rule, no_data)
    reason = Reason.NO_DATA if no_data else Reason.CONDITION_MET
    after, made = moved(alert, rule, AlertState.PENDING, reason, traceparent=seen.traceparent)
    return after, [made]


def _fire(alert: Alert, seen: Observation, rule: CompiledRule, no_data: bool) -> Step:
    lately = [age for age in alert.fired_ages if alert.age - age < FLAP_WINDOW_MS]
    fired = (*lately, alert.age)[-FLAPS:]
    again = alert.ends_at is not None
    flapping = len(fired) == FLAPS
    reason = Reason.HELD if rule.rule.for_ms else Reason.CONDITION_MET
    if flapping:
        reason = Reason.FLAPPING
    elif no_data:
        reason = Reason.NO_DATA
    elif again:
        reason = Reason.CONTINUED
    changed = again and seen.severity is not alert.severity
    before = alert.severity if changed else None
    alert = replace(
        alert, fired_ages=fired, flapping=flapping, severity=seen.severity, clear_age=None, milder=None, by_hand=False
    )
    after, made = moved(alert, rule, AlertState.FIRING, reason, previous_severity=before, traceparent=seen.traceparent)
    return after, [made]


def _pending(alert: Alert, seen: Observation, rule: CompiledRule, active: bool, no_data: bool) -> Step:
    if active and alert.age - alert.active_age >= rule.rule.for_ms:
        return _fire(alert, seen, rule, no_data)
    if active:
        return (alert if alert.ends_at is not None else replace(alert, severity=seen.severity)), []
    return _dropped(alert, rule, Reason.NO_DATA if no_data else Reason.NOT_HELD)


def _dropped(alert: Alert, rule: CompiledRule, reason: Reason) -> Step:
    """It did not come to firing; one that did before is still resolved, and may go on."""
    after, made = moved(alert, rule, AlertState.INACTIVE, reason)
    again = alert.ends_at is not None
    return (replace(after, state=AlertState.RESOLVED) if again else after), [made]


def _open(alert: Alert, seen: Observation, rule: CompiledRule, active: bool, no_data: bool) -> Step:
    if active:
        return _at_severity(replace(alert, clear_age=None), seen, rule)
    if seen.holding and not no_data:
        return replace(alert, clear_age=None), []
    since = alert.age if alert.clear_age is None else alert.clear_age
    alert = replace(alert, clear_age=since)
    if alert.age - since < _calm(alert, rule):
        return alert, []
    reason = Reason.NO_DATA if no_data else Reason.CALMED if alert.flapping else Reason.RECOVERED
    return close(alert, rule, reason, traceparent=seen.traceparent)


def _calm(alert: Alert, rule: CompiledRule) -> int:
    keep = rule.rule.keep_firing_for_ms
    return max(keep, CALM_MS) if alert.flapping else keep


def _lasting(rule: CompiledRule) -> int:
    """How long a lower severity must last: a value that goes to and fro over a threshold is no news each time."""
    return max(rule.rule.for_ms, rule.rule.keep_firing_for_ms, CALM_MS)


def _at_severity(alert: Alert, seen: Observation, rule: CompiledRule) -> Step:
    """A worse severity counts at once, and nobody acknowledged that; a milder one when it lasts."""
    before, now = alert.severity, seen.severity
    if now is before:
        return replace(alert, milder=None), []
    worse = _RANK[now] > _RANK[before]
    if not worse:
        since = alert.milder_age if alert.milder is not None else alert.age
        alert = replace(alert, milder=now, milder_age=since)
        if alert.age - since < _lasting(rule):
            return alert, []
    state = AlertState.FIRING if worse else alert.state
    alert = replace(alert, severity=now, milder=None, acknowledgement=None if worse else alert.acknowledgement)
    after, made = moved(
        alert, rule, state, Reason.SEVERITY_CHANGED, previous_severity=before, traceparent=seen.traceparent
    )
    return after, [made]


def _resolved(alert: Alert, seen: Observation, rule: CompiledRule, active: bool, no_data: bool) -> Step:
    """Within the deduplication window it may go on; what was resolved by hand, when the condition held anew."""
    if _forgotten(alert):
        if not active:
            return None, []
        return _begin(seen, rule, alert.seen_at, no_data)
    if not active:
        return replace(alert, by_hand=False), []
    if alert.by_hand:
        return alert, []
    if seen.severity is not alert.severity:
        return _begin(seen, rule, max(alert.seen_at, alert.starts_at + 1), no_data, alert)
    return _wait_or_fire(replace(_valued(alert, seen), active_age=alert.age, amended=False), seen, rule, no_data)


def _inactive(alert: Alert, seen: Observation, rule: CompiledRule, active: bool, no_data: bool) -> Step:
    """Remembered for as long as another episode could have the same start, and so the same name."""
    if active:
        return _begin(seen, rule, max(alert.seen_at, alert.starts_at + 1), no_data)
    return (alert if alert.seen_at <= alert.starts_at else None), []


def _forgotten(alert: Alert) -> bool:
    if alert.state is not AlertState.RESOLVED or alert.ends_at is None:
        return False
    return alert.seen_at - alert.ends_at >= DEDUPLICATION_MS


def _expired(alert: Alert, rule: CompiledRule) -> tuple[Alert, list[Transition]]:
    acknowledged = alert.acknowledgement
    if acknowledged is None or acknowledged.until is None or alert.seen_at < acknowledged.until:
        return alert, []
    after, made = moved(replace(alert, acknowledgement=None), rule, AlertState.FIRING, Reason.ACKNOWLEDGEMENT_EXPIRED)
    return after, [made]


def close(
    alert: Alert, rule: CompiledRule, reason: Reason, *, actor: str = "", note: str = "", traceparent: str = ""
) -> Step:
    """Resolved, whatever for; kept for as long as it can go on."""
    alert = replace(
        alert,
        ends_at=alert.seen_at,
        clear_age=None,
        milder=None,
        acknowledgement=None,
        by_hand=reason is Reason.RESOLVED_BY_HAND,
        flapping=False,
    )
    after, made = moved(alert, rule, AlertState.RESOLVED, reason, actor=actor, note=note, traceparent=traceparent)
    return after, [made]


def withdraw(alert: Alert | None, rule: CompiledRule, reason: Reason, now_ms: int) -> Step:
    """The rule is gone, or has no such alert any more. `rule` is the one that made the alert."""
    if alert is None or alert.state in (AlertState.RESOLVED, AlertState.INACTIVE):
        return None, []
    alert = aged(alert, rule, now_ms)
    _, made = close(alert, rule, reason) if alert.open else _dropped(alert, rule, reason)
    return None, made


def amend(alert: Alert | None, rule: CompiledRule, now_ms: int, value: float | None = None) -> Step:
    """Late data took back the reason of the episode: says so, once, to whoever was told that it fires, also when it
    is resolved already. `value` is what the evaluation gives with the late data counted."""
    if alert is None or alert.amended or alert.state is AlertState.INACTIVE:
        return alert, []
    alert = replace(aged(alert, rule, now_ms), amended=True, value=value)
    if alert.open:
        return close(alert, rule, Reason.AMENDED)
    if alert.state is AlertState.PENDING:
        return _dropped(alert, rule, Reason.AMENDED)
    after, made = moved(alert, rule, AlertState.RESOLVED, Reason.AMENDED)
    return after, [made]
