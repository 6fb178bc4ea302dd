"""Answers about what is known of targets. The replaced metrics service calls them services."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

from pydantic import Field
from vigie_contracts.checks import Check, Verdict
from vigie_query.times import iso
from vigie_storage.health.incidents import Incident
from vigie_web.schemas import Body, Model, NextCursor, Time

from vigie_healthcheck import maintenance
from vigie_healthcheck.api.schemas import time
from vigie_healthcheck.known import Known
from vigie_healthcheck.readings import Latency
from vigie_healthcheck.status.model import Shown, shown, worst
from vigie_healthcheck.uptime import Uptime, Window


class Status(StrEnum):
    """The state in the words of the replaced metrics service."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


STATUSES = {
    Verdict.UP: Status.HEALTHY,
    Verdict.DEGRADED: Status.DEGRADED,
    Verdict.DOWN: Status.UNHEALTHY,
    Verdict.UNKNOWN: Status.UNKNOWN,
}
_OVERALL = {
    Shown.UP: Status.HEALTHY,
    Shown.MAINTENANCE: Status.HEALTHY,
    Shown.DEGRADED: Status.DEGRADED,
    Shown.DOWN: Status.UNHEALTHY,
    Shown.UNKNOWN: Status.UNKNOWN,
}
_MAX_SHORT = 1_000


class ShortService(Model):
    name: str
    status: Status
    last_check: Time | None
    response_time: float | None = Field(description="of the last check, milliseconds")


class Counts(Model):
    """Services by state; those in maintenance are in none of the others."""

    total: int
    up: int
    degraded: int
    down: int
    unknown: int = Field(description="never checked, not checked any more, or switched off")
    maintenance: int


class Overall(Model):
    status: Status = Field(
        description="`unhealthy` when a service is down, `degraded` when one is limited, `unknown` when nothing is "
        "known of any; services in maintenance do not count"
    )
    timestamp: Time
    counts: Counts
    services: list[ShortService] = Field(description="the first 1,000 by group and name")

    @classmethod
    def of(cls, all_: Iterable[Known], now_ms: int) -> Self:
        found = [(one, shown(one, now_ms)) for one in all_]
        numbers = dict.fromkeys(Shown, 0)
        for _, state in found:
            numbers[state] += 1
        return cls(
            status=_OVERALL[worst(state for _, state in found)],
            timestamp=iso(now_ms),
            counts=Counts(total=len(found), **{state.value: number for state, number in numbers.items()}),
            services=[_short(one, now_ms) for one, _ in found[:_MAX_SHORT]],
        )


def _short(known: Known, now_ms: int) -> ShortService:
    state = known.state
    return ShortService(
        name=known.target.name,
        status=STATUSES[known.verdict(now_ms)],
        last_check=time(state and state.checked_ms),
        response_time=_duration(known),
    )


class ServiceHealth(Model):
    """What is known of a service."""

    name: str
    status: Status
    state: Verdict = Field(description="after its thresholds; unknown until its first check, and when checks stop")
    since: Time | None = Field(description="when it became so")
    reason: str = Field(description="of the last check, a sentence; empty when it was good")
    last_check: Time | None
    next_check: Time | None
    last_verdict: Verdict = Field(description="of the last check alone")
    response_time: float | None = Field(description="of the last check, milliseconds")
    failures: int = Field(description="failed checks one after the other")
    muted: str = Field(description="why nobody is alerted: maintenance, dependency; else empty")
    incident_since: Time | None = Field(description="when the outage that goes on began")
    certificate_expires: Time | None
    kind: str
    url: str = Field(description="without credentials")
    group: str
    labels: dict[str, str]
    interval: int = Field(description="milliseconds")
    timeout: int = Field(description="milliseconds")
    retries: int
    enabled: bool
    public: bool
    managed_by: str = Field(description="empty: people; else what defines it")
    uptime: float | None = Field(None, description="percent of the last 24 hours, where it was asked for")

    @classmethod
    def of(cls, known: Known, now_ms: int, uptime: float | None = None) -> Self:
        return cls(**_fields(known, now_ms), uptime=uptime)


def _fields(known: Known, now_ms: int) -> dict[str, Any]:
    target, state = known.target, known.state
    verdict = known.verdict(now_ms)
    return {
        "name": target.name,
        "status": STATUSES[verdict],
        "state": verdict,
        "since": time(known.since_ms(now_ms)),
        "reason": known.reason(now_ms),
        "last_check": time(state and state.checked_ms),
        "next_check": time(state and state.due_ms) if target.enabled else None,
        "last_verdict": state.verdict if state else Verdict.UNKNOWN,
        "response_time": _duration(known),
        "failures": state.failures if state else 0,
        "muted": state.muted if state else "",
        "incident_since": time(state and state.incident_ms),
        "certificate_expires": time(state and state.expires_ms),
        "kind": target.kind,
        "url": target.url,
        "group": target.group,
        "labels": target.labels,
        "interval": target.interval_ms,
        "timeout": target.timeout_ms,
        "retries": target.retries,
        "enabled": target.enabled,
        "public": target.public,
        "managed_by": target.managed_by,
    }


