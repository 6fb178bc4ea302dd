"""What is no PromQL is refused at once, with what is wrong, where, and what to write instead."""

from contextlib import suppress
from typing import Any

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_query.errors import QueryError, QueryLimitExceeded
from vigie_query.matchers import Matcher, Operator
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.formatting import pretty, text
from vigie_query.promql.parsing import MAX_CHARS, parse
from vigie_query.promql.plan import Binary, Negation, Number, Selector, Subquery, Text, When
from vigie_query.promql.syntax_tree import tree

from tests.kit.cpu import cpu_at_most

from . import corpus

EXPRESSIONS = sorted({case["expr"] for case in corpus.cases()})


def refusal(expression: str) -> str:
    with pytest.raises(InvalidExpression) as caught:
        parse(expression)
    return caught.value.detail


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "1:1: parse error: no expression found in input"),
        ("1 + ", "1:5: parse error: unexpected end of input"),
        ("foo bar", '1:5: parse error: unexpected identifier "bar"'),
        ("foo\n  + bar ]", "2:9: parse error: unexpected right bracket ']'"),
        ("(1))", "1:4: parse error: unexpected right parenthesis ')'"),
        ("((1)", '1:5: parse error: unclosed left parenthesis (the "(" at 1:1 has no ")")'),
        ("x[5m", '1:5: parse error: unexpected end of input inside brackets (the "[" at 1:2 has no "]")'),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("x = 1", '1:3: parse error: unexpected "=" (in PromQL, equality is ==)'),
        (
            'x{a=="b"}',
            "1:4: parse error: unexpected <op:==> in label matching, expected label matching operator "
            "(in matchers, equality is =)",
        ),
        ("x{a=1}", '1:5: parse error: unexpected number "1" in label matching, expected string'),
        ("http.requests", "1:5: parse error: unexpected character: '.' (such names stand in quotes: {\"a.b\"})"),
        ("x\x00", "1:2: parse error: unexpected character: '\\x00'"),
        ("é", "1:1: parse error: unexpected character: 'é'"),
        ("'abc", "1:1: parse error: unterminated quoted string"),
        ("`abc", "1:1: parse error: unterminated raw string"),
        ("x{a='\n'}", "1:5: parse error: unterminated quoted string"),
        (
            r"'\z'",
            '1:1: parse error: unknown escape sequence "\\\\z" in a string '
            "(write a backslash twice, or the string in backquotes: `\\d`)",
        ),
        ("5mm", '1:1: parse error: bad number or duration syntax: "5mm"'),
        ("1e", '1:1: parse error: bad number or duration syntax: "1e"'),
        ("1e400", '1:1: parse error: error parsing number: "1e400": value out of range'),
        ("x[1m1h]", '1:3: parse error: not a valid duration string: "1m1h" (units go from large to small: 1h30m)'),
        ("x[0s]", "1:3: parse error: duration must be greater than 0"),
        ("x[300y]", "1:3: parse error: duration out of range"),
        (f"x[{'9' * 5_000}y]", "1:3: parse error: duration out of range"),
        ("x @ 1e300", "1:5: parse error: timestamp out of bounds for @ modifier: 1e+300"),
        ("x offset 1m offset 2m", "1:13: parse error: offset may not be set multiple times"),
        ("x @ 1 @ 2", "1:7: parse error: @ <timestamp> may not be set multiple times"),
        (
            "sum(x) offset 1m",
            "1:8: parse error: offset modifier must be preceded by an instant vector selector or range vector selector "
            "or a subquery",
        ),
        (
            "rate(x offset 1m [5m])",
            "1:18: parse error: no offset modifiers allowed before range (write [5m] offset 1m)",
        ),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('{a=~".*",b!="c",d=""}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('x{__name__="y"}', '1:1: parse error: metric name must not be set twice: "x" or "y"'),
        ('x{a=~"("}', "1:6: parse error: not a regular expression that RE2 takes: missing ): ("),
        (r'x{a=~"(a)\\1"}', r"1:6: parse error: not a regular expression that RE2 takes: invalid escape sequence: \1"),
        (
            'label_replace(x, "a", "$1", "b", "(")',
            "1:34: parse error: not a regular expression that RE2 takes: missing ): (",
        ),
        ("raet(x[5m])", '1:1: parse error: unknown function with name "raet" (did you mean rate?)'),
        (
            "1 + rate(x)",
            '1:10: parse error: expected type range vector in call to function "rate", got instant vector '
            "(add a range: [5m])",
        ),
        (
            "rate(sum(x))",
            '1:6: parse error: expected type range vector in call to function "rate", got instant vector '
            "(a subquery makes a range of an expression: [5m:])",
        ),
        ("floor()", '1:1: parse error: expected 1 argument(s) in call to "floor", got 0'),
        ("hour(x, x)", '1:1: parse error: expected at most 1 argument(s) in call to "hour", got 2'),
        ("label_join(x)", '1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 1'),
        ("topk(5,)", "1:7: parse error: trailing commas not allowed in function call args"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("topk(x)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("topk(x, x)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("sum(x) by", '1:10: parse error: unexpected end of input in grouping opts, expected "("'),
        ("sum by (1) (x)", '1:9: parse error: unexpected number "1" in grouping opts, expected label'),
        ("sum foo", '1:5: parse error: unexpected identifier "foo" in aggregation'),
        ("x and 1", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
        (
            "1 == 2",
            "1:3: parse error: comparisons between scalars must use BOOL modifier (write == bool, which gives 0 or 1)",
        ),
        ("x + bool y", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("x + on (a) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("x and on (a) group_left () y", '1:1: parse error: no grouping allowed for "and" operation'),
        (
            "x + on (a) group_left (a) y",
            '1:3: parse error: label "a" must not occur in ON and GROUP clause at once',
        ),
        ("1 + x[5m]", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        (
            '-"x"',
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, "
            'got "string"',
        ),
        ("info(x)", "1:1: parse error: the function info is not supported"),
        ("limit_ratio(0.5, x)", "1:1: parse error: the aggregation operator limit_ratio is not supported"),
        ("x + on (a) fill (0) y", "1:12: parse error: the modifier fill is not supported"),
        ("rate(x[5m] smoothed)", "1:12: parse error: the modifier smoothed is not supported"),
        ("x[5m::1m]", "1:6: parse error: aligned subqueries (::) are not supported"),
        ("x offset step()", "1:10: parse error: durations that are computed are not supported"),
        ("x[5m * 2]", "1:6: parse error: durations that are computed are not supported"),
        (
            'x{a="b" or c="d"}',
            '1:9: parse error: "or" between label matchers is not supported (use the operator: {...} or {...})',
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_where_and_what_to_write_instead(expression: str, message: str) -> None:
    assert refusal(expression) == message


def test_a_refusal_has_its_parts_beside_the_text() -> None:
    with pytest.raises(InvalidExpression) as caught:
        parse("1 +\n raet(x[5m])")
    assert caught.value.place == (2, 2)
    assert (caught.value.reason, caught.value.hint) == ('unknown function with name "raet"', "did you mean rate?")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1_000", 1_000.0), ("0x1F", 31.0), ("0755", 493.0), ("08", 8.0), (".5", 0.5), ("5.", 5.0), ("1e-3", 0.001),
        ("5m", 300.0), ("1h30m", 5_400.0), ("-1", -1.0), ("--1", 1.0), ("-+-1", 1.0), ("+Inf", float("inf")),
        ("-inf", float("-inf")), ("1 # one", 1.0),
    ],
)  # fmt: skip
def test_numbers_are_go_s(expression: str, value: float) -> None:
    assert parse(expression) == Number(value)


def test_strings_are_go_s() -> None:
    assert parse(r'"\"\n\x41\u00e9\U0001F600\101\\"') == Text('"\nAé😀A\\')
    assert parse(r"'\''") == Text("'")
    assert parse('`\\d"`') == Text('\\d"')
    assert parse('"\x00"') == Text("\x00")


def test_operators_bind_as_in_prometheus() -> None:
    assert parse("-2 ^ 2") == Negation(parse("2 ^ 2"))
    assert text(parse("a or b and c + d * e ^ f ^ g")) == "a or b and c + d * e ^ f ^ g"
    node = parse("a - b - c")
    assert isinstance(node, Binary)
    assert node.left == parse("a - b")
    power = parse("a ^ b ^ c")
    assert isinstance(power, Binary)
    assert power.right == parse("b ^ c")
    assert isinstance(parse("-a"), Negation)


def test_times_before_the_epoch_are_times() -> None:
    node = parse("x @ -1.5")
    assert isinstance(node, Selector)
    assert node.when == When(at=-1_500)


def test_names_may_be_words_of_the_language_and_stand_in_quotes() -> None:
    for word in ("sum", "by", "offset", "and", "start", "rate", "inf_total"):
        assert parse(word) == Selector((Matcher("__name__", Operator.EQUAL, word),))
    assert parse('{"a.b", "c d"="e"}') == Selector(
        (Matcher("__name__", Operator.EQUAL, "a.b"), Matcher("c d", Operator.EQUAL, "e"))
    )
    assert parse('SUM BY (on, "a b") (x)') == parse('sum(x) by (on, "a b",)')
    assert parse("x[5m:1m] offset -1m @ end()") == parse("x[300:60] @ end() offset -60")
    assert isinstance(parse("x[5m:]"), Subquery)


@pytest.mark.parametrize(
    "expression",
    [
        "a" * 1_000_000,
        "(" * 1_000,
        "1" + "+1" * 5_000,
        "1" + "^1" * 5_000,
        "-" * 8_000 + "1",
        "abs(" * 1_000 + "x" + ")" * 1_000,
        "x" + "[1m:1s]" * 1_000,
        "x{" + ",".join(f"a{number}='1'" for number in range(1_000)) + "}",
        "\ud800",
        '"' + "\\" * 15_999,
        "`" * 16_001,
        "[" * 16_000,
        "{" * 16_000,
        "x" + " or x" * 3_000,
        "9" * 16_000,
        "0x" + "f" * 16_000,
    ],
    ids=lambda expression: repr(expression[:12]),
)
def test_what_is_large_or_deep_is_refused_soon(expression: str) -> None:
    with cpu_at_most(0.5), pytest.raises(QueryError):
        parse(expression)


def test_what_is_as_large_as_may_be_is_taken() -> None:
    with cpu_at_most(5):
        for expression in (
            "x" * MAX_CHARS,
            "(" * 63 + "x" + " - (-x)" * 99 + ")" * 63,
            "abs(" * 64 + "x" + ")" * 64,
            "x" + " or x" * 200,
            "x" + " ^ x" * 200,
            "label_join(x, 'a'" + ", 'b'" * 2_000 + ")" + " or x" * 190,
        ):
            node = parse(expression)
            assert parse(text(node)) == node
            assert hash(node)
            assert pretty(node)
            assert tree(node)


def test_an_exploding_regex_costs_no_more_than_its_refusal() -> None:
    with cpu_at_most(0.2):
        for pattern in (r"(((a{100}){100}){100}){100}", r"((\\pL{1,100}){1,100}){1,100}", "(x+x+)+y" * 100):
            with suppress(QueryError):
                parse(f'x{{a=~"{pattern}"}}')


def test_an_expression_has_few_regexes_in_all() -> None:
    def asked(count: int) -> str:
        replaced = "x"
        for number in range(count - 2):
            replaced = f'label_replace({replaced}, "a", "$1", "b", "(.*){number}")'
        return f'{replaced} + {{a=~"b+"}} + {{a!~"c+", d=~"b+"}}'

    parse(asked(8))
    with pytest.raises(QueryLimitExceeded, match="9 regular expressions are more than 8"):
        parse(asked(9))


TOKENS = [
    "x", "sum", "by", "rate", "topk", "label_replace", "offset", "bool", "on", "group_left", "and", "atan2", "inf",
    "start", "fill", "(", ")", "[", "]", "{", "}", ",", ":", "@", "+", "-", "^", "==", "=~", "!~", "=", "!=", ">",
    "5", "5m", "0x", "1e9", "'a'", '"(.*"', "`", '"', "#", "\n", " ", "\x00", "é", "\ud800", "\\", ".", "__name__",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=40).map("".join))
def test_any_text_is_a_plan_or_refused(expression: str) -> None:
    with suppress(QueryError):
        written = text(parse(expression))
        assert text(parse(written)) == written


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join))
def test_any_order_of_tokens_is_a_plan_or_refused(expression: str) -> None:
    with suppress(QueryError):
        assert pretty(parse(expression))


def _second_opinion(expression: str) -> Any:
    try:
        return promql_parser.parse(expression).prettify()
    except ValueError:
        return None


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_another_parser_reads_the_same(expression: str) -> None:
    theirs = _second_opinion(expression)
    if theirs is None:
        assert "durations that are computed are not supported" in refusal(expression)
        return
    node = parse(expression)
    assert _second_opinion(text(node)) == theirs
    assert parse(text(node)) == node
    assert parse(pretty(node)) == node
