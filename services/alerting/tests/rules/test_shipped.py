"""The rules that everybody has: as the replaced systems had them, right, and true to their documentation."""

from pathlib import Path

import pytest
from vigie_alerting import templates
from vigie_alerting.rules.checking import checked
from vigie_alerting.rules.shipped import shipped
from vigie_contracts.alerts import Rule

RULES = shipped("default")
DOCS = Path(__file__).parents[4] / "docs" / "alerting.md"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_shipped_rule_is_right_without_a_warning(rule: Rule) -> None:
    made, warnings = checked(rule)
    assert warnings == []
    assert rule.enabled
    assert rule.annotations["summary"]
    labels = dict.fromkeys(("host", "service", "site", "target"), "x")
    for text in templates.render_all(rule.annotations, labels, 0.123).values():
        assert "template" not in text
    assert f"`{made.text}`" in DOCS.read_text(encoding="utf-8")


def test_they_are_the_six_of_the_metrics_service_and_the_five_types_of_supervision() -> None:
    names = [rule.name for rule in RULES]
    assert names == [
        *("HighCpuUsage", "LowMemory", "HighErrorRate", "HighLatency", "ServiceUnavailable", "LowDiskSpace"),
        *("cpu_high", "memory_high", "disk_high", "service_down", "site_down"),
    ]
    assert len({rule.id for rule in (*RULES, *shipped("acme"))}) == 22, "ids are unique over all tenants"
    assert shipped("default") == RULES


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        *(("cpu_high", value, severity) for value, severity in ((70, None), (71, "warning"), (91, "critical"))),
        *(("memory_high", value, severity) for value, severity in ((75, None), (76, "warning"), (91, "critical"))),
        *(("disk_high", value, severity) for value, severity in ((80, None), (81, "warning"), (96, "critical"))),
        *(("HighCpuUsage", value, severity) for value, severity in ((80, None), (81, "high"))),
        *(("LowMemory", value, severity) for value, severity in ((90, None), (91, "high"))),
        *(("HighErrorRate", value, severity) for value, severity in ((0.05, None), (0.06, "high"))),
        *(("HighLatency", value, severity) for value, severity in ((1, None), (1.1, "medium"))),
        *(("LowDiskSpace", value, severity) for value, severity in ((90, None), (91, "high"))),
        *(("ServiceUnavailable", value, severity) for value, severity in ((1, None), (0, "critical"))),
        *(("service_down", value, severity) for value, severity in ((1, None), (0, "error"))),
        *(("site_down", value, severity) for value, severity in ((1, None), (0, "critical"))),
    ],
)
def test_thresholds_and_severities(name: str, value: float, severity: str | None) -> None:
    made, _ = checked(next(rule for rule in RULES if rule.name == name))
    seen = made.observe((), float(value))
    assert (seen.severity if seen.active else None) == severity
