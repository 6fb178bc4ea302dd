"""How hosts are watched: the configuration that is changed at run time, of a tenant and of single hosts."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vigie_contracts.hosts import DEFAULT_INTERVAL_S, MAX_INTERVAL_S, MIN_INTERVAL_S

MAX_RETENTION_HOURS: Final = 24 * 90
MAX_OWN_HOSTS: Final = 100
"""Hosts of a tenant with a configuration of their own: each has rules of its own."""

Limit = Annotated[float, Meta(gt=0, le=100)]


class _Wire(msgspec.Struct, rename="camel", frozen=True):
    pass


class Threshold(_Wire, frozen=True, kw_only=True):
    """Per cent; the warning is the lower one."""

    warning: Limit
    critical: Limit


class AlertThresholds(_Wire, frozen=True, kw_only=True):
    cpu: Threshold = Threshold(warning=70.0, critical=90.0)
    memory: Threshold = Threshold(warning=75.0, critical=90.0)
    disk: Threshold = Threshold(warning=80.0, critical=95.0)


class MonitoringConfig(_Wire, frozen=True, kw_only=True):
    """As the replaced system has it; its defaults are these. `collection_interval` in seconds."""

    collection_interval: Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] = DEFAULT_INTERVAL_S
    alert_thresholds: AlertThresholds = AlertThresholds()
    alerts_enabled: bool = True
    site_stats_enabled: bool = True
    retention_hours: Annotated[int, Meta(ge=1, le=MAX_RETENTION_HOURS)] = 24


DEFAULT: Final = MonitoringConfig()


def crossed(config: MonitoringConfig) -> str | None:
    """The first threshold whose warning is not below its critical value: `cpu`, `memory` or `disk`."""
    for name in AlertThresholds.__struct_fields__:
        one: Threshold = getattr(config.alert_thresholds, name)
        if one.warning >= one.critical:
            return name
    return None
