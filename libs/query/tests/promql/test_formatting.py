"""Expressions laid out, and as trees, as Prometheus' interface has them."""

import pytest
from vigie_query.promql.formatting import pretty, text
from vigie_query.promql.parsing import parse
from vigie_query.promql.syntax_tree import tree

LONG = "a" * 60


@pytest.mark.parametrize(
    ("expression", "formatted"),
    [
        ("1", "1"),
        ("+Inf-5m", "+Inf - 5m"),
        ("  sum(x)by(a,)", "sum by (a) (x)"),
        ("sum without(a)(x)", "sum without (a) (x)"),
        ("SUM by () (x)", "sum(x)"),
        ("topk(5,x)", "topk(5, x)"),
        ('x{b="2",a=~"1.*"}', 'x{a=~"1.*",b="2"}'),
        ("x{a=~`\\d+`}", 'x{a=~"\\\\d+"}'),
        ('{__name__=~"x|y"}', '{__name__=~"x|y"}'),
        ('{"a.b","c d"="e"}', '{"a.b","c d"="e"}'),
        ("x[90s]@end()offset-1h", "x[1m30s] @ end() offset -1h"),
        ("x @ 1.5", "x @ 1.500"),
        ("(a+b)[1d:5m] offset 1w", "(a + b)[1d:5m] offset 1w"),
        ("x[3600]", "x[1h]"),
        ("a*on(b)group_left(c)d", "a * on (b) group_left (c) d"),
        ("a>bool ignoring(b)c", "a > bool ignoring (b) c"),
        ("a and on() b", "a and on () b"),
        ("-(a)", "-(a)"),
        ("'it\\'s'", '"it\'s"'),
        (
            f"sum by (a) (rate({LONG}[5m])) / on (a) sum by (a) (rate({LONG}[5m]))",
            f"  sum by (a) (rate({LONG}[5m]))\n/ on (a)\n  sum by (a) (rate({LONG}[5m]))",
        ),
        (
            f"histogram_quantile(0.9, sum by (le) (rate({LONG}[5m])) or ({LONG}))",
            f"histogram_quantile(\n  0.9,\n    sum by (le) (rate({LONG}[5m]))\n  or\n    ({LONG})\n)",
        ),
        (
            f"-(topk(3, {LONG} + {LONG}))",
            f"-(\n  topk(\n    3,\n      {LONG}\n    +\n      {LONG}\n  )\n)",
        ),
    ],
)
def test_layout_is_prometheus_s(expression: str, formatted: str) -> None:
    node = parse(expression)
    assert pretty(node) == formatted
    assert parse(formatted) == node
    assert parse(text(node)) == node


def test_a_tree_has_the_words_of_prometheus() -> None:
    plain = {"offset": 0, "timestamp": None, "startOrEnd": None, "anchored": False, "smoothed": False}
    assert tree(parse('-sum by (a) (rate(x{b!="1"}[5m] @ end() offset 1m)) > bool (2)')) == {
        "type": "binaryExpr",
        "op": ">",
        "bool": True,
        "matching": None,
        "lhs": {
            "type": "unaryExpr",
            "op": "-",
            "expr": {
                "type": "aggregation",
                "op": "sum",
                "grouping": ("a",),
                "without": False,
                "param": None,
                "expr": {
                    "type": "call",
                    "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                    "args": [
                        {
                            **plain,
                            "type": "matrixSelector",
                            "name": "x",
                            "range": 300_000,
                            "offset": 60_000,
                            "startOrEnd": "end",
                            "matchers": [
                                {"name": "b", "value": "1", "type": "!="},
                                {"name": "__name__", "value": "x", "type": "="},
                            ],
                        }
                    ],
                },
            },
        },
        "rhs": {"type": "parenExpr", "expr": {"type": "numberLiteral", "val": "2"}},
    }
    found = tree(parse("a * on (b) group_left (c) d"))
    assert isinstance(found, dict)
    assert found["matching"] == {
        "card": "many-to-one",
        "labels": ("b",),
        "on": True,
        "include": ("c",),
        "fillValues": {"lhs": None, "rhs": None},
    }
    assert found["lhs"] == {
        **plain, "type": "vectorSelector", "name": "a", "matchers": [{"name": "__name__", "value": "a", "type": "="}],
    }  # fmt: skip
    assert tree(parse("(x)[5m:] @ 1")) == {
        "type": "subquery",
        "expr": {"type": "parenExpr", "expr": tree(parse("x"))},
        "range": 300_000,
        "step": 0,
        "offset": 0,
        "timestamp": 1_000,
        "startOrEnd": None,
        "alignEvalTime": False,
    }
