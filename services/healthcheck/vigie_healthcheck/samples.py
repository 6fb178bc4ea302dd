"""What a check becomes on the bus: a record of the checks, and samples. Pure.

Samples carry the target's labels, and over them `target` (its name), `kind` and, where it is in one, `group`:
- `probe_success` 1 or 0, `probe_duration_seconds`, `probe_phase_duration_seconds` by `phase`, and the probe's facts: of
  this check; none of them when it was the prober that failed.
- `target_available` 0 when this check failed outside maintenance, else 1: what uptime is counted from. None when it was
  the prober that failed.
- `probe_region_success` by `region` 1 or 0: of a target that is asked from several, where that is known.
- `target_up` 1 or 0: what the target is, after its thresholds; none while nothing is known of it.
- `target_muted` 1 while nobody is to be alerted: a maintenance, or something that it depends on is down.

The last ones of a target that is deleted, switched off, or gets other labels end its alerts: down, and muted.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from math import isfinite
from typing import Final

from vigie_contracts.checks import Check, Verdict
from vigie_contracts.series import Kind, Labels
from vigie_contracts.targets import Target
from vigie_publishing import keys
from vigie_publishing.metric import Sample
from vigie_publishing.publishers import NamedSamples

from vigie_healthcheck.checking import Checked
from vigie_healthcheck.muting import MAINTENANCE
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.state import Step

_GOOD: Final = (Verdict.UP, Verdict.DEGRADED)


def check_id(target: str, due_ms: int) -> str:
    """Of a check: whoever makes it again gives it the same one."""
    return blake2b(f"{target}/{due_ms}".encode(), digest_size=16).hexdigest()


def check_of(target: Target, step: Step, checked: Checked, at_ms: int) -> Check:
    """The record of a check that was due at `at_ms`."""
    outcome = checked.outcome
    return Check(
        id=check_id(target.id, at_ms),
        tenant=target.tenant,
        target=target.id,
        probe=target.kind,
        timestamp=at_ms,
        verdict=outcome.verdict,
        duration_ms=round(outcome.duration_s * 1000, 3),
        reason=outcome.reason,
        phases={name: round(seconds * 1000, 3) for name, seconds in outcome.phases.items()},
        attempts=checked.attempts,
        name=target.name,
        state=step.state.state,
        muted=step.state.muted,
    )


def samples_of(target: Target, step: Step, checked: Checked, at_ms: int) -> NamedSamples:
    """Its samples, with the key by which a repeat is known."""
    key = keys.digest(b"vigie-check", target.id.encode(), at_ms.to_bytes(8, "little", signed=True))
    samples = [
        Sample(name, Kind.GAUGE, labels, value)
        for name, labels, value in _values(target, step, checked.outcome)
        if isfinite(value)
    ]
    return NamedSamples(tenant=target.tenant, at_ms=at_ms, key=key, samples=samples)


def last_of(target: Target, at_ms: int) -> NamedSamples:
    """Its last samples under these labels. An alert on it would stay for ever: that nothing comes means nothing."""
    key = keys.digest(b"vigie-target-end", target.id.encode(), at_ms.to_bytes(8, "little", signed=True))
    labels = labels_of(target)
    samples = [Sample("target_up", Kind.GAUGE, labels, 0.0), Sample("target_muted", Kind.GAUGE, labels, 1.0)]
    return NamedSamples(tenant=target.tenant, at_ms=at_ms, key=key, samples=samples)


def _values(target: Target, step: Step, outcome: Outcome) -> Iterator[tuple[str, Labels, float]]:
    labels = labels_of(target)
    yield "target_muted", labels, 1.0 if step.state.muted else 0.0
    if step.state.state is not Verdict.UNKNOWN:
        yield "target_up", labels, 1.0 if step.state.state in _GOOD else 0.0
    for region, up in outcome.regions.items():
        yield "probe_region_success", _with(labels, "region", region), 1.0 if up else 0.0
    if outcome.verdict is Verdict.UNKNOWN:
        return
    good = outcome.verdict in _GOOD
    yield "probe_success", labels, 1.0 if good else 0.0
    yield "target_available", labels, 1.0 if good or step.state.muted == MAINTENANCE else 0.0
    yield "probe_duration_seconds", labels, outcome.duration_s
    for phase, seconds in outcome.phases.items():
        yield "probe_phase_duration_seconds", _with(labels, "phase", phase), seconds
    for name, value in outcome.facts.items():
        yield name, labels, value


def labels_of(target: Target) -> Labels:
    """Of all its samples."""
    own = {"target": target.name, "kind": target.kind, **({"group": target.group} if target.group else {})}
    return tuple(sorted({**target.labels, **own}.items()))


def _with(labels: Labels, name: str, value: str) -> Labels:
    return (*(one for one in labels if one[0] != name), (name, value))
