"""The names of all channels, served or not."""

from __future__ import annotations

from enum import StrEnum


class ChannelName(StrEnum):
    """As subscriptions and the labels of metrics have them."""

    ALERTS = "alerts"
    APP = "app"
    APPLICATION = "application"
    BUSINESS = "business"
    COMMANDS = "commands"
    HEALTH = "health"
    METRICS = "metrics"
    SERVER = "server"
    SERVICES = "services"
    SITE = "site"
    SUMMARY = "summary"
    SYSTEM = "system"
    TELEMETRY = "telemetry"
