"""Rules as users send them: the replaced service's form as printed, full rules, and a sentence for each mistake."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.rules.reading import MAX_BODY_BYTES, read
from vigie_contracts.alerts import Channel, NoData, RuleKind
from vigie_contracts.payloads import payloads
from vigie_contracts.topics import RULES

SEED = b"""{
    "name": "High Error Rate",
    "metricName": "http_requests_total",
    "condition": ">",
    "threshold": 0.05,
    "severity": "high",
    "notificationChannels": [
      {
        "type": "slack",
        "destination": "#alerts"
      }
    ]
  }"""
"""What the documentation of the replaced metrics service sends with curl."""
SIMPLE = json.loads(SEED)


def taken(body: bytes | dict[str, Any], **more: Any) -> tuple[CompiledRule, list[RuleProblem]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(data, **{"tenant": "default", "rule_id": "r1", "by": "ana", "now_ms": 1_000, **more})


def refused(body: bytes | dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidRuleError) as error:
        taken(body)
    return {problem.field: str(problem).removeprefix(f"{problem.field}: ") for problem in error.value.problems}


def test_the_replaced_services_rule_is_taken_as_its_curl_sends_it() -> None:
    made, warnings = taken(SEED)
    assert made.text == "http_requests_total > 0.05"
    assert (made.rule.name, made.rule.severity) == ("High Error Rate", "high")
    assert made.rule.notification_channels == [Channel("slack", "#alerts")]
    assert (made.rule.version, made.rule.created_by, made.rule.created_at) == (1, "ana", 1_000)
    assert [warning.field for warning in warnings] == ["metricName"], "a counter only grows"


@pytest.mark.parametrize(
    ("rule", "text"),
    [({"condition": c, "threshold": 1} | {"metricName": "m"}, f"m {c} 1") for c in (">", ">=", "<", "<=", "==", "!=")]
    + [
        (
            {"metricName": "cpu", "matchers": ['host="a\\"b"', "core="], "condition": ">", "threshold": 1e9},
            'cpu{host="a\\"b", core=""} > 1e+09',
        ),
        (
            {"kind": "rate", "metricName": "my.requests_total", "window": "1m", "condition": "<", "threshold": 1e-7},
            'rate({__name__="my.requests_total"}[1m]) < 1e-07',
        ),
        (
            {"kind": "rate", "metricName": "r_total", "by": ["a", "b"], "condition": ">", "threshold": -5},
            "sum by (a, b) (rate(r_total[5m])) > -5",
        ),
        (
            {"kind": "ratio", "metricName": "r", "matchers": ["s=~5.."], "condition": ">", "threshold": 0.05},
            'sum (rate(r{s=~"5.."}[5m])) / sum (rate(r[5m])) > 0.05',
        ),
        (
            {"kind": "ratio", "metricName": "e", "ofMetricName": "r", "by": ["s"], "condition": ">", "threshold": 0.5},
            "sum by (s) (rate(e[5m])) / sum by (s) (rate(r[5m])) > 0.5",
        ),
        (
            {"kind": "percentile", "metricName": "d", "percentile": 99.9, "condition": ">=", "threshold": 2},
            "histogram_quantile(0.999, sum by (le) (rate(d_bucket[5m]))) >= 2",
        ),
        ({"kind": "absence", "metricName": "up", "window": "90s"}, "absent_over_time(up[90s])"),
        (
            {"kind": "absence", "metricName": "up", "expected": [{"host": "a"}, {"host": "b"}]},
            'absent_over_time(up{host="a"}[5m]) or absent_over_time(up{host="b"}[5m])',
        ),
    ],
)
def test_simple_forms_become_promql(rule: dict[str, Any], text: str) -> None:
    assert taken({"name": "n", **rule})[0].text == text


def test_a_full_rule() -> None:
    made, warnings = taken(
        {
            "name": "cpu",
            "expression": "80 < avg by (host) (cpu)",
            "for": "1h30m",
            "keepFiringFor": "90s",
            "interval": "30s",
            "recoveryThreshold": 70,
            "noData": "alert",
            "labels": {"team": "x"},
            "annotations": {"summary": "{{ $labels.host }}"},
            "group": "g",
            "owner": "o",
            "runbook": "https://x.example/y",
            "enabled": False,
            "severity": "critical",
            "colour": "red",
        }
    )
    rule = made.rule
    assert (rule.kind, rule.for_ms, rule.keep_firing_for_ms, rule.interval_ms) == (
        "expression",
        5_400_000,
        90_000,
        30_000,
    )
    assert (rule.no_data, rule.enabled) == (NoData.ALERT, False)
    assert (made.condition, made.threshold) == (">", 80.0), "the sides are told apart"
    assert [str(warning) for warning in warnings] == ["colour: is not a field of a rule: it was ignored"]


def test_a_recording_rule() -> None:
    made, _ = taken({"name": "r", "record": "job:r:rate5m", "expression": "sum(rate(r[5m])) > 0"})
    assert (made.rule.kind, made.compares) == (RuleKind.RECORDING, False)


def test_what_was_answered_can_be_sent_back_and_is_the_next_version() -> None:
    first, _ = taken(SEED)
    answered = json.loads(
        json.dumps({**SIMPLE, "id": "other", "tenant": "other", "version": 9, "forMs": 60_000, "createdAt": 5})
    )
    second, warnings = taken(answered, previous=first.rule, by="ben", now_ms=2_000)
    rule = second.rule
    assert (rule.id, rule.tenant, rule.version, rule.for_ms) == ("r1", "default", 2, 60_000)
    assert (rule.created_at, rule.created_by, rule.updated_at, rule.updated_by) == (1_000, "ana", 2_000, "ben")
    assert [warning.field for warning in warnings] == ["metricName"]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (
            {"threshold": "80"},
            {"threshold": "must be a number, but is the text '80': write it without quotation marks"},
        ),
        ({"threshold": "high"}, {"threshold": "must be a number, but is the text 'high'"}),
        ({"threshold": True}, {"threshold": "must be a number, but is true"}),
        ({"threshold": None}, {"threshold": "is missing: the number that the value is compared with"}),
        ({"condition": "=>"}, {"condition": "must be one of > >= < <= == !=, but is the text '=>'"}),
        (
            {"severity": "bad"},
            {"severity": "must be one of info, low, warning, medium, high, error, critical, but is the text 'bad'"},
        ),
        ({"metricName": ""}, {"metricName": "is missing: which metric is watched?"}),
        (
            {"metricName": "a b"},
            {"metricName": "must start with a letter, '_' or ':' and hold only letters, digits and _ : . - /"},
        ),
        (
            {"matchers": ["host"]},
            {"matchers": "must be one of label=value, label!=value, label=~regex, label!~regex, without braces"},
        ),
        ({"name": " "}, {"name": "must not be empty"}),
        ({"name": "a\nb"}, {"name": "holds a line break or another control character"}),
        ({"for": "5"}, {"for": "'5' is no duration: write one such as 30s, 5m or 1h30m"}),
        ({"for": 5}, {"for": 'must be a duration in quotation marks, such as "5m", but is 5'}),
        ({"for": "1y"}, {"for": "must be between 0 and 30d"}),
        ({"for": "5m", "forMs": 1}, {"for": "is not the same as forMs: send one of them"}),
        ({"interval": "10ms"}, {"interval": "must be at least 1s"}),
        ({"by": ["host"]}, {"by": "a rule of kind threshold has no by"}),
        ({"kind": "percentile"}, {"percentile": "must be a number between 0 and 100, such as 95"}),
        ({"kind": "absence"}, {"threshold": "a rule of kind absence has no threshold"}),
        (
            {"levels": [{"threshold": 0.01, "severity": "critical"}]},
            {"levels[0].threshold": "must be harder to reach than the one before it"},
        ),
        (
            {"levels": [{"threshold": 1, "severity": "low"}]},
            {"levels[0].severity": "must be worse than high, which comes before it"},
        ),
        ({"recoveryThreshold": 1}, {"recoveryThreshold": "must be below the threshold, 0.05"}),
        ({"runbook": "javascript:alert(1)"}, {"runbook": "must be a link that begins with https:// or http://"}),
        (
            {"annotations": {"s": "{{ x }}"}},
            {"annotations.s": "x is unknown: there are labels, value, external_labels"},
        ),
        ({"labels": {"alertname": "x"}}, {"labels.alertname": "is reserved: the alert is named after its rule"}),
        ({"labels": {"a-b": "x"}}, {"labels.a-b": "the name must hold letters, digits and _, no digit first"}),
        (
            {"notificationChannels": [{"type": "pager", "destination": "x"}]},
            {
                "notificationChannels[0].type": "pager is no kind of channel: "
                "there are apprise, channel, email, live, slack, webhook"
            },
        ),
        (
            {"notificationChannels": [{"type": "email", "destination": "a@b.example\r\nBcc: c@d.example"}]},
            {"notificationChannels[0].destination": "holds a line break or another control character"},
        ),
    ],
)
def test_each_mistake_has_its_field_and_sentence(change: dict[str, Any], problems: dict[str, str]) -> None:
    assert refused({**SIMPLE, **change}) == problems


def test_destinations_are_judged_by_whoever_sends_there() -> None:
    with pytest.raises(InvalidRuleError, match=r"notificationChannels\[0\].destination: nobody is #alerts"):
        taken(SEED, channel=lambda channel: f"nobody is {channel.destination}")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"name": "n", "threshold": NaN}', "a number must be finite"),
        (b'{"name": "n", "threshold": Infinity}', "a number must be finite"),
        (b'{"name": "n", "threshold": 1e999}', "Number out of range"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"name": "' + b"n" * MAX_BODY_BYTES + b'"}', "is longer than 262,144 bytes"),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, reason: str) -> None:
    assert reason in refused(body)["body"]


def test_all_mistakes_are_told_at_once() -> None:
    assert set(refused({"threshold": "x", "condition": "~", "severity": 1})) == {
        "name",
        "threshold",
        "condition",
        "severity",
    }
    assert set(refused({"name": "n", "labels": {"1": ""}, "expression": "a >"})) == {"labels.1", "expression"}


@pytest.mark.parametrize(
    ("expression", "field", "sentence"),
    [
        (
            "a > 1 and b",
            "recoveryThreshold",
            "needs an expression that ends in a comparison with a number, such as cpu > 80",
        ),
        ("a == 1", "recoveryThreshold", "needs one of the conditions > >= < <="),
        ("a < 80", "recoveryThreshold", "must be above the threshold, 80"),
        ("a > NaN", "expression", "compares with what is no finite number"),
    ],
)
def test_what_an_expression_must_be_for_the_rest_of_the_rule(expression: str, field: str, sentence: str) -> None:
    assert refused({"name": "n", "expression": expression, "recoveryThreshold": 70})[field] == sentence


def test_an_expression_that_compares_nothing_is_taken_with_a_warning() -> None:
    assert [w.field for w in taken({"name": "n", "expression": "up"})[1]] == ["expression"]
    for fine in ("up == 0", "absent(up)", "a unless b", "sum(up == 0)", "up == bool 1 and b"):
        assert taken({"name": "n", "expression": fine})[1] == []


@pytest.mark.parametrize(
    ("expression", "position", "sentence"),
    [
        ("a >", 4, "unexpected end of input"),
        ("a > > 2", 5, "unexpected <op:>>"),
        ("a\n> > 1", 5, "unexpected <op:>>"),
        ("rate(a) > 1", 6, "add a range: [5m]"),
        ("sum(a[5m]) > 1", 5, "got range vector"),
        ("1 + histogram_quantil(0.9, a)", 5, "did you mean histogram_quantile?"),
        ("(a > 1", 7, 'the "(" at 1:1 has no ")"'),
        ("a) > 1", 2, "unexpected right parenthesis"),
        ("a && b", 3, "unexpected character: '&'"),
        ("a = 1", 3, "in PromQL, equality is =="),
        ('a{b="c} > 1', 5, "unterminated quoted string"),
        ("a b", 3, 'unexpected identifier "b"'),
        ("ø > 1", 1, "unexpected character: 'ø'"),
        ("a[5m]", None, "take a function of them: rate(a[5m])"),
        ("'a'", None, "write an expression"),
        ("1 > 2", 3, "write > bool"),
        (" ", None, "is empty"),
        ("a > on(x) group_left(y) b c", 27, 'unexpected identifier "c"'),
    ],
)
def test_a_broken_expression_says_where_and_what_instead(expression: str, position: int | None, sentence: str) -> None:
    with pytest.raises(InvalidRuleError) as error:
        taken({"name": "n", "kind": "expression", "expression": expression})
    (problem,) = error.value.problems
    assert (problem.field, problem.position) == ("expression", position)
    assert sentence in str(problem)


@given(st.text(alphabet=list("ab1 ()[]{}<>=!~\"'-+/andorbyrate,@:5m"), max_size=40))
def test_no_text_ends_the_reader(expression: str) -> None:
    with suppress(InvalidRuleError):
        taken({"name": "n", "expression": expression, "kind": "expression"})


@pytest.mark.parametrize("payload", [p for p in payloads(RULES.name) if p.good], ids=lambda p: p.name)
def test_every_rule_that_was_ever_written_compiles(payload: Any) -> None:
    assert taken(payload.data)[0].text
