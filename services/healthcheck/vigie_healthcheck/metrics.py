"""The metrics of this service: of its requests, and of the checks that it makes."""

from __future__ import annotations

from typing import Final

from vigie_contracts.checks import Verdict
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet
from vigie_web.metrics import RequestMetrics

REQUESTS: Final = RequestMetrics("healthcheck", {"/api/health": "health", "/status": "status"})

CHECKS: Final = Counter("vigie_healthcheck_checks_total", "checks", "Checks of targets", {"verdict": Verdict})
CHECK_DURATION: Final = Histogram(
    "vigie_healthcheck_check_duration_seconds", "seconds", "How long a check took, with all its attempts"
)
DELAY: Final = Histogram(
    "vigie_healthcheck_scheduling_delay_seconds", "seconds", "Time from when a check was due to when it began"
)
SKIPPED: Final = Counter(
    "vigie_healthcheck_skipped_checks_total",
    "checks",
    "Checks that were not made at all: the process stood still, or they waited so long that the next was due",
)
DROPPED: Final = Counter(
    "vigie_healthcheck_dropped_checks_total",
    "checks",
    "Results that do not count: the target was changed, deleted or left to another process meanwhile",
)
ERRORS: Final = Counter("vigie_healthcheck_errors_total", "checks", "Checks that ended in a fault of this program")
TARGETS: Final = Gauge("vigie_healthcheck_targets", "targets", "Targets that this process checks")
UNDER_WAY: Final = Gauge("vigie_healthcheck_checks_in_flight", "checks", "Checks under way")
SLOTS: Final = Gauge("vigie_healthcheck_concurrency_limit", "checks", "Checks that may be under way at the same time")
WAITING: Final = Gauge("vigie_healthcheck_waiting_checks", "checks", "Checks that are due and wait for a free slot")
SELF_CHECK_FAILED: Final = Gauge(
    "vigie_healthcheck_self_check_failed", "boolean", "1 while this process cannot reach the network itself"
)

CHECKING_METRICS: Final = (
    CHECKS, CHECK_DURATION, DELAY, SKIPPED, DROPPED, ERRORS, TARGETS, UNDER_WAY, SLOTS, WAITING, SELF_CHECK_FAILED,
)  # fmt: skip
ALL: Final = (*REQUESTS.all, *CHECKING_METRICS)


class CheckingMetrics:
    """`metrics` declares CHECKING_METRICS."""

    def __init__(self, metrics: MetricSet) -> None:
        self.checks = {verdict: metrics.counter(CHECKS, verdict=verdict) for verdict in Verdict}
        self.duration = metrics.histogram(CHECK_DURATION)
        self.delay = metrics.histogram(DELAY)
        self.skipped = metrics.counter(SKIPPED)
        self.dropped = metrics.counter(DROPPED)
        self.errors = metrics.counter(ERRORS)
        self.targets = metrics.gauge(TARGETS)
        self.under_way = metrics.gauge(UNDER_WAY)
        self.slots = metrics.gauge(SLOTS)
        self.waiting = metrics.gauge(WAITING)
        self.self_check_failed = metrics.gauge(SELF_CHECK_FAILED)
