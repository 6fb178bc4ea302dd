"""Metrics of the engine."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from vigie_contracts.alerts import Reason, Transition
from vigie_runtime.bus.log_reader_metrics import LOGREADER_METRICS
from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet

from vigie_alerting.recording.metrics import RECORDING_METRICS

SAMPLES: Final = Counter("vigie_alerting_samples_total", "samples", "Samples of series that rules select")
LATE: Final = Counter(
    "vigie_alerting_late_windows_total", "windows", "Windows of single series that were too old for what rules look at"
)
EVALUATIONS: Final = Counter("vigie_alerting_evaluations_total", "rules", "Evaluations of rules, quiet ones included")
FAILED: Final = Counter("vigie_alerting_failed_evaluations_total", "rules", "Evaluations of rules that failed")
TRANSITIONS: Final = Counter(
    "vigie_alerting_transitions_total", "transitions", "Transitions of alerts that were stored", {"reason": Reason}
)
MOVED: Final = Counter(
    "vigie_alerting_moved_alerts_total", "rules", "Evaluations that were made again: somebody else moved an alert"
)
ROUND: Final = Histogram("vigie_alerting_round_seconds", "seconds", "Time it took to evaluate what was due")
RULES: Final = Gauge("vigie_alerting_rules", "rules", "Rules that this process evaluates")
SERIES: Final = Gauge("vigie_alerting_series", "series", "Series that rules select")
BEHIND: Final = Gauge("vigie_alerting_behind_seconds", "seconds", "Age of the samples that were read last")
ENGINE_METRICS: Final = (
    SAMPLES, LATE, EVALUATIONS, FAILED, TRANSITIONS, MOVED, ROUND, RULES, SERIES, BEHIND, *LOGREADER_METRICS,
    *RECORDING_METRICS,
)  # fmt: skip


class EngineMetrics:
    """`metrics` declares ENGINE_METRICS."""

    def __init__(self, metrics: MetricSet) -> None:
        self.set = metrics
        self.samples = metrics.counter(SAMPLES)
        self.late = metrics.counter(LATE)
        self.evaluations = metrics.counter(EVALUATIONS)
        self.failed = metrics.counter(FAILED)
        self.moved = metrics.counter(MOVED)
        self.round = metrics.histogram(ROUND)
        self.rules = metrics.gauge(RULES)
        self.series = metrics.gauge(SERIES)
        self.behind = metrics.gauge(BEHIND)


def count_transitions(metrics: MetricSet, transitions: Iterable[Transition]) -> None:
    """They were stored: by why they happened."""
    for reason, count in Tally(Reason(one.reason) for one in transitions).items():
        metrics.counter(TRANSITIONS, reason=reason).inc(count)
