"""The rules that everybody has: as the replaced systems had them, right, and true to their documentation."""

from pathlib import Path

import pytest
from vigie_alerting import templates
from vigie_alerting.rules.checking import checked
from vigie_alerting.rules.shipped import of_installation, shipped
from vigie_contracts.alerts import NoData, Rule
from vigie_query.promql.labels import labels_of
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import Vector

RULES = shipped("default")
NOW = 1_790_000_000_000
DOCS = Path(__file__).parents[4] / "docs" / "alerting.md"


@pytest.mark.parametrize("rule", [*RULES, *of_installation("default")], ids=lambda rule: rule.id)
def test_a_shipped_rule_is_right_without_a_warning(rule: Rule) -> None:
    made, warnings = checked(rule)
    assert warnings == []
    assert rule.enabled
    assert rule.annotations["summary"]
    labels = dict.fromkeys(("host", "service", "site", "target"), "x")
    for text in templates.render_all(rule.annotations, labels, 0.123).values():
        assert "template" not in text
    assert f"`{made.text}`" in DOCS.read_text(encoding="utf-8")


def test_they_are_the_six_of_the_metrics_service_the_five_types_of_supervision_and_two_on_health() -> None:
    names = [rule.name for rule in RULES]
    assert names[:-2] == [
        *("HighCpuUsage", "LowMemory", "HighErrorRate", "HighLatency", "ServiceUnavailable", "LowDiskSpace"),
        *("cpu_high", "memory_high", "disk_high", "service_down", "site_down"),
    ]
    assert names[-2:] == ["CertificateExpiring", "TargetSlow"]
    assert len({rule.id for rule in (*RULES, *shipped("acme"))}) == 26, "ids are unique over all tenants"
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
        *(("ServiceUnavailable", value, severity) for value, severity in ((1, None), (2, None), (0, "critical"))),
        *(("CertificateExpiring", value, severity) for value, severity in ((14, None), (13, "warning"))),
        *(("TargetSlow", value, severity) for value, severity in ((2, None), (2.1, "medium"))),
        *(("service_down", value, severity) for value, severity in ((1, None), (0, "error"))),
        *(("site_down", value, severity) for value, severity in ((1, None), (0, "critical"))),
    ],
)
def test_thresholds_and_severities(name: str, value: float, severity: str | None) -> None:
    made, _ = checked(next(rule for rule in RULES if rule.name == name))
    seen = made.observe((), float(value))
    assert (seen.severity if seen.active else None) == severity


def _health(**values: float) -> MemoryReader:
    """The newest values of a target, by metric; and of another one that is well."""
    series = {labels_of({"__name__": name, "target": "shop"}): [(NOW, value)] for name, value in values.items()}
    for name, value in (("target_up", 1.0), ("target_muted", 0.0), ("probe_duration_seconds", 0.1)):
        series[labels_of({"__name__": name, "target": "well"})] = [(NOW, value)]
    return MemoryReader.of(series)


@pytest.mark.parametrize(
    ("name", "values", "fires"),
    [
        ("ServiceUnavailable", {"target_up": 0.0, "target_muted": 0.0}, True),
        ("ServiceUnavailable", {"target_up": 0.0, "target_muted": 1.0}, False),
        ("ServiceUnavailable", {"target_up": 1.0, "target_muted": 1.0}, False),
        ("ServiceUnavailable", {"target_muted": 0.0}, None),
        ("TargetSlow", {"target_up": 1.0, "target_muted": 0.0, "probe_duration_seconds": 3.0}, True),
        ("TargetSlow", {"target_up": 1.0, "target_muted": 1.0, "probe_duration_seconds": 3.0}, None),
        ("TargetSlow", {"target_up": 0.0, "target_muted": 0.0, "probe_duration_seconds": 5.0}, None),
        ("TargetSlow", {"target_up": 0.0, "target_muted": 1.0, "probe_duration_seconds": 5.0}, None),
        ("CertificateExpiring", {"probe_ssl_earliest_cert_expiry": NOW / 1000 + 13 * 86_400}, True),
        ("CertificateExpiring", {"probe_ssl_earliest_cert_expiry": NOW / 1000 + 15 * 86_400}, False),
    ],
)
async def test_what_fires_on_health_checks(name: str, values: dict[str, float], fires: bool | None) -> None:
    """None: the rule has no value for the target."""
    made, _ = checked(next(rule for rule in RULES if rule.name == name))
    found = await answer(_health(**values), Query(made.text, made.value, NOW, NOW, 0))
    assert isinstance(found.value, Vector)
    of_shop = [
        made.observe(labels, float(found.value.values[row, 0])).active
        for row, labels in enumerate(found.value.labels)
        if ("target", "shop") in labels and found.value.present[row, 0]
    ]
    assert of_shop == ([] if fires is None else [fires])


def test_an_unknown_target_does_not_end_its_alert() -> None:
    made, _ = checked(next(rule for rule in RULES if rule.name == "ServiceUnavailable"))
    assert made.rule.no_data is NoData.KEEP
    assert made.compares


@pytest.mark.parametrize(
    ("ago_ms", "took_s", "told"), [(30_000, 1.2, False), (30_000, 11.0, True), (200_000, 1.2, True)]
)
async def test_alerts_that_are_told_late_or_not_at_all_are_told(ago_ms: int, took_s: float, told: bool) -> None:
    """Both with the same labels, so that it is one alert."""
    [rule] = of_installation("default")
    made, _ = checked(rule)
    reader = MemoryReader.of({labels_of({"__name__": "vigie_alerting_canary_seconds"}): [(NOW - ago_ms, took_s)]})
    found = (await answer(reader, Query(made.text, made.expression, NOW, NOW))).value
    assert isinstance(found, Vector)
    assert list(found.labels) == ([()] if told else [])
