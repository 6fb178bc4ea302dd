"""Metrics of sending."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import Counter, Gauge, Histogram, MetricSet

from vigie_alerting.notifiers.errors import Failure


class ChannelType(StrEnum):
    """The kinds of the registry."""

    SLACK = "slack"
    EMAIL = "email"
    WEBHOOK = "webhook"
    LIVE = "live"
    APPRISE = "apprise"
    CANARY = "canary"
    """Not of the registry: Vigie's own."""
    UNKNOWN = "unknown"
    """The channel was not found."""

    @classmethod
    def _missing_(cls, value: object) -> ChannelType:
        return cls.UNKNOWN


SENT: Final = Counter(
    "vigie_alerting_notifications_sent_total", "notifications", "Notifications delivered", {"type": ChannelType}
)
FAILED: Final = Counter(
    "vigie_alerting_notification_failures_total",
    "attempts",
    "Attempts to deliver a notification that failed",
    {"type": ChannelType, "failure": Failure},
)
DEAD: Final = Counter(
    "vigie_alerting_dead_notifications_total",
    "notifications",
    "Notifications given up: dead letters of the outbox",
    {"type": ChannelType},
)
LOST_LEASES: Final = Counter(
    "vigie_alerting_lost_leases_total",
    "notifications",
    "Notifications whose lease ended before they were settled: they may be sent twice",
)
SEND_SECONDS: Final = Histogram("vigie_alerting_send_seconds", "seconds", "Time an attempt took", {"type": ChannelType})
DELAY_SECONDS: Final = Histogram(
    "vigie_alerting_notification_delay_seconds", "seconds", "Time from being stored to being delivered"
)
IN_FLIGHT: Final = Gauge("vigie_alerting_notifications_in_flight", "notifications", "Notifications being sent now")
OPEN_CIRCUITS: Final = Gauge("vigie_alerting_channels_away", "channels", "Channels whose receiver does not answer")

SENDER_METRICS: Final = (SENT, FAILED, DEAD, LOST_LEASES, SEND_SECONDS, DELAY_SECONDS, IN_FLIGHT, OPEN_CIRCUITS)


class SenderMetrics:
    """`metrics` declares SENDER_METRICS."""

    def __init__(self, metrics: MetricSet | None = None) -> None:
        made = metrics or MetricSet(SENDER_METRICS)
        self.sent = {kind: made.counter(SENT, type=kind) for kind in ChannelType}
        self.failed = {
            (kind, failure): made.counter(FAILED, type=kind, failure=failure)
            for kind in ChannelType
            for failure in Failure
        }
        self.dead = {kind: made.counter(DEAD, type=kind) for kind in ChannelType}
        self.lost_leases = made.counter(LOST_LEASES)
        self.send_seconds = {kind: made.histogram(SEND_SECONDS, type=kind) for kind in ChannelType}
        self.delay_seconds = made.histogram(DELAY_SECONDS)
        self.in_flight = made.gauge(IN_FLIGHT)
        self.open_circuits = made.gauge(OPEN_CIRCUITS)
