"""Prometheus rule files: read, judged line by line, written, and taken by Prometheus' own tool."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.rules import files
from vigie_alerting.rules.exporting import written
from vigie_alerting.rules.shipped import shipped
from vigie_contracts.alerts import Channel, Condition, Level, Rule, RuleKind, Severity

OUR_OWN = Path(__file__).parents[4] / "deploy" / "prometheus" / "rules.yml"
SEED = """
groups:
  - name: custom.rules
    rules:
      - alert: CustomHighLatency
        expr: histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m])) > 2
        for: 5m
        labels:
          severity: warning
        annotations:
          summary: "High latency detected"
"""
"""The example of the replaced metrics service."""
FULL = """
groups:
  - name: a
    interval: 30s
    limit: 10
    labels: {team: web}
    rules:
      - record: job:r:rate5m
        expr: sum by (job) (rate(r_total[5m]))
      - alert: A
        expr: |
          job:r:rate5m
            > 5
        for: 1h30m
        keep_firing_for: 2m
        labels: {severity: critical, team: "{{ $labels.job }}"}
        annotations:
          summary: "{{ $labels.job }} at {{ $value | humanize }}"
      - alert: A
        expr: job:r:rate5m > 2
        annotations: {summary: s}
        labels: {severity: page}
  - name: empty
    rules: []
