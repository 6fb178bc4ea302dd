"""Matchers as Alertmanager and amtool write them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.routing.matchers import matches_empty, of, parse
from vigie_query.errors import InvalidParameter, QueryError
from vigie_query.matchers import Matcher, Operator

from tests.kit.cpu import cpu_at_most

EQUAL, DIFFERENT, LIKE, UNLIKE = Operator
DB = {"team": "db", "zone": "eu-1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('team="db"', [Matcher("team", EQUAL, "db")]),
        ("team=db", [Matcher("team", EQUAL, "db")]),
        (' { team = "db" , zone !~ "us-.*" , } ', [Matcher("team", EQUAL, "db"), Matcher("zone", UNLIKE, "us-.*")]),
        ("zone=~eu-1|eu-2", [Matcher("zone", LIKE, "eu-1|eu-2")]),
        ('a!="x,y", b=""', [Matcher("a", DIFFERENT, "x,y"), Matcher("b", EQUAL, "")]),
        ('a="say \\"hi\\"\\nthere\\\\"', [Matcher("a", EQUAL, 'say "hi"\nthere\\')]),
        ('a=~"\\d+"', [Matcher("a", LIKE, "\\d+")]),
        ('"équipe du nord"="b"', [Matcher("équipe du nord", EQUAL, "b")]),
        ("job:rate5m=x", [Matcher("job:rate5m", EQUAL, "x")]),
        ("a=", [Matcher("a", EQUAL, "")]),
        ("a=two words", [Matcher("a", EQUAL, "two words")]),
        ("a=b=c", [Matcher("a", EQUAL, "b=c")]),
        ("a= two \n words\t , b = ", [Matcher("a", EQUAL, "two \n words"), Matcher("b", EQUAL, "")]),
        ("", []),
        ("{}", []),
    ],
)
def test_what_is_written_is_understood(text: str, expected: list[Matcher]) -> None:
    assert list(parse(text).all) == expected


@pytest.mark.parametrize(
    "text",
    ["team", "=db", '"team', 'team="db', "{team=db", 'a="b" c="d"', 'team="d"b', ",", "a=b,,c=d", "te{am=b", '""="x"'],
)
def test_what_is_no_matcher_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse(text)


@pytest.mark.parametrize(
    "text", ['a={}"', 'a={}b"', "{}a", "a{}=", '"a"{}"', 'a="b"{}"', 'a="{}', "a=b{}c", "a=b{},c=d"], ids=repr
)
@pytest.mark.parametrize("run", [" ", "b ", "=", '\\"'], ids=repr)
def test_a_long_text_is_read_in_time_that_grows_with_its_length(text: str, run: str) -> None:
    long = text.replace("{}", run * (16_000 // len(run)))
    with cpu_at_most(0.1), suppress(InvalidParameter):
        parse(long)


@pytest.mark.parametrize(
    ("texts", "labels", "expected"),
    [
        ([], {}, True),
        (['team="db"'], DB, True),
        (['team="db"', 'zone=~"us-.*"'], DB, False),
        (['zone=~"eu"'], DB, False),
        (['zone!~"us-.*"'], DB, True),
        (['pod=""'], DB, True),
        (['pod!=""'], DB, False),
        (['pod=~".*"'], DB, True),
        (['team!="db"'], DB, False),
    ],
)
def test_all_must_hold_and_a_label_that_is_not_there_is_empty(
    texts: list[str], labels: Mapping[str, str], expected: bool
) -> None:
    matchers = parse(texts)
    assert matchers.match(labels) is expected
    assert (matchers.failing(labels) is None) is expected


def test_the_first_that_fails_is_named_in_the_order_in_which_they_are_written() -> None:
    failing = parse('zone=~"us-.*",team="web"').failing(DB)
    assert failing is not None
    assert failing.label == "zone"


def test_an_expression_that_explodes_elsewhere_ends_here() -> None:
    assert not parse('a=~"(a+)+$"').match({"a": "a" * 1_000 + "b"})
    with pytest.raises(QueryError, match="RE2"):
        parse('a=~"(?=b)"')
    with pytest.raises(QueryError):
        parse([f'a{n}=~"x.*"' for n in range(9)])
    with pytest.raises(QueryError):
        parse([f'a="{n}"' for n in range(33)])
    with pytest.raises(QueryError):
        of([Matcher("a", EQUAL, "x" * 1_025)])


def test_an_expression_remembers_no_more_than_some_values() -> None:
    matchers = parse('host=~"web-.*"')
    assert [matchers.match({"host": f"web-{n}"}) for n in range(1_000)] == [True] * 1_000
    assert not matchers.match({"host": "db-1"})


@pytest.mark.parametrize(("text", "expected"), [('a=""', True), ('a=~"|x"', True), ('a="b"', False), ('a!="b"', True)])
def test_whether_one_holds_for_an_alert_without_the_label(text: str, expected: bool) -> None:
    assert matches_empty(parse(text).all[0]) is expected


_TEXTS = st.text(min_size=1, max_size=12)


@given(st.lists(st.tuples(_TEXTS, st.sampled_from([EQUAL, DIFFERENT]), st.text(max_size=12)), max_size=5))
def test_what_is_written_of_any_matchers_is_read_as_the_same(parts: list[tuple[str, Operator, str]]) -> None:
    made = of([Matcher(*one) for one in parts])
    assert parse(made.texts) == made
    assert parse(str(made)) == made
