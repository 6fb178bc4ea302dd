"""Templates say what Prometheus' say, and none can hold the process or reach beyond its alert."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.templates import MAX_OUTPUT_CHARS, InvalidTemplateError, check, render, render_all
from vigie_alerting.templates.rendering import MAX_TEMPLATE_CHARS

from tests.kit.cpu import cpu_at_most

LABELS = {"host": "web-1", "instance": "web-1:9100", "a": "hello wo'rld foo-bar"}
PROMETHEUS = json.loads(Path(__file__).with_name("prometheus.json").read_text())
"""What promtool 2.42 rendered, for values and templates of rule files."""


@pytest.mark.parametrize("case", PROMETHEUS, ids=lambda case: f"{case['value']}-{case['template'][:30]}")
def test_go_templates_give_what_prometheus_gives(case: dict[str, str]) -> None:
    check(case["template"])
    assert render(case["template"], {"a": LABELS["a"]}, float(case["value"])) == case["text"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("CPU of {{ labels.host }} at {{ value | round(1) }} %", "CPU of web-1 at 91.5 %"),
        ("{{ labels['host'] | upper }}", "WEB-1"),
        ("{{ labels.nothing }}|{{ labels.nothing.more }}", "|"),
        ("{% for name in labels %}{{ name }}={{ labels[name] }};{% endfor %}", "a=hello wo'rld foo-bar;host=web-1;"),
        ("{% if value > 90 %}bad{% elif value > 80 %}so{% else %}good{% endif %}", "bad"),
        ("{{ value / 2 }} {{ value - 1.456 }}", "45.728 90"),
        ("{{ value / 0 }}", "NaN"),
        ("{{ labels.host | default('?') }} {{ labels.rack | default('?') }}", "web-1 ?"),
        ("no template, {just} braces", "no template, {just} braces"),
        ("ends with a line\n", "ends with a line\n"),
        ("{{ external_labels.cluster }}.", "."),
        ("{{ $value }} {% x %} {# y #}", "91.456 {% x %} {# y #}"),
    ],
)
def test_texts(template: str, text: str) -> None:
    check(template)
    labels = {name: LABELS[name] for name in ("host", "a")}
    assert render(template, labels, 91.456) == text


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ labels.items() }}", "call is not allowed"),
        ("{{ value ** 9 }}", "pow is not allowed"),
        ("{{ 'a' ~ 'b' }}", "concat is not allowed"),
        ("{% set x = 'a' %}", "assign is not allowed"),
        ("{% macro f() %}{% endmacro %}", "macro is not allowed"),
        ("{% include 'other' %}", "include is not allowed"),
        ("{% for x in [1, 2] %}{% endfor %}", "a loop goes over labels"),
        ("{% for x in labels recursive %}{% endfor %}", "a loop goes over labels"),
        ("{% for x in labels %}{% for y in labels %}{% endfor %}{% endfor %}", "a loop in a loop"),
        ("{{ self }}", "self is unknown"),
        ("{{ config }}", "config is unknown"),
        ("{{ value | center(1000000) }}", "the function center is unknown"),
        ("{{ value | humanise }}", "the function humanise is unknown"),
        ("{{ labels.host", "unexpected end of template"),
        ("a\n{% if %}", "line 2: "),
        ("x" * (MAX_TEMPLATE_CHARS + 1), "at most 4,096 characters"),
        ("{{ 1+1 }}" * 400, "too many parts"),
        ("{{" + "(" * 1_000 + "1" + ")" * 1_000 + "}}", "is nested too deeply"),
        # Go
        ('{{ query "up" }}', "query is not supported"),
        ('{{ with query "up" }}{{ end }}', "with is not supported"),
        ("{{ $x := 1 }}", "variables are not supported"),
        ("{{ range query $labels }}{{ end }}", "range is supported as"),
        ("{{ if $value }}", "an end is missing"),
        ("{{ end }}", "there is nothing to end"),
        ("a\nb {{ $labels.host | shout }}", "line 2: shout is no function"),
        ("{{ $labels.host.name }}", "$labels.host.name is unknown"),
        ("{{ $labels.host", "{{ is not closed"),
        ("{{ .Foo }}", ".Foo is unknown"),
        ("{{ $labels.host }} {{ labels.host }}", "labels is Jinja's"),
    ],
)
def test_what_a_template_must_not_have_is_refused_with_a_reason(template: str, reason: str) -> None:
    with pytest.raises(InvalidTemplateError) as refused:
        check(template)
    assert reason in str(refused.value)
    assert render(template, LABELS, 1.0), "the alert is told all the same"


@pytest.mark.parametrize("path", ["__class__", "__init__.__globals__", "_x", "mro", "__dict__"])
def test_a_dot_reads_a_label_and_nothing_else(path: str) -> None:
    assert render(f"{{{{ labels.{path} }}}}{{{{ ''.{path} }}}}{{{{ value.{path} }}}}", LABELS, 1.0) == ""


@pytest.mark.parametrize(
    "template",
    [
        "{% for n in labels %}" + "{{ labels[n] }}" * 240 + "{% endfor %}",
        "{{ labels.long" + " | replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 60 + " }}",
        "{{ labels.long" + " | reReplaceAll('a', '$0$0$0$0$0$0$0$0')" * 60 + " }}",
        "{{ value | printf('" + "%99.99f" * 300 + "') }}",
        "{{ labels.long | reReplaceAll('(a?){50}(a*)*b', 'x') }}",
    ],
)
def test_the_worst_templates_take_milliseconds_and_make_little(template: str) -> None:
    labels = {f"l{i}": "v" * 1_000 for i in range(63)} | {"long": "a" * 1_024}
    with cpu_at_most(2):
        text = render(template, labels, 1.0)
    assert len(text) <= MAX_OUTPUT_CHARS


def test_what_fails_says_so_in_its_place() -> None:
    assert render("{{ labels.host | humanize }}", LABELS, 1.0) == "<this template failed: 'web-1' is no number>"
    assert render("{{ value | humanizeTimestamp }}", LABELS, 1e300).startswith(
        "<this template failed: 1e+300 is no time"
    )
    assert render("{{ value }}", LABELS, None) == "no data"


def test_texts_of_an_alert_stand_in_one_order() -> None:
    assert list(render_all({"b": "1", "a": "{{ value }}"}, {}, 2.0).items()) == [("a", "2"), ("b", "1")]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=list("{}%$.|()\"' -labelsvueifndrg_<>=09\n"), max_size=60), st.floats())
def test_no_text_ends_the_renderer(template: str, value: float) -> None:
    assert isinstance(render(template, LABELS, value), str)
