"""What is counted of apps: since when, until when and how often each has reported."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from vigie_aggregator.reports import counting
from vigie_aggregator.reports.reading import AppReport, read
from vigie_contracts.reports import Report
from vigie_runtime.errors import InvalidMessage


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, 0, minute, tzinfo=UTC)


def record(body: dict[str, Any]) -> Any:
    value = msgspec.json.encode(Report("id", "acme", "app", "shop", 1_767_225_600_000, body))
    return cast(
        Any, SimpleNamespace(value=value, headers=[], timestamp=1_767_225_600_000, partition=1, offset=1, key=b"")
    )


def test_an_app_is_known_from_its_first_to_its_newest_report_whatever_their_order() -> None:
    reports = [AppReport("acme", "shop", at(minute)) for minute in (5, 1, 9)]
    assert counting.app_update(reports) == {
        "$inc": {"reports": 3},
        "$min": {"first": at(1)},
        "$max": {"last": at(9)},
        "$setOnInsert": {"tenant": "acme", "app": "shop"},
    }


def test_apps_of_one_name_in_two_tenants_are_two() -> None:
    reports = [AppReport("acme", "shop", at(1)), AppReport("beta", "shop", at(2)), AppReport("acme", "desk", at(3))]
    assert set(counting.by_app(reports)) == {("acme", "shop"), ("beta", "shop"), ("acme", "desk")}


def test_an_apps_report_is_kept_whole_and_counted_as_its() -> None:
    found = read(record({"metrics": {"cpu": {"usage": 1}}, "appId": "shop"}))
    assert found.node is None
    assert found.app == AppReport("acme", "shop", at(0))


def test_an_apps_report_without_metrics_is_set_aside() -> None:
    for body in ({}, {"metrics": [1]}):
        with pytest.raises(InvalidMessage, match="metrics"):
            read(record(body))