"""


def test_the_replaced_services_file_is_read() -> None:
    (rule,), findings = files.read(SEED, "default")
    assert (rule.name, rule.kind, rule.for_ms, rule.group) == (
        "CustomHighLatency",
        "expression",
        300_000,
        "custom.rules",
    )
    assert (rule.severity, rule.labels, rule.annotations) == (
        "warning",
        {"severity": "warning"},
        {"summary": "High latency detected"},
    )
    assert findings == []


def test_all_that_a_file_can_say_is_read() -> None:
    rules, findings = files.read(FULL, "t")
    record, first, second = rules
    assert (record.kind, record.record, record.labels, record.interval_ms) == (
        "recording",
        "job:r:rate5m",
        {"team": "web"},
        30_000,
    )
    assert (first.for_ms, first.keep_firing_for_ms, first.limit) == (5_400_000, 120_000, 10)
    assert (first.severity, first.labels["team"]) == ("critical", "{{ $labels.job }}")
    assert (second.severity, second.labels) == ("warning", {"team": "web", "severity": "page"})
    assert [str(finding) for finding in findings] == [
        "line 22: warning: labels.severity: page is no severity of Vigie: counts as warning"
    ]


def test_a_file_that_is_imported_again_gives_the_same_rules() -> None:
    first, again = files.read(FULL, "t")[0], files.read(FULL.replace("> 5", "> 6"), "t")[0]
    assert [rule.id for rule in first] == [rule.id for rule in again]
    assert len({rule.id for rule in (*first, *files.read(FULL, "other")[0])}) == 6


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("", ["line 1: a rule file has a list `groups`"]),
        ("groups: [", ["line 1: is no YAML: expected the node content, but found '<stream end>'"]),
        ("groups: []\nrules: 1", ["line 2: rules is not a field of a rule file"]),
        ("groups:\n- rules: []", ["line 2: a group needs a name"]),
        ("groups:\n- name: a\n  rules: []\n- name: a\n  rules: []", ["line 4: there is a group a already"]),
        ("groups:\n- name: a\n  name: b\n  rules: []", ["line 3: name is there twice"]),
        (
            "groups:\n- name: a\n  query_offset: 1m\n  rules: []",
            ["line 3: query_offset is not supported: Vigie evaluates when data arrives, and needs no offset"],
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: x\n    expr: a > > 1\n    annotations: {summary: s}",
            ["line 5: expr: unexpected <op:>> at character 5"],
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: x\n    expr: a > 1\n    for: 5\n    foo: 1",
            [
                "line 6: for: '5' is no duration: write one such as 30s, 5m or 1h30m",
                "line 7: foo is not a field of a rule",
            ],
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: x\n    expr: a > 1\n    annotations:\n      summary: s\n"
            "      b: '{{ $x }}'",
            ["line 8: annotations.b: $x is unknown: there are $labels, $value and $externalLabels in {{ $x }}"],
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: x\n    record: y\n    expr: a",
            ["line 4: a rule has either alert or record"],
        ),
        ("groups:\n- name: a\n  rules:\n  - alert: x", ["line 4: a rule needs an expr"]),
        (
            "groups:\n- name: a\n  rules:\n  - record: y\n    expr: a\n    for: 1m",
            ["line 6: for: a recording rule has no for: it gives no alert"],
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: x\n    expr: a",
            [
                "line 4: warning: annotations: there is no summary: whoever is paged reads an expression",
                "line 5: warning: expr: compares nothing: it fires for every series that it gives: add > 0, say",
            ],
        ),
        ("groups:\n- name: a\n  limit: -1\n  rules: []", ["line 3: limit must be a whole number, not negative"]),
    ],
)
def test_each_mistake_has_its_line(text: str, findings: list[str]) -> None:
    assert [str(finding) for finding in files.lint(text)] == findings
    if any(finding.error for finding in files.lint(text)):
        with pytest.raises(files.InvalidRuleFileError):
            files.read(text, "default")


def test_a_small_file_that_stands_for_a_huge_one_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    assert "too many parts" in str(files.lint(bomb)[0])
    assert "nested too deeply" in str(files.lint("groups: " + "[" * 5_000)[0])


def test_what_a_file_cannot_say_is_told() -> None:
    rule = Rule(
        id="r",
        tenant="t",
        name="cpu",
        metric_name="cpu",
        condition=Condition.GREATER,
        threshold=70.0,
        recovery_threshold=60.0,
        levels=[Level(90.0, Severity.CRITICAL)],
        notification_channels=[Channel("slack", "#a")],
        annotations={
            "summary": "{{ labels.host | upper }} {{ value | round(1) }}",
            "b": "{% if value > 1 %}x{% endif %}",
        },
        runbook="https://x.example",
    )
    text, lost = written([rule])
    assert [one.field for one in lost if "annotations" not in one.field] == [
        "cpu: recoveryThreshold",
        "cpu: notificationChannels",
    ]
    first, second = yaml.safe_load(text)["groups"][0]["rules"]
    assert (first["expr"], first["labels"]) == ("cpu > 70", {"severity": "warning"})
    assert (second["expr"], second["labels"]) == ("cpu > 90", {"severity": "critical"})
    assert first["annotations"] == {
        "summary": '{{ $labels.host | toUpper }} {{ $value | printf "%.1f" }}',
        "b": "{ % if value > 1 %}x{ % endif %}",
        "runbook_url": "https://x.example",
    }
    assert files.lint(text) == []


NAMES = st.text("abcXYZ_09", min_size=1, max_size=8).map(lambda name: "n" + name)
TEXTS = st.sampled_from(
    [
        "plain",
        "{{ $labels.host }}",
        "{{ $value | humanize }}",
        "é: 'x' \"y\" # z",
        "a\nb\n",
        "  padded  ",
        "1",
        "true",
        "{b}",
    ]
)
ALERTS = st.fixed_dictionaries(
    {
        "alert": NAMES,
        "expr": st.sampled_from(
            ["a > 1", "sum by (x) (rate(a[5m])) / 2 >= 0.5", 'absent(up{job="x"})', "a\n  > 1 # why\n"]
        ),
        "annotations": st.dictionaries(NAMES, TEXTS, max_size=3),
    },
    optional={
        "for": st.sampled_from(["0s", "30s", "1m30s", "1d2h"]),
        "keep_firing_for": st.sampled_from(["5m"]),
        "labels": st.dictionaries(NAMES, TEXTS, max_size=2),
    },
)
RECORDS = st.fixed_dictionaries({"record": NAMES, "expr": st.sampled_from(["sum(a)", "a / b"])})
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "rules": st.lists(ALERTS | RECORDS, min_size=1, max_size=4)},
        optional={"interval": st.sampled_from(["15s", "2m"]), "limit": st.integers(1, 9)},
    ),
    max_size=3,
    unique_by=lambda group: group["name"],
)


@settings(max_examples=60, deadline=None)
@given(GROUPS)
def test_what_is_written_is_what_was_read(groups: list[dict[str, Any]]) -> None:
    rules, _ = files.read(yaml.safe_dump({"groups": groups}), "t")
    text, lost = written(rules)
    assert lost == []
    assert files.read(text, "t")[0] == rules
    assert written(files.read(text, "t")[0])[0] == text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_what_only_vigie_evaluates_is_left_out_and_told() -> None:
    def rule(text: str) -> Rule:
        return Rule(id="r", tenant="t", name="odd", kind=RuleKind.EXPRESSION, expression=text)

    text, lost = written([rule("abs(zscore_over_time(x[1h])) > 3"), rule('x{zscore_over_time="1"} > 3')])
    assert [one["expr"] for one in yaml.safe_load(text)["groups"][0]["rules"]] == ['x{zscore_over_time="1"} > 3']
    assert [str(one) for one in lost] == ["odd: uses zscore_over_time, which Prometheus does not have: it was left out"]


def test_prometheus_takes_what_is_written(tmp_path: Path) -> None:
    more = [
        Rule(
            id="a",
            tenant="t",
            name="Gone",
            kind=RuleKind.ABSENCE,
            metric_name="up",
            expected=[{"host": "a"}, {"host": "b"}],
        ),
        *files.read(FULL.replace("    labels: {team: web}\n", ""), "t")[0],
        *files.read(SEED, "t")[0],
    ]
    path = tmp_path / "rules.yml"
    path.write_text(written([*shipped("t"), *more])[0], encoding="utf-8")
    answer = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "21 rules found" in answer.stdout


def test_vigie_s_own_rules_for_prometheus_are_without_a_finding() -> None:
    assert files.lint(OUR_OWN.read_text(encoding="utf-8")) == []
