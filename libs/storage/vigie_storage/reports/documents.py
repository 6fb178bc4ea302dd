"""The documents that are kept of reports, and of those of nodes. Dates are UTC.

What makes them exact, whatever is repeated: each report is counted once, by its id, in one transaction with its
document in `reports`. The collections: `vigie_storage.collections`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument


class Spread(TypedDict):
    """Numbers of several reports."""

    n: int
    sum: float
    min: float
    max: float


class Peak(TypedDict):
    n: int
    sum: float
    max: float


class Mean(TypedDict):
    n: int
    sum: float


class ReportDocument(TypedDict):
    """`at` is the report's own time, `received` when the gateway took it."""

    _id: str
    tenant: str
    kind: str
    subject: str
    at: datetime
    received: datetime
    body: dict[str, Any]
    """Whole. Of a node: `NUMBERS`, `VERSION` and `ADDITIONAL` as they were sent, what is optional only if it was."""


EncodedReport = RawBSONDocument
"""A `ReportDocument` that can be stored."""


def encoded(report: ReportDocument) -> EncodedReport:
    """Raises ValueError for a body that MongoDB does not take: an integer past 64 bits, a key with NUL."""
    try:
        return RawBSONDocument(bson.encode(report))
    except (BSONError, OverflowError, UnicodeError) as e:
        raise ValueError(str(e)) from e


class HostReportDocument(TypedDict):
    """A report of a host; see `vigie_storage.hosts.reports`. `expires` is added when it is stored."""

    _id: str
    tenant: str
    host: str
    at: datetime
    received: datetime
    body: dict[str, Any]


class AppId(TypedDict):
    tenant: str
    app: str


class AppDocument(TypedDict):
    """An app that has reported."""

    _id: AppId
    tenant: str
    app: str
    first: datetime
    last: datetime
    """The times of its first and its newest report."""
    reports: int
    """In all, also those that are not kept any more."""


class LatestDocument(TypedDict):
    """The report with the greatest (at, id) of a tenant. What is optional is there if that report said it."""

    _id: str
    """The tenant."""
    at: datetime
    report: str
    uptime: float
    activeUsers: float
    exercisesCompletedToday: float
    aiLatency: NotRequired[float]
    version: NotRequired[str]
    cpuUsage: NotRequired[float]
    memoryUsage: NotRequired[float]
    diskUsage: NotRequired[float]
    errorCount: NotRequired[float]


class HourId(TypedDict):
    tenant: str
    hour: datetime


class HourDocument(TypedDict):
    _id: HourId
    tenant: str
    hour: datetime
    """Its start."""
    reports: int
    uptime: Spread
    activeUsers: Spread
    exercisesCompletedToday: Spread
    aiLatency: NotRequired[Spread]
    """Of the reports that said it; not there when none did."""


class DayId(TypedDict):
    zone: str
    day: str
    tenant: str


class DayDocument(TypedDict):
    _id: DayId
    tenant: str
    at: datetime
    """The start of the day."""
    reports: int
    activeUsers: Peak
    exercises: float
    """The greatest `exercisesCompletedToday` of the day."""
    aiLatency: Mean
    hours: int
    """Bit i is set when hour i of the day, counted from its start, has a report (`vigie_contracts.days`)."""


class PlatformDayId(TypedDict):
    zone: str
    day: str
    partition: int


class PlatformDayDocument(TypedDict):
    """The sum of the `DayDocument`s of the tenants whose reports come over one partition."""

    _id: PlatformDayId
    zone: str
    day: str
    at: datetime
    """The start of the day."""
    tenants: int
    """That reported on the day."""
    reports: int
    activeUsers: Peak
    exercises: float
    """The sum of the tenants' greatest."""
    aiLatency: Mean
    hours: int
    """Hours with a report, of all tenants together."""
    firstHours: int
    """The sum of the first hours with a report: a tenant could have reported in `Day.hours` less that many."""


# MongoDB compares embedded documents field by field, in their order: ids are built here and nowhere else.


def app_id(tenant: str, app: str) -> AppId:
    return {"tenant": tenant, "app": app}


def hour_id(tenant: str, hour: datetime) -> HourId:
    """`hour` is the start of the UTC hour. The hours of a tenant stand together, in order."""
    return {"tenant": tenant, "hour": hour}


def day_id(zone: str, day: str, tenant: str) -> DayId:
    """The tenants of a day stand together."""
    return {"zone": zone, "day": day, "tenant": tenant}


def platform_day_id(zone: str, day: str, partition: int) -> PlatformDayId:
    """The days of a zone stand together, in order."""
    return {"zone": zone, "day": day, "partition": partition}


def hour_bit(hour: int) -> int:
    """The bit of an hour of the day (`Day.hour`) in `DayDocument.hours`."""
    return 1 << hour


def hours_reported(mask: int) -> int:
    """How many hours of the day have a report."""
    return mask.bit_count()


def first_hour(mask: int) -> int:
    """The first hour of the day with a report. Raises ValueError when there is none."""
    if mask <= 0:
        raise ValueError("no hour of the day has a report")
    return (mask & -mask).bit_length() - 1
