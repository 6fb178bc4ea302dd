"""JSON of /api/alerts/rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field
from vigie_contracts import alerts as contracts
from vigie_contracts.alerts import Condition, NoData, RuleKind, Severity
from vigie_storage.alerts.rules import Change, RuleVersion, StoredRule
from vigie_web.schemas import Model, NextCursor, Time

from vigie_alerting.api.schemas import time
from vigie_alerting.resources import RuleHealth
from vigie_alerting.rulebook.destinations import without_secrets
from vigie_alerting.rules.files import Finding
from vigie_alerting.rules.problems import RuleProblem


class Channel(Model):
    type: str
    destination: str = Field(description="secret parts are ***; sent back like that, they stay as they are")


class Level(Model):
    threshold: float
    severity: Severity


class Problem(Model):
    """What is wrong, or was hardly meant."""

    field: str
    reason: str
    position: int | None = Field(description="in an expression, from 1")
    hint: str

    @classmethod
    def of(cls, problem: RuleProblem) -> Self:
        return cls(field=problem.field, reason=problem.reason, position=problem.position, hint=problem.hint)


class Health(Model):
    """The last evaluation."""

    last_evaluation: Time | None = Field(description="null: it never was")
    evaluation_ms: float
    error: str = Field(description="empty: it went well")
    next_evaluation: Time | None

    @classmethod
    def of(cls, health: RuleHealth | None) -> Self | None:
        if health is None:
            return None
        return cls(
            last_evaluation=time(health.evaluated_ms or None),
            evaluation_ms=round(health.took_ms, 3),
            error=health.error,
            next_evaluation=time(health.next_ms),
        )


class Rule(Model):
    """A rule with all its fields; durations in milliseconds. It is taken like that by PUT too."""

    id: str
    name: str
    kind: RuleKind
    severity: Severity
    enabled: bool
    metric_name: str
    matchers: list[str]
    condition: Condition | None
    threshold: float | None
    levels: list[Level]
    window_ms: int
    by: list[str]
    percentile: float | None
    of_metric_name: str
    of_matchers: list[str]
    expected: list[dict[str, str]]
    expression: str
    record: str
    for_ms: int
    keep_firing_for_ms: int
    recovery_threshold: float | None
    no_data: NoData
    labels: dict[str, str]
    annotations: dict[str, str]
    interval_ms: int
    group: str
    limit: int
    owner: str
    runbook: str
    notification_channels: list[Channel]
    managed_by: str = Field(description="what makes it and changes it: `slo/<name>`; empty: people do")
    version: int
    created_at: Time | None
    created_by: str
    updated_at: Time | None
    updated_by: str


def fields_of(rule: contracts.Rule) -> dict[str, object]:
    """Of `Rule`, without what is secret."""
    shown = without_secrets(rule)
    fields: dict[str, object] = {name: getattr(shown, name) for name in Rule.model_fields}
    fields["levels"] = [Level(threshold=one.threshold, severity=one.severity) for one in shown.levels]
    fields["notification_channels"] = [
        Channel(type=one.type, destination=one.destination) for one in shown.notification_channels
    ]
    return {**fields, "created_at": time(rule.created_at), "updated_at": time(rule.updated_at)}


class RuleNow(Rule):
    """A rule as it is now."""

    promql: str = Field(description="what is evaluated; empty when this version of Vigie does not understand the rule")
    published: bool = Field(description="whether this version is on its way to those who evaluate it")
    health: Health | None = Field(description="null where another replica evaluates it")

    @classmethod
    def of(cls, stored: StoredRule, promql: str, health: RuleHealth | None) -> Self:
        more = {"promql": promql, "published": stored.published, "health": Health.of(health)}
        return cls.model_validate({**fields_of(stored.rule), **more})


class WrittenRule(RuleNow):
    """A rule that was made or changed."""

    warnings: list[Problem]

    @classmethod
    def with_warnings(cls, rule: RuleNow, warnings: Sequence[RuleProblem]) -> Self:
        fields = {name: getattr(rule, name) for name in RuleNow.model_fields}
        return cls.model_validate({**fields, "warnings": [Problem.of(one) for one in warnings]})


class RulePage(Model):
    rules: list[RuleNow]
    total: int = Field(description="rules of the tenant, whatever the filter")
    next_cursor: NextCursor


class Version(Model):
    """One change of a rule: who, when, what it became."""

    version: int
    change: Change
    at: Time | None
    by: str
    rule: Rule

    @classmethod
    def of(cls, version: RuleVersion) -> Self:
        rule = version.rule
        return cls(
            version=rule.version,
            change=version.change,
            at=time(rule.updated_at),
            by=rule.updated_by,
            rule=Rule.model_validate(fields_of(rule)),
        )


class VersionPage(Model):
    versions: list[Version]
    next_cursor: NextCursor


class Line(Model):
    """Something about a line of a rule file."""

    line: int
    message: str

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls(line=finding.line, message=finding.message)


class ImportedRule(Model):
    id: str
    name: str
    group: str
    kind: RuleKind
    verdict: str = Field(description="created, changed or unchanged", examples=["created"])


class Import(Model):
    """What an import did, or would do."""

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    rules: list[ImportedRule]
    warnings: list[Line]
