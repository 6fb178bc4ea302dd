"""A platform of nodes in MongoDB: tenants, licences, what is kept of reports; and what reads must say of it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from pymongo import MongoClient
from vigie_contracts import telemetry as words
from vigie_contracts.days import Day, day_before, day_of, to_datetime
from vigie_contracts.tiers import HOUR
from vigie_identity.tenants import Plan
from vigie_storage.reports.documents import day_id, hour_id, platform_day_id

Document = dict[str, Any]
MINUTE: Final = 60_000
DAY: Final = 24 * HOUR.width_ms
PARTITIONS: Final = 12
ZONE: Final = "UTC"
REPORT_EVERY: Final = 30 * MINUTE
PER_HOUR: Final = HOUR.width_ms // REPORT_EVERY
VERSIONS: Final = ("1.2.0", "1.1.0", "1.0.0", "0.9.4")
SAID: Final = {words.UPTIME: 86_400.0, words.ACTIVE_USERS: 10.0, words.EXERCISES: 100.0, words.AI_LATENCY: 200.5}
"""What every node says every time, so that sums are known."""
_BATCH: Final = 5_000


@dataclass(frozen=True)
class Size:
    """`hours` and `reports`: of how many tenants they are there."""

    tenants: int
    days: int
    hours: int
    reports: int


class Nodes:
    """Every 20th tenant is inactive, every 50th has not reported, the report of every 10th is two hours old."""

    def __init__(self, size: Size, now: int) -> None:
        self.size, self.now = size, now
        chance = random.Random(1)
        self.tenants = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(size.tenants)]
        self.inactive = set(range(7, size.tenants, 20))
        self.silent = set(range(0, size.tenants, 50))
        self.late = set(range(3, size.tenants, 10))
        self.expired = size.tenants // 5

    def fill(self, uri: str, database: str) -> int:
        """Write all of it; how many documents that were."""
        hours, reports = self.tenants[: self.size.hours], self.tenants[: self.size.reports]
        platform_days = (self._platform_day(p, day) for day in self._days() for p in range(PARTITIONS))
        with MongoClient[Document](uri, w=1, journal=False) as client:
            db = client[database]
            db["reports"].create_index([("tenant", 1), ("kind", 1), ("at", 1), ("_id", 1)])
            return sum(
                _insert(db[name], documents)
                for name, documents in (
                    ("tenants", (self._tenant(number) for number in range(self.size.tenants))),
                    ("licences", self._licences()),
                    (
                        "telemetry_latest",
                        (self._latest(n) for n in range(self.size.tenants) if n not in self.silent),
                    ),
                    (
                        "telemetry_hours",
                        (_hour(tenant, at) for tenant in hours for at in self._times(HOUR.width_ms)),
                    ),
                    (
                        "reports",
                        (_report(tenant, at) for tenant in reports for at in self._times(REPORT_EVERY)),
                    ),
                    (
                        "telemetry_days",
                        (_day(tenant, day) for day in self._days() for tenant in self.tenants),
                    ),
                    ("telemetry_platform_days", platform_days),
                )
            )

    def differences(self, summary: Document, trends: Document, aggregated: Document) -> list[str]:
        """Where answers are not what was filled in."""
        active = set(range(self.size.tenants)) - self.inactive
        reporting = active - self.silent
        yesterday, reports = trends["trends"][1], self.size.days * 24 * PER_HOUR
        expected = {
            "active tenants": (summary["tenants"]["active"], len(active)),
            "inactive tenants": (summary["tenants"]["inactive"], len(self.inactive)),
            "recent data": (summary["tenants"]["withRecentData"], len(reporting - self.late)),
            "active users": (summary["usage"]["totalActiveUsers"], len(reporting) * SAID[words.ACTIVE_USERS]),
            "uptime": (summary["usage"]["totalUptime"], len(reporting) * SAID[words.UPTIME]),
            "latency": (summary["usage"]["averageAiLatency"], SAID[words.AI_LATENCY]),
            "critical": (summary["health"]["critical"], len(reporting & self.late)),
            "no data": (summary["health"]["noData"], len(active - reporting)),
            "versions": (sum(one["count"] for one in summary["versions"]), len(reporting)),
            "licences": (summary["licenses"]["total"], self.size.tenants + self.expired),
            "expired licences": (summary["licenses"]["expired"], self.expired),
            "tenants of yesterday": (yesterday["tenantsReporting"], self.size.tenants),
            "exercises of yesterday": (yesterday["totalExercises"], self.size.tenants * SAID[words.EXERCISES]),
            "uptime of yesterday": (yesterday["uptimePercentage"], 100),
            "reports of a period": (aggregated["dataPoints"], reports),
            "exercises of a period": (aggregated["metrics"]["totalExercises"], reports * SAID[words.EXERCISES]),
        }
        return [f"{what}: {found}, not {wanted}" for what, (found, wanted) in expected.items() if found != wanted]

    def _times(self, step: int) -> range:
        """From before the period until two hours from now: no border of a period that moves on finds an end."""
        first = HOUR.floor(self.now) - self.size.days * DAY - HOUR.width_ms
        return range(first, first + self.size.days * DAY + 4 * HOUR.width_ms, step)

    def _days(self) -> Sequence[Day]:
        days = [day_of(ZONE, self.now)]
        while len(days) < self.size.days:
            days.append(day_before(ZONE, days[-1]))
        return days

    def _tenant(self, number: int) -> Document:
        created = to_datetime(self.now - self.size.days * DAY)
        return {
            "_id": self.tenants[number], "name": f"Tenant {number}", "name_key": f"tenant {number}",
            "status": "inactive" if number in self.inactive else "active", "plan": asdict(Plan()),
            "created": created, "updated": created,
        }  # fmt: skip

    def _licences(self) -> Iterator[Document]:
        for number in range(self.size.tenants + self.expired):
            days = number % 300 + 1 if number < self.size.tenants else -1
            yield {
                "_id": f"licence-{number}", "tenant": self.tenants[number % self.size.tenants], "product": "nodes",
                "issued": to_datetime(self.now - 60 * DAY), "expires": to_datetime(self.now + days * DAY),
            }  # fmt: skip

    def _latest(self, number: int) -> Document:
        age = 120 * MINUTE if number in self.late else number % 10_000
        return {
            "_id": self.tenants[number], "at": to_datetime(self.now - age), "report": f"report-{number}", **SAID,
            "version": VERSIONS[number % len(VERSIONS)], "cpuUsage": 40.0, "memoryUsage": 60.0, "diskUsage": 50.0,
            "errorCount": 1.0,
        }  # fmt: skip

    def _platform_day(self, partition: int, day: Day) -> Document:
        tenants = len(range(partition, self.size.tenants, PARTITIONS))
        reports = tenants * day.hours * PER_HOUR
        users, latency = SAID[words.ACTIVE_USERS], SAID[words.AI_LATENCY]
        return {
            "_id": platform_day_id(ZONE, day.name, partition), "zone": ZONE, "day": day.name,
            "at": to_datetime(day.start_ms), "tenants": tenants, "reports": reports,
            "activeUsers": {"n": reports, "sum": reports * users, "max": users},
            "exercises": tenants * SAID[words.EXERCISES],
            "aiLatency": {"n": reports, "sum": reports * latency},
            "hours": tenants * day.hours, "firstHours": 0,
        }  # fmt: skip


def _hour(tenant: str, at: int) -> Document:
    hour = to_datetime(at)
    spreads = {
        name: {"n": PER_HOUR, "sum": PER_HOUR * value, "min": value, "max": value} for name, value in SAID.items()
    }
    return {"_id": hour_id(tenant, hour), "tenant": tenant, "hour": hour, "reports": PER_HOUR, **spreads}


def _report(tenant: str, at: int) -> Document:
    time = to_datetime(at)
    more = {"version": VERSIONS[0], "additionalData": {"cpuUsage": 40.0, "memoryUsage": 60.0, "diskUsage": 50.0}}
    return {
        "_id": f"{tenant}/{at}", "tenant": tenant, "kind": words.KIND, "subject": words.SUBJECT, "at": time,
        "received": time, "body": {"tenantId": tenant, **SAID, **more},
    }  # fmt: skip


def _day(tenant: str, day: Day) -> Document:
    reports = day.hours * PER_HOUR
    users, latency = SAID[words.ACTIVE_USERS], SAID[words.AI_LATENCY]
    return {
        "_id": day_id(ZONE, day.name, tenant), "tenant": tenant, "at": to_datetime(day.start_ms),
        "reports": reports, "activeUsers": {"n": reports, "sum": reports * users, "max": users},
        "exercises": SAID[words.EXERCISES], "aiLatency": {"n": reports, "sum": reports * latency},
        "hours": (1 << day.hours) - 1,
    }  # fmt: skip


def _insert(collection: Any, documents: Iterable[Document]) -> int:
    source, count = iter(documents), 0
    while batch := list(islice(source, _BATCH)):
        collection.insert_many(batch, ordered=False)
        count += len(batch)
    return count