def _duration(known: Known) -> float | None:
    state = known.state
    return round(state.duration_ms, 3) if state and state.checked_ms else None


class ServicePage(Model):
    timestamp: Time
    services: list[ServiceHealth] = Field(description="by group and name")
    next_cursor: NextCursor


class MaintenanceTime(Model):
    starts: Time
    ends: Time
    reason: str
    current: bool = Field(description="it goes on; else it is to come")

    @classmethod
    def of(cls, one: maintenance.Occurrence, now_ms: int) -> Self:
        return cls(starts=iso(one.starts_ms), ends=iso(one.ends_ms), reason=one.reason, current=one.holds(now_ms))


class OneService(ServiceHealth):
    """With how it is defined."""

    phases: dict[str, float] = Field(description="of the last check, milliseconds")
    maintenance: list[MaintenanceTime] = Field(description="what goes on, and the next of each")
    definition: dict[str, Any] = Field(description="as it is changed; secrets are masked")

    @classmethod
    def of(
        cls, known: Known, now_ms: int, uptime: float | None = None, *, definition: dict[str, Any] | None = None
    ) -> Self:
        planned = [maintenance.current_or_next(one, now_ms) for one in known.target.maintenance]
        return cls(
            **_fields(known, now_ms),
            uptime=uptime,
            phases=known.state.phases if known.state else {},
            maintenance=[
                MaintenanceTime.of(one, now_ms)
                for one in sorted((one for one in planned if one), key=lambda one: one.starts_ms)
            ],
            definition=definition or {},
        )


class CheckResult(Model):
    """One check."""

    id: str
    timestamp: Time = Field(description="when it was due")
    verdict: Verdict
    status: Status
    reason: str
    response_time: float = Field(description="milliseconds")
    phases: dict[str, float] = Field(description="milliseconds")
    attempts: int
    probe: str
    state: str = Field(description="what the service was after it")
    muted: str

    @classmethod
    def of(cls, one: Check) -> Self:
        return cls(
            id=one.id,
            timestamp=iso(one.timestamp),
            verdict=one.verdict,
            status=STATUSES[one.verdict],
            reason=one.reason,
            response_time=one.duration_ms,
            phases=one.phases,
            attempts=one.attempts,
            probe=one.probe,
            state=one.state,
            muted=one.muted,
        )


class CheckPage(Model):
    name: str
    checks: list[CheckResult] = Field(description="the newest first")
    next_cursor: NextCursor


class LatencyResult(Model):
    """Of all checks of the window, milliseconds; null without any. Percentiles are within 1 %."""

    p50: float | None
    p95: float | None
    p99: float | None
    avg: float | None
    max: float | None

    @classmethod
    def of(cls, one: Latency) -> Self:
        values = {name: getattr(one, name) for name in ("p50", "p95", "p99", "avg", "max")}
        return cls(**{name: None if value is None else round(value * 1000, 3) for name, value in values.items()})


class UptimeResult(Model):
    name: str
    window: Window
    from_: Time = Field(alias="from", description="the window's beginning, or when the service was made")
    to: Time
    uptime: float | None = Field(description="percent of the time of which something is known; null when nothing is")
    up_seconds: int
    down_seconds: int = Field(description="without those in maintenance")
    unknown_seconds: int = Field(description="without an answer: nobody asked, or the prober itself was at fault")
    latency: LatencyResult

    @classmethod
    def of(cls, known: Known, window: Window, found: Uptime, latency: Latency, now_ms: int) -> Self:
        return cls(
            name=known.target.name,
            window=window,
            **{"from": iso(max(now_ms - window.length_ms, known.target.created_at))},
            to=iso(now_ms),
            uptime=found.percent,
            up_seconds=round(found.up_s),
            down_seconds=round(found.down_s),
            unknown_seconds=round(found.unknown_s),
            latency=LatencyResult.of(latency),
        )


class IncidentResult(Model):
    """A time in which a service was down."""

    id: str
    service: str
    started: Time
    ended: Time | None = Field(description="null: it goes on")
    duration_seconds: int
    reason: str

    @classmethod
    def of(cls, one: Incident, now_ms: int) -> Self:
        return cls(
            id=one.id,
            service=one.name,
            started=iso(one.started_ms),
            ended=time(one.ended_ms),
            duration_seconds=max(0, ((one.ended_ms or now_ms) - one.started_ms) // 1000),
            reason=one.reason,
        )


class IncidentPage(Model):
    incidents: list[IncidentResult] = Field(description="the last begun first")
    next_cursor: NextCursor


class CheckRequest(Body):
    """Nothing need be said: all services."""

    service: str | None = Field(None, max_length=512, description="its name")


class Checked(Model):
    """What forced checks found."""

    timestamp: Time
    services: list[ServiceHealth]
    pending: list[str] = Field(description="services whose check was not over in time: what is told of them is older")
