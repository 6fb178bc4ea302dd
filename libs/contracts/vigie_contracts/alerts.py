"""Alert messages, JSON: a Rule on `vigie.rules.v1`, a Transition on `vigie.alerts.v1`.

A *rule* watches; an *alert* is one firing instance of it, a label set; an *episode* is one life of an alert, from the
first pending to resolved; a *transition* is one step of an episode. Durations and times are milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Severity(StrEnum):
    """How bad it is, from least to worst."""

    INFO = "info"
    LOW = "low"
    WARNING = "warning"
    MEDIUM = "medium"
    HIGH = "high"
    ERROR = "error"
    CRITICAL = "critical"


class AlertState(StrEnum):
    PENDING = "pending"
    """The condition holds, but not yet for as long as the rule asks."""
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    """Firing, and somebody has it."""
    RESOLVED = "resolved"
    """It fired, and is over."""
    INACTIVE = "inactive"
    """It did not come to firing: nobody was told, and nobody is."""


class RuleKind(StrEnum):
    """What a rule computes. All but `expression` and `recording` are simple forms, which compile to PromQL."""

    THRESHOLD = "threshold"
    """The newest value of each series."""
    RATE = "rate"
    """How much a counter grew per second over the window."""
    RATIO = "ratio"
    """The growth of one counter divided by that of another: errors by requests."""
    PERCENTILE = "percentile"
    """A percentile of a histogram over the window."""
    ABSENCE = "absence"
    """That an expected series has no sample in the window."""
    EXPRESSION = "expression"
    """PromQL as written: whatever series it gives, fire."""
    RECORDING = "recording"
    """PromQL whose result is a metric of its own, and no alert."""


class Condition(StrEnum):
    """How a value is compared with a threshold."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    EQUAL = "=="
    DIFFERENT = "!="


class NoData(StrEnum):
    """What a series without a new value means for the alert on it."""

    OK = "ok"
    """The condition does not hold any more, as in Prometheus."""
    KEEP = "keep"
    """Nothing is known: the alert stays what it is."""
    ALERT = "alert"
    """The silence is itself a reason to fire."""


class Reason(StrEnum):
    """Why a transition happened: the same value in record, log, metric label, history and message."""

    CONDITION_MET = "condition_met"
    """The condition holds; the rule's `for` begins."""
    HELD = "held"
    """The condition held for as long as the rule asks: fires."""
    NOT_HELD = "not_held"
    """The condition stopped before the rule's `for` was over: nobody was told."""
    RECOVERED = "recovered"
    """The condition holds no more, nor the recovery threshold and `keep_firing_for`."""
    NO_DATA = "no_data"
    """Values stopped coming, and the rule says what that means."""
    SEVERITY_CHANGED = "severity_changed"
    CONTINUED = "continued"
    """Firing again within the deduplication window: the same episode goes on."""
    FLAPPING = "flapping"
    """It changed too often: it stays firing until it is calm."""
    CALMED = "calmed"
    """It changed too often and has been calm for long enough."""
    AMENDED = "amended"
    """Late data took back the reason of the alert."""
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    RESOLVED_BY_HAND = "resolved_by_hand"
    EXPIRED = "expired"
    """Whoever sent the alert did not send it again in time."""
    RULE_CHANGED = "rule_changed"
    """The rule was changed so that the alert is none of its alerts any more."""
    RULE_REMOVED = "rule_removed"
    """The rule was removed or switched off."""
    HAND_OVER = "hand_over"
    """Nothing is wrong: somebody comes on call, and is told so."""
    UNKNOWN = "unknown"
    """Written by another version of Vigie."""

    @classmethod
    def _missing_(cls, value: object) -> Reason:
        return cls.UNKNOWN


class Channel(msgspec.Struct, omit_defaults=True, frozen=True):
    """Where a notification goes: `type` is `slack`, `email`, `webhook`, ..."""

    type: str
    destination: str = ""


class Level(msgspec.Struct, frozen=True):
    """A further threshold with a severity of its own: at 70 a warning, at 90 critical."""

    threshold: float
    severity: Severity


DEFAULT_WINDOW_MS: Final = 300_000


