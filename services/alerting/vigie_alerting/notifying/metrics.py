"""Metrics of deciding who is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vigie_contracts.decisions import Decision, Why
from vigie_runtime.metrics import Counter, Histogram, MetricSet

DECISIONS: Final = Counter(
    "vigie_alerting_decisions_total",
    "decisions",
    "Verdicts on steps of alerts and who is told of them, beside what the channels of rules are told at once",
    {"why": Why},
)
GROUP_DELAY_SECONDS: Final = Histogram(
    "vigie_alerting_group_delay_seconds", "seconds", "Time from when a group was due to when its message was stored"
)

NOTIFYING_METRICS: Final = (DECISIONS, GROUP_DELAY_SECONDS)


class NotifyingMetrics:
    """`metrics` declares NOTIFYING_METRICS."""

    def __init__(self, metrics: MetricSet | None = None) -> None:
        made = metrics or MetricSet(NOTIFYING_METRICS)
        self._decisions = {why: made.counter(DECISIONS, why=why) for why in Why}
        self.group_delay_seconds = made.histogram(GROUP_DELAY_SECONDS)

    def decided(self, decisions: Iterable[Decision]) -> None:
        """These were stored."""
        for one in decisions:
            self._decisions[one.why].inc()
