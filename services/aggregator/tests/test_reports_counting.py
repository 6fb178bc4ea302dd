"""However reports are ordered and divided into batches, the documents are those of a plain count of the whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_aggregator.reports import counting
from vigie_aggregator.reports.counting import Change, DayKey
from vigie_aggregator.reports.reading import NodeReport
from vigie_contracts.days import to_datetime
from vigie_contracts.reports import Report
from vigie_contracts.telemetry import Telemetry
from vigie_storage.reports.documents import hour_id, platform_day_id

from services.aggregator.tests import naive

ZONES = ("UTC", "Europe/Paris")
CHANGE_MS = 1_792_890_000_000
"""25 October 2026, 01:00 UTC: clocks in Paris go from 03:00 back to 02:00."""
PARTITIONS = {"a": 0, "b": 1, "c": 1}

# Sums of these are exact in any order: the arithmetic is what is tested, not rounding.
numbers = st.integers(0, 4_000).map(lambda quarters: quarters / 4)
bodies = st.fixed_dictionaries(
    {"uptime": numbers, "activeUsers": numbers, "exercisesCompletedToday": numbers},
    optional={
        "aiLatency": st.none() | numbers,
        "version": st.sampled_from(["1.0", "2.0"]),
        "additionalData": st.dictionaries(st.sampled_from(["cpuUsage", "errorCount", "other"]), numbers),
    },
)
reports = st.builds(
    Report,
    id=st.sampled_from([f"r{n}" for n in range(40)]),
    tenant=st.sampled_from(list(PARTITIONS)),
    kind=st.just("node"),
    subject=st.just("node"),
    timestamp=st.integers(CHANGE_MS - 30 * 3_600_000, CHANGE_MS + 30 * 3_600_000),
    body=bodies,
)


def node(report: Report) -> NodeReport:
    said = msgspec.convert(report.body, Telemetry)
    partition = PARTITIONS[report.tenant]
    return NodeReport(report.id, report.tenant, report.timestamp, said.numbers(), said.version, partition)


class Documents:
    """What MongoDB does with the updates."""

    def __init__(self) -> None:
        self.all: dict[str, dict[Any, dict[str, Any]]] = {
            name: {}
            for name in ("telemetry_latest", "telemetry_hours", "telemetry_days", "telemetry_platform_days")
        }  # fmt: skip
        self.known: set[str] = set()

    def add(self, batch: list[Report]) -> None:
        new = {r.id: node(r) for r in reversed(batch) if r.id not in self.known}
        self.known |= set(new)
        nodes = list(new.values())
        if not nodes:
            return
        latest, days = self.all["telemetry_latest"], self.all["telemetry_days"]
        for tenant in {n.tenant for n in nodes}:
            mine = [n for n in nodes if n.tenant == tenant]
            if (document := counting.latest(latest.get(tenant), mine)) is not None:  # type: ignore[arg-type]
                latest[tenant] = dict(document)
        for key, group in counting.by_hour(nodes).items():
            self._update("telemetry_hours", hour_id(key.tenant, to_datetime(key.hour_ms)),
                         counting.hour_update(key, group))  # fmt: skip
        changes: dict[DayKey, Change] = {}
        for day_key, group in counting.by_day(nodes, ZONES).items():
            id_ = (day_key.zone, day_key.day.name, day_key.tenant)
            before: Any = days.get(id_)
            after = counting.grown_day(day_key, before, group)
            changes[day_key] = Change(group[0].partition, before, after)
            days[id_] = dict(after)
        for platform_key, of_day in counting.by_platform_day(changes).items():
            id_ = platform_day_id(platform_key.zone, platform_key.day.name, platform_key.partition)
            self._update("telemetry_platform_days", id_, counting.platform_update(platform_key, of_day))

    def _update(self, name: str, id_: Any, update: counting.Update) -> None:
        key = tuple(id_.values())
        new = key not in self.all[name]
        document = self.all[name].setdefault(key, {"_id": id_})
        if new:
            document.update(update["$setOnInsert"])
        for operator, merge in (("$inc", lambda a, b: a + b), ("$min", min), ("$max", max)):
            for path, value in update.get(operator, {}).items():
                *parents, field = path.split(".")
                at = document
                for parent in parents:
                    at = at.setdefault(parent, {})
                at[field] = merge(at[field], value) if field in at else value


@given(st.lists(st.lists(reports, max_size=6), max_size=8))
def test_documents_equal_a_plain_count_of_the_distinct_reports(batches: list[list[Report]]) -> None:
    documents = Documents()
    distinct: dict[str, Report] = {}
    for batch in batches:
        documents.add(batch)
        for report in batch:
            distinct.setdefault(report.id, report)
    expected = naive.documents(distinct.values(), ZONES, lambda r: PARTITIONS[r.tenant])
    for name, found in documents.all.items():
        assert dict(naive.stored(name, document) for document in found.values()) == expected[name]


def test_the_day_on_which_clocks_go_back_has_a_twenty_fifth_hour() -> None:
    at = CHANGE_MS + 21 * 3_600_000 + 1
    last = NodeReport("r", "a", at, {"uptime": 1.0, "activeUsers": 2.0, "exercisesCompletedToday": 3.0}, None, 0)
    (key,) = [key for key in counting.by_day([last], ZONES) if key.zone == "Europe/Paris"]
    assert key.day.name == "2026-10-25"
    assert counting.grown_day(key, None, [last])["hours"] == 1 << 24


@pytest.mark.parametrize(
    ("at", "id_", "replaced"), [(9, "z", False), (10, "a", False), (10, "c", True), (11, "a", True)]
)
def test_latest_is_replaced_by_a_later_report_only_and_of_one_time_by_a_greater_id(
    at: int, id_: str, replaced: bool
) -> None:
    numbers_ = {"uptime": 1.0, "activeUsers": 2.0, "exercisesCompletedToday": 3.0}
    before = counting.latest(None, [NodeReport("b", "a", 10, numbers_, None, 0)])
    assert (counting.latest(before, [NodeReport(id_, "a", at, numbers_, None, 0)]) is not None) is replaced
