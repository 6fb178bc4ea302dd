"""The status page as JSON."""

from __future__ import annotations

from typing import Self

from pydantic import Field
from vigie_query.times import iso
from vigie_web.schemas import Model, Time

from vigie_healthcheck.api.schemas import time
from vigie_healthcheck.status.model import Outage, Planned, Service, Shown, StatusPage


class ServiceResult(Model):
    name: str
    group: str
    state: Shown
    since: Time | None
    uptime: float | None = Field(description="percent of the last 90 days; null: nothing is known")
    days: list[float | None] = Field(description="percent of each of the last 90 days (UTC), today last")

    @classmethod
    def of(cls, one: Service, group: str) -> Self:
        return cls(
            name=one.name,
            group=group,
            state=one.shown,
            since=time(one.since_ms),
            uptime=one.days.percent,
            days=list(one.days.each),
        )


class OutageResult(Model):
    service: str
    started: Time
    ended: Time | None = Field(description="null: it goes on")
    reason: str = Field(description="without addresses")

    @classmethod
    def of(cls, one: Outage) -> Self:
        return cls(service=one.name, started=iso(one.started_ms), ended=time(one.ended_ms), reason=one.reason)


class PlannedResult(Model):
    services: list[str]
    starts: Time
    ends: Time
    reason: str
    current: bool = Field(description="it goes on; else it is announced")

    @classmethod
    def of(cls, one: Planned, at_ms: int) -> Self:
        return cls(
            services=list(one.names),
            starts=iso(one.starts_ms),
            ends=iso(one.ends_ms),
            reason=one.reason,
            current=one.starts_ms <= at_ms,
        )


class StatusResult(Model):
    title: str
    timestamp: Time
    state: Shown = Field(description="the worst of all services")
    services: list[ServiceResult] = Field(description="by group and name, the first 300")
    incidents: list[OutageResult] = Field(description="of the last 90 days, the last begun first, at most 50")
    maintenance: list[PlannedResult] = Field(description="that goes on or comes within 14 days")
    truncated: bool

    @classmethod
    def of(cls, page: StatusPage) -> Self:
        return cls(
            title=page.title,
            timestamp=iso(page.at_ms),
            state=page.shown,
            services=[ServiceResult.of(one, group) for group, own in page.groups.items() for one in own],
            incidents=[OutageResult.of(one) for one in page.outages],
            maintenance=[PlannedResult.of(one, page.at_ms) for one in (*page.current, *page.announced)],
            truncated=page.truncated,
        )
