"""What Vigie measures of itself: its HTTP traffic, from what its services count."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from vigie_api import metrics as api_metrics
from vigie_contracts import names
from vigie_ingest.metrics import RouteCollector, RouteMetrics
from vigie_runtime.metrics import MetricSet
from vigie_standalone.home import Home
from vigie_standalone.self_monitoring.traffic import MAX_DURATIONS, Traffic
from vigie_standalone.services import Context, Options, needs_own_key, services


class Recorded:
    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], float] = {}
        self.durations: list[tuple[str, str, float]] = []

    def counter(self, name: str, value: float = 1, labels: Any = None) -> None:
        assert name == names.HTTP_REQUESTS
        key = (labels["service"], labels["endpoint"], labels["status"])
        self.counts[key] = self.counts.get(key, 0) + value

    def histogram(self, name: str, value: float, labels: Any = None) -> None:
        assert name == names.HTTP_DURATION
        self.durations.append((labels["service"], labels["endpoint"], value))


def of_ingest(route: RouteMetrics) -> str:
    registry = CollectorRegistry()
    registry.register(RouteCollector([route]))
    return generate_latest(registry).decode()


def test_requests_between_two_looks_are_recorded() -> None:
    recorded, route = Recorded(), RouteMetrics("/api/metrics/batch")
    traffic = Traffic(recorded, "http://localhost:1")  # type: ignore[arg-type]
    route.answered(200, 0.2)
    traffic.look("ingest", of_ingest(route))
    assert recorded.counts == {}, "what was before the first look is not counted"
    for status, seconds in ((200, 0.003), (200, 0.004), (201, 0.7), (404, 0.0001), (503, 20.0)):
        route.answered(status, seconds)
    for _ in range(2):
        traffic.look("ingest", of_ingest(route))
    where = ("vigie-ingest", "/api/metrics/batch")
    assert recorded.counts == {(*where, "2xx"): 3, (*where, "4xx"): 1, (*where, "5xx"): 1}
    assert sorted(recorded.durations) == [(*where, s) for s in (0.0005, 0.00375, 0.00375, 0.75, 10.0)]


def test_a_service_that_was_started_again_counts_from_nothing() -> None:
    recorded, route = Recorded(), RouteMetrics("/v1/metrics")
    traffic = Traffic(recorded, "http://localhost:1")  # type: ignore[arg-type]
    for _ in range(5):
        route.answered(200, 0.01)
    traffic.look("ingest", of_ingest(route))
    again = RouteMetrics("/v1/metrics")
    again.answered(200, 0.01)
    traffic.look("ingest", of_ingest(again))
    assert recorded.counts == {("vigie-ingest", "/v1/metrics", "2xx"): 1}


def test_many_requests_are_counted_exactly_and_their_durations_in_part() -> None:
    recorded, route = Recorded(), RouteMetrics("/v1/metrics")
    traffic = Traffic(recorded, "http://localhost:1")  # type: ignore[arg-type]
    traffic.look("ingest", of_ingest(route))
    for _ in range(10 * MAX_DURATIONS):
        route.answered(200, 0.01)
    route.answered(200, 7.0)
    traffic.look("ingest", of_ingest(route))
    assert list(recorded.counts.values()) == [10 * MAX_DURATIONS + 1]
    assert len(recorded.durations) <= MAX_DURATIONS + 1
    assert max(seconds for *_, seconds in recorded.durations) == 7.5, "the slow one is not lost"


def test_outcomes_of_the_api_become_statuses() -> None:
    recorded, own = Recorded(), MetricSet(api_metrics.ALL)
    traffic, observe = Traffic(recorded, "http://localhost:1"), api_metrics.REQUESTS.observer(own)  # type: ignore[arg-type]
    traffic.look("api", generate_latest(own.registry).decode())
    for status in (200, 304, 404, 500, 503):
        observe("/api/dashboard/summary", status, 0.02)
    traffic.look("api", generate_latest(own.registry).decode())
    where = ("vigie-api", "dashboard")
    assert recorded.counts == {(*where, "2xx"): 2, (*where, "4xx"): 1, (*where, "500"): 1, (*where, "503"): 1}
    assert len(recorded.durations) == 5


def test_a_front_door_that_is_away_is_left_out() -> None:
    recorded = Recorded()
    Traffic(recorded, "http://127.0.0.1:9").collect()  # type: ignore[arg-type]
    assert (recorded.counts, recorded.durations) == ({}, [])


@pytest.mark.parametrize(("on", "expected"), [(True, ["self-monitoring", "agent"]), (False, [])])
def test_it_runs_unless_it_is_switched_off(tmp_path: Path, on: bool, expected: list[str]) -> None:
    options = Options(tmp_path, demo=False, self_monitoring=on)
    stages = services(Context(options, Home(tmp_path), {}, lambda _name: lambda _line: None))
    assert [unit.process.name for unit in stages[1]] == expected
    assert not any(unit.essential for unit in stages[1])


@pytest.mark.parametrize(
    ("anonymous", "token", "needed"),
    [("", "", False), ("default:read", "", True), ("nothing", "", True), ("nothing", "vk_x", False)],
)
def test_a_key_is_made_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, anonymous: str, token: str, needed: bool
) -> None:
    monkeypatch.setenv("VIGIE_ANONYMOUS", anonymous)
    monkeypatch.setenv("VIGIE_TOKEN", token)
    assert needs_own_key() is needed
