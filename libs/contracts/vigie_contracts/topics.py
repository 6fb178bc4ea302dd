"""The topics of the bus: names, partition counts, keys, and the settings a broker needs to keep them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Topic:
    """`key` says what decides the partition; `config` is passed to the broker when the topic is made."""

    name: str
    partitions: int
    key: str
    config: dict[str, str] = field(default_factory=dict[str, str])


_WEEK_MS = str(7 * 24 * 3600 * 1000)
_COMPACTED = {"cleanup.policy": "compact"}

SAMPLES: Final = Topic("vigie.samples.v1", 12, "fingerprint % partitions", {"retention.ms": _WEEK_MS})
REPORTS: Final = Topic("vigie.reports.v1", 12, "tenant + subject", {"retention.ms": _WEEK_MS})
CHECKS: Final = Topic("vigie.checks.v1", 12, "tenant + target", {"retention.ms": _WEEK_MS})
RULES: Final = Topic("vigie.rules.v1", 12, "rule id", _COMPACTED)
TARGETS: Final = Topic("vigie.targets.v1", 12, "target id", _COMPACTED)
ALERTS: Final = Topic("vigie.alerts.v1", 12, "alert fingerprint", {"retention.ms": _WEEK_MS})
DEAD: Final = Topic("vigie.dead.v1", 1, "the key of the dead record", {"retention.ms": str(30 * 24 * 3600 * 1000)})

TOPICS: Final = (SAMPLES, REPORTS, CHECKS, RULES, TARGETS, ALERTS, DEAD)
