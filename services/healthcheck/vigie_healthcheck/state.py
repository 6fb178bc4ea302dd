"""What a target is after a check, given what it was: thresholds, changes, incidents. Pure: time is a parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_storage.health.states import TargetState

from vigie_healthcheck.probes.base import Outcome

CERTIFICATE: Final = "probe_ssl_earliest_cert_expiry"
"""The fact that says when a certificate ends, seconds."""
_GOOD: Final = frozenset({Verdict.UP, Verdict.DEGRADED})


@dataclass(frozen=True, slots=True)
class Change:
    """A target became something else. To DOWN an incident begins, from DOWN it ends; DEGRADED is up."""

    from_: Verdict
    to: Verdict
    at_ms: int
    reason: str
    """Of the check that changed it; empty when it is up."""


@dataclass(frozen=True, slots=True)
class Step:
    state: TargetState
    change: Change | None = None


def step(
    before: TargetState | None, target: Target, outcome: Outcome, at_ms: int, *, muted: str = "", next_ms: int = 0
) -> Step:
    """What a check of `at_ms` makes of the target. UNKNOWN says nothing of it: its state and its counts stay.

    `muted`: why nobody is alerted, empty if somebody is; `next_ms`: when the next check is due.
    """
    known = before or TargetState(target=target.id, tenant=target.tenant)
    # A clock that was set back must not make the newest state look like an old one, which is never written.
    at_ms = max(at_ms, known.checked_ms + 1)
    failures, successes = _counts(known, outcome.verdict)
    state = _after(known, target, outcome.verdict, failures, successes)
    change = None if state is known.state else Change(known.state, state, at_ms, outcome.reason)
    expiry = outcome.facts.get(CERTIFICATE)
    return Step(
        msgspec.structs.replace(
            known,
            name=target.name,
            kind=target.kind,
            group=target.group,
            labels=target.labels,
            state=state,
            since_ms=known.since_ms if change is None else at_ms,
            checked_ms=at_ms,
            due_ms=next_ms,
            verdict=outcome.verdict,
            reason=outcome.reason,
            duration_ms=outcome.duration_s * 1000,
            phases={name: seconds * 1000 for name, seconds in outcome.phases.items()},
            failures=failures,
            successes=successes,
            version=target.version,
            muted=muted,
            incident_ms=_incident(known, change),
            expires_ms=known.expires_ms if expiry is None else round(expiry * 1000),
        ),
        change,
    )


def _counts(known: TargetState, verdict: Verdict) -> tuple[int, int]:
    """Failures and successes one after the other; one of them is 0."""
    if verdict is Verdict.UNKNOWN:
        return known.failures, known.successes
    return (0, known.successes + 1) if verdict in _GOOD else (known.failures + 1, 0)


def _after(known: TargetState, target: Target, verdict: Verdict, failures: int, successes: int) -> Verdict:
    if verdict is Verdict.DOWN:
        return Verdict.DOWN if failures >= target.failure_threshold else known.state
    if verdict in _GOOD and (known.state is not Verdict.DOWN or successes >= target.success_threshold):
        return verdict
    return known.state


def _incident(known: TargetState, change: Change | None) -> int:
    """When the incident that is open began; 0: there is none."""
    if change is None:
        return known.incident_ms
    return change.at_ms if change.to is Verdict.DOWN else 0