class Rule(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What to watch. The simple form is the replaced metrics service's: `metricName`, `condition`, `threshold`."""

    id: str
    tenant: str
    name: str
    severity: Severity = Severity.WARNING
    kind: RuleKind = RuleKind.THRESHOLD
    enabled: bool = True

    # The simple forms.
    metric_name: str = ""
    matchers: list[str] = []
    """Which series of the metric: `label=value`, `!=`, `=~`, `!~`, as everywhere in Vigie."""
    condition: Condition | None = None
    threshold: float | None = None
    levels: list[Level] = []
    """Further thresholds; the worst severity that is reached counts."""
    window_ms: int = DEFAULT_WINDOW_MS
    """Over which a rate, ratio or percentile is taken, or for which an absent series has no sample."""
    by: list[str] = []
    """Labels to group by: one alert per group. Empty: of a rate, one per series; of a ratio or percentile, one."""
    percentile: float | None = None
    """Between 0 and 100, exclusive."""
    of_metric_name: str = ""
    """What a ratio is divided by; empty: the same metric, without `matchers`."""
    of_matchers: list[str] = []
    expected: list[dict[str, str]] = []
    """Label sets that must have samples: an absence rule gives one alert for each that has not."""

    # The full forms.
    expression: str = ""
    record: str = ""
    """The metric name that a recording rule writes."""

    for_ms: int = 0
    """How long the condition must hold before the alert fires."""
    keep_firing_for_ms: int = 0
    """How long it goes on firing after the condition held last."""
    recovery_threshold: float | None = None
    """Fires at `threshold`, recovers only beyond this one."""
    no_data: NoData = NoData.OK
    labels: dict[str, str] = {}
    """Added to the labels of the alert; templates."""
    annotations: dict[str, str] = {}
    """Templates."""
    interval_ms: int = 0
    """The longest time between two evaluations; 0: the service's own."""
    group: str = ""
    limit: int = 0
    """The most alerts that the rule may have; 0: the service's own."""
    owner: str = ""
    runbook: str = ""
    """A link."""
    notification_channels: list[Channel] = []
    managed_by: str = ""
    """What makes and changes it: `slo/<name>`; empty: people do."""

    version: int = 1
    """Of the rule; each change adds 1."""
    created_at: int | None = None
    created_by: str = ""
    updated_at: int | None = None
    updated_by: str = ""


class Transition(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One step in the life of an alert, with all that a message about it needs."""

    id: str = ""
    """Episode and sequence: the same observations give the same ids."""
    fingerprint: str
    """Hash of tenant, rule and the labels of its series, 16 hex digits: the alert, and the key of the record."""
    tenant: str
    rule_id: str
    rule_name: str = ""
    rule_version: int = 1
    episode: str = ""
    """Fingerprint and start."""
    sequence: int = 0
    """Of the transition in its episode, from 1."""
    from_state: AlertState | None
    to_state: AlertState
    timestamp: int
    reason: str
    """A value of `Reason`; `Reason(transition.reason)` is UNKNOWN for one that only another version writes."""
    detail: str = ""
    """The reason as a sentence, with its numbers."""
    severity: Severity = Severity.WARNING
    previous_severity: Severity | None = None
    """When it changed."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    """Rendered."""
    value: float | None = None
    expression: str = ""
    """PromQL of the rule, compiled from the simple form where it has one."""
    starts_at: int | None = None
    """When the condition of this episode began to hold."""
    ends_at: int | None = None
    """When it was resolved."""
    actor: str = ""
    """Who acknowledged it, took that back, or resolved it by hand."""
    note: str = ""
    acknowledged_by: str = ""
    """Who has the alert, whatever the step was."""
    acknowledged_at: int | None = None
    acknowledged_until: int | None = None
    """When the acknowledgement expires."""
    channels: list[Channel] = []
    """Those of the rule."""
    runbook: str = ""
    owner: str = ""
    traceparent: str = ""
    """W3C trace context of the sample that made it happen."""
    version: int = 1
    """Of this message's form."""


def transition_id(fingerprint: str, starts_at: int, sequence: int) -> str:
    """The id of a transition: of the alert's episode that began then, the one with this sequence."""
    return f"{fingerprint}-{starts_at}-{sequence}"
