"""Label matchers."""

import time

import pytest
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.matchers import Operator, parse, predicate, regex


def accepts(texts: list[str], **labels: str) -> bool:
    return predicate(parse(texts))(labels)


def test_operators_do_what_they_do_in_prometheus() -> None:
    assert accepts(["service=booking"], service="booking")
    assert not accepts(["service=booking"], service="booking2")
    assert accepts(["service!=booking"], service="web")
    assert accepts(["service=~book.*|web"], service="booking")
    assert not accepts(["service=~book"], service="booking")
    assert accepts(["service!~book.*"], service="web")
    assert accepts(["service=~a.c"], service="a\nc")


def test_an_absent_label_is_empty() -> None:
    assert accepts(["region="])
    assert accepts(["region!=eu"])
    assert accepts(["region=~"])
    assert not accepts(["region=~.+"])


def test_values_may_hold_operators() -> None:
    (matcher,) = parse(["query=a=b!=c"])
    assert (matcher.label, matcher.operator, matcher.value) == ("query", Operator.EQUAL, "a=b!=c")


@pytest.mark.parametrize(
    "text", ["", "service", "=x", "1a=x", "a b=c", "service=~(", r"service=~(a)\1", "service=~(?=a)"]
)
def test_other_matchers_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^match: "):
        parse([text])


def test_expressions_cannot_run_away() -> None:
    began = time.monotonic()
    assert not regex("(a+)+$", "match")("a" * 1_000 + "b")
    assert time.monotonic() - began < 1
    with pytest.raises(InvalidParameter):
        regex("((((a{1,100}){1,100}){1,100}){1,100})", "match")
    with pytest.raises(InvalidParameter):
        regex("a" * 1_001, "match")
    with pytest.raises(QueryLimitExceeded):
        parse(["a=b"] * 33)
