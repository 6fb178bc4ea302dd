"""The rules that every tenant has from the start: on, and changed like any other.

The six of the replaced metrics service, the five types of server supervision, and two more on health checks, over the
names of `vigie_contracts.names`. Their texts are Jinja templates.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from vigie_contracts import names
from vigie_contracts.alerts import Condition, Level, NoData, Rule, RuleKind, Severity

CANARY_TOOK: Final = "vigie_alerting_canary_seconds"
"""gauge without labels: how long the alert of each minute took that tests alerting itself."""
BY: Final = "vigie"
"""Who made them."""
_M: Final = 60_000
_UP: Final = Condition.GREATER
_WHOLE_HOST: Final = ["core="]


def shipped(tenant: str) -> list[Rule]:
    """The rules of a new tenant. No two tenants have a rule of one id: the key of its record is nothing else."""
    return _of(tenant, (*_METRICS_SERVICE, *_SUPERVISION, *_HEALTH))


def of_installation(tenant: str) -> list[Rule]:
    """Those about Vigie itself, of the one tenant that belongs to whoever runs it."""
    return _of(tenant, _VIGIE)


def _of(tenant: str, every: Iterable[dict[str, Any]]) -> list[Rule]:
    mark = blake2b(tenant.encode(), digest_size=5, person=b"vigie-shipped-v1").hexdigest()
    return [
        Rule(tenant=tenant, created_by=BY, updated_by=BY, **{**fields, "id": f"{fields['id']}-{mark}"})
        for fields in every
    ]


def _text(summary: str, description: str = "") -> dict[str, str]:
    return {"summary": summary, **({"description": description} if description else {})}


_METRICS_SERVICE: Final[list[dict[str, Any]]] = [
    {
        "id": "vigie-high-cpu-usage",
        "name": "HighCpuUsage",
        "group": "metrics-service",
        "severity": Severity.HIGH,
        "metric_name": names.CPU_USAGE,
        "matchers": _WHOLE_HOST,
        "condition": _UP,
        "threshold": 80.0,
        "recovery_threshold": 75.0,
        "for_ms": 5 * _M,
        "annotations": _text("CPU of {{ labels.host }} at {{ value | round(1) }} %", "Above 80 % for 5 minutes."),
    },
    {
        "id": "vigie-low-memory",
        "name": "LowMemory",
        "group": "metrics-service",
        "severity": Severity.HIGH,
        "metric_name": names.MEMORY_USAGE,
        "condition": _UP,
        "threshold": 90.0,
        "recovery_threshold": 85.0,
        "for_ms": 2 * _M,
        "annotations": _text(
            "{{ value | round(1) }} % of the memory of {{ labels.host }} is in use", "Less than 10 % is available."
        ),
    },
    {
        "id": "vigie-high-error-rate",
        "name": "HighErrorRate",
        "group": "metrics-service",
        "severity": Severity.HIGH,
        "kind": RuleKind.RATIO,
        "metric_name": names.HTTP_REQUESTS,
        "matchers": ["status=~5.."],
        "by": ["service"],
        "condition": _UP,
        "threshold": 0.05,
        "recovery_threshold": 0.04,
        "for_ms": _M,
        "annotations": _text(
            "{{ value | humanizePercentage }} of the requests to {{ labels.service }} fail",
            "More than 5 % were answered with a status of 5xx in the last 5 minutes.",
        ),
    },
    {
        "id": "vigie-high-latency",
        "name": "HighLatency",
        "group": "metrics-service",
        "severity": Severity.MEDIUM,
        "kind": RuleKind.PERCENTILE,
        "metric_name": names.HTTP_DURATION,
        "percentile": 95.0,
        "by": ["service"],
        "condition": _UP,
        "threshold": 1.0,
        "recovery_threshold": 0.8,
        "for_ms": _M,
        "annotations": _text(
            "One in twenty requests to {{ labels.service }} takes {{ value | humanizeDuration }} or more",
            "The 95th percentile of the last 5 minutes is above 1 s.",
        ),
    },
    {
        "id": "vigie-service-unavailable",
        "name": "ServiceUnavailable",
        "group": "metrics-service",
        "severity": Severity.CRITICAL,
        "kind": RuleKind.EXPRESSION,
        # 0 where it is down and not muted. A sum, so that a value is there to say that it is over: no value means that
        # nobody checks it, and then nothing is known.
        "expression": f"{names.TARGET_UP} + {names.TARGET_MUTED} == 0",
        "no_data": NoData.KEEP,
        # The two series of a target may arrive one after the other.
        "for_ms": 2_000,
        "annotations": _text(
            "{{ labels.target }} is down", "Its health checks failed as often as its failure threshold says."
        ),
    },
    {
        "id": "vigie-low-disk-space",
        "name": "LowDiskSpace",
        "group": "metrics-service",
        "severity": Severity.HIGH,
        "metric_name": names.DISK_USAGE,
        "condition": _UP,
        "threshold": 90.0,
        "recovery_threshold": 88.0,
        "for_ms": 5 * _M,
        "annotations": _text(
            "{{ value | round(1) }} % of the disk of {{ labels.host }} is in use", "Less than 10 % is free."
        ),
    },
]


def _usage(type_: str, what: str, metric: str, warning: float, critical: float, **more: Any) -> dict[str, Any]:
    return {
        "id": f"vigie-{type_.replace('_', '-')}",
        "name": type_,
        "group": "server-supervision",
        "severity": Severity.WARNING,
        "metric_name": metric,
        "condition": _UP,
        "threshold": warning,
        "levels": [Level(critical, Severity.CRITICAL)],
        "for_ms": _M,
        "annotations": _text(f"{what} of {{{{ labels.host }}}} at {{{{ value | round(1) }}}} %"),
        **more,
    }


_SUPERVISION: Final[list[dict[str, Any]]] = [
    _usage("cpu_high", "CPU", names.CPU_USAGE, 70.0, 90.0, matchers=_WHOLE_HOST),
    _usage("memory_high", "Memory", names.MEMORY_USAGE, 75.0, 90.0),
    _usage("disk_high", "Disk", names.DISK_USAGE, 80.0, 95.0),
    {
        "id": "vigie-service-down",
        "name": "service_down",
        "group": "server-supervision",
        "severity": Severity.ERROR,
        "metric_name": names.SERVICE_UP,
        "condition": Condition.EQUAL,
        "threshold": 0.0,
        "annotations": _text("{{ labels.service }} on {{ labels.host }} is stopped"),
    },
    {
        "id": "vigie-site-down",
        "name": "site_down",
        "group": "server-supervision",
        "severity": Severity.CRITICAL,
        "kind": RuleKind.EXPRESSION,
        "expression": f'max by (host, site) ({names.SERVICE_UP}{{site!=""}}) == 0',
        "annotations": _text("All services of {{ labels.site }} are stopped"),
    },
]

_HEALTH: Final[list[dict[str, Any]]] = [
    {
        "id": "vigie-certificate-expiring",
        "name": "CertificateExpiring",
        "group": "health",
        "severity": Severity.WARNING,
        "kind": RuleKind.EXPRESSION,
        "expression": f"({names.CERTIFICATE_EXPIRY} - time()) / 86400 < 14",
        "recovery_threshold": 15.0,
        "annotations": _text("The certificate of {{ labels.target }} ends in {{ value | round(1) }} days"),
    },
    {
        "id": "vigie-target-slow",
        "name": "TargetSlow",
        "group": "health",
        "severity": Severity.MEDIUM,
        "kind": RuleKind.EXPRESSION,
        "expression": f"(avg_over_time({names.PROBE_DURATION}[5m])"
        f" and {names.TARGET_UP} - {names.TARGET_MUTED} == 1) > 2",
        "recovery_threshold": 1.5,
        "for_ms": 5 * _M,
        "annotations": _text(
            "{{ labels.target }} takes {{ value | humanizeDuration }} to answer",
            "Its health checks took more than 2 s on average for 5 minutes.",
        ),
    },
]

_VIGIE: Final[list[dict[str, Any]]] = [
    {
        "id": "vigie-alerts-late",
        "name": "AlertsLate",
        "group": "vigie",
        "severity": Severity.CRITICAL,
        "kind": RuleKind.EXPRESSION,
        "expression": f"max(last_over_time({CANARY_TOOK}[3m])) > 10 or absent_over_time({CANARY_TOOK}[3m])",
        "for_ms": 2 * _M,
        "annotations": _text(
            "Alerts are told late, or not at all",
            "The alert of each minute that tests the way from the ledger to the notifiers took more than 10 s, or is "
            "missing.",
        ),
    },
]
