"""The names of all channels, served or not."""

from __future__ import annotations

from enum import StrEnum


class ChannelName(StrEnum):
    """As subscriptions and the labels of metrics have them."""

    ALERTS = "alerts"
    APP = "app"
    HEALTH = "health"
    METRICS = "metrics"
    SERVER = "server"
    SERVICES = "services"
    SITE = "site"
    TELEMETRY = "telemetry"
