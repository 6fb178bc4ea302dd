"""How the state of a target is told."""

from __future__ import annotations

import msgspec
from vigie_contracts.checks import Verdict
from vigie_query.times import iso
from vigie_storage.health.states import TargetState

from vigie_push.channels.base import ChannelMessage


class ServiceHealth(msgspec.Struct, rename="camel", kw_only=True):
    """What a target is after its newest check. Times are UTC, null: never."""

    id: str
    name: str
    kind: str
    """How it is asked."""
    group: str
    labels: dict[str, str]
    state: Verdict
    """After thresholds."""
    previous_state: Verdict | None = None
    """When it has just changed."""
    since: str | None
    """When it became so."""
    verdict: Verdict
    """Of the newest check alone."""
    reason: str
    """A sentence, empty when it is up."""
    last_check: str | None
    response_time: float
    """Milliseconds."""
    phases: dict[str, float]
    """Milliseconds by phase."""
    muted: str
    """Why nobody is alerted: `maintenance`, `dependency`; else empty."""
    incident_since: str | None
    certificate_expires: str | None


class HealthMessage(ChannelMessage, tag="health", kw_only=True):
    """States of targets: first of all of them, then of each after every check."""

    data: list[ServiceHealth]
    complete: bool = False
    """Whether these are all, and take the place of what the client knew."""
    truncated: bool = False
    """Whether there are more than are shown."""
    removed: list[str] = msgspec.field(default_factory=list[str])
    """Ids of targets that are not watched any more."""


def service(state: TargetState, before: str = "") -> ServiceHealth:
    """`before`: what it was until then, when that has changed."""
    return ServiceHealth(
        id=state.target,
        name=state.name,
        kind=state.kind,
        group=state.group,
        labels=state.labels,
        state=state.state,
        previous_state=Verdict(before) if before else None,
        since=_time(state.since_ms),
        verdict=state.verdict,
        reason=state.reason,
        last_check=_time(state.checked_ms),
        response_time=round(state.duration_ms, 3),
        phases={name: round(ms, 3) for name, ms in state.phases.items()},
        muted=state.muted,
        incident_since=_time(state.incident_ms),
        certificate_expires=_time(state.expires_ms),
    )


def _time(ms: int) -> str | None:
    return iso(ms) if ms else None
