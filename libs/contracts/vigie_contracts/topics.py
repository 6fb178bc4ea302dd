"""The topics of the bus: who writes and reads them, names, partitions, keys, values, how long kept."""

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
    value: str = "not defined yet"
    """What a record's value is: `module.Class` below `vigie_contracts`; in words where there is no class."""
    written_by: tuple[str, ...] = ()
    """Services. `docs/asyncapi.yaml` and the table in `docs/architecture.md` are made from these (`make docs`)."""
    read_by: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What it carries, in one word: `reports` of `vigie.reports.v1`."""
        return self.name.split(".")[1]


_WEEK: Final = {"retention.ms": str(7 * 24 * 3600 * 1000)}
_MONTH: Final = {"retention.ms": str(30 * 24 * 3600 * 1000)}
_COMPACTED: Final = {"cleanup.policy": "compact", "delete.retention.ms": _MONTH["retention.ms"]}
"""For a month, also who was away learns that something was deleted."""

SAMPLES: Final = Topic(
    "vigie.samples.v1",
    12,
    "none: fingerprint % partitions",
    _WEEK,
    "samples.SampleBatch",
    ("ingest", "push", "alerting", "healthcheck"),
    ("aggregator", "alerting"),
)
REPORTS: Final = Topic(
    "vigie.reports.v1", 12, "tenant + subject", _WEEK, "reports.Report", ("ingest", "push"), ("aggregator", "push")
)
CHECKS: Final = Topic(
    "vigie.checks.v1", 12, "tenant + target", _WEEK, "checks.Check", ("healthcheck",), ("aggregator",)
)
RULES: Final = Topic("vigie.rules.v1", 12, "rule id", _COMPACTED, "alerts.Rule", ("alerting",), ("alerting",))
TARGETS: Final = Topic(
    "vigie.targets.v1", 12, "target id", _COMPACTED, "targets.Target", ("healthcheck",), ("healthcheck",)
)
ALERTS: Final = Topic("vigie.alerts.v1", 12, "alert fingerprint", _WEEK, "alerts.Transition")
COMMANDS: Final = Topic(
    "vigie.commands.v1", 12, "tenant + host", _WEEK, "commands.Command", ("api", "push"), ("push", "aggregator")
)
DEAD: Final = Topic(
    "vigie.dead.v1",
    1,
    "that of the dead record",
    _MONTH,
    "the untouched record",
    ("every consumer",),
    ("`vigie dead list`", "`vigie dead replay`"),
)

TOPICS: Final = (SAMPLES, REPORTS, CHECKS, RULES, TARGETS, ALERTS, COMMANDS, DEAD)
