"""Label matchers."""

import pytest
import re2
from vigie_query.errors import InvalidParameter, QueryLimitExceeded
from vigie_query.matchers import Operator, parse, predicate, regex

from tests.kit.cpu import cpu_at_most


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


def test_values_may_stand_in_quotation_marks_as_in_promql() -> None:
    for text in ('service="booking"', "service='booking'", ' service = "booking" ', "service = booking"):
        assert accepts([text], service="booking")
    assert accepts([r'a="say \"x\" \\ y"'], a=r'say "x" \ y')
    assert accepts([r'a=~"\d+|web"'], a="12")
    assert accepts(['a=""'])
    with pytest.raises(InvalidParameter, match="must end with it"):
        parse(['service="booking'])
    with pytest.raises(InvalidParameter, match="without braces"):
        parse(['{service="booking"}'])


def test_an_expression_is_asked_once_for_each_value_and_may_be_stopped_after_each() -> None:
    asked: list[int] = []
    test = predicate(parse(["a=~x.*", "b=~y.*", "c=z"]), lambda: asked.append(1))
    assert not any(test({"a": f"x{i % 5}", "b": "y", "c": "other"}) for i in range(100))
    assert asked == []
    assert all(test({"a": f"x{i % 5}", "b": "y", "c": "z"}) for i in range(100))
    assert len(asked) == 6


def test_one_expression_takes_milliseconds_at_most_for_one_value() -> None:
    for pattern in (r"((a{1,50}){1,15})b", r".*.*.*.*.*.*a.{400}b", r".*(x.{0,200}y).*", r"(?i)\p{L}+ \p{L}+ \p{L}+"):
        matches = regex(pattern, "match")
        with cpu_at_most(1):
            for _ in range(20):
                matches("xa" * 512)
    for pattern in (r"(.{1,100}){1,9}z", r"(a|b|ab)*(.{0,500})c", r"(\pL?){60}z"):
        with pytest.raises(InvalidParameter, match="too large"):
            regex(pattern, "match")


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
    with cpu_at_most(1):
        assert not regex("(a+)+$", "match")("a" * 1_000 + "b")
    with pytest.raises(InvalidParameter):
        regex("((((a{1,100}){1,100}){1,100}){1,100})", "match")
    with pytest.raises(InvalidParameter):
        regex("a" * 1_001, "match")
    with pytest.raises(QueryLimitExceeded):
        parse(["a=b"] * 33)
    with pytest.raises(QueryLimitExceeded, match="regular expressions"):
        parse(["a=~b"] * 9)


@pytest.mark.parametrize(
    "pattern", ["\\pL" * 333, "(?i)" + "\\PN" * 332, "(?:\\p{Lo}){17}" * 60, "x{1,100}" * 125, "." * 1_000]
)
def test_an_expression_is_compiled_or_refused_in_milliseconds(pattern: str) -> None:
    with cpu_at_most(0.025), pytest.raises((InvalidParameter, QueryLimitExceeded)):
        parse([f"a=~{pattern}"])


def test_unicode_classes_are_counted_over_all_expressions_of_a_question() -> None:
    assert accepts(["a=~\\pL+", "b=~\\pN+"], a="été", b="12")
    with pytest.raises(QueryLimitExceeded, match="21 Unicode classes"):
        parse([f"l{number}=~" + "\\pL" * 7 for number in range(3)])


def test_a_refused_expression_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidParameter, match="RE2"):
        parse(["a=~(once"])
    monkeypatch.setattr(re2, "compile", None)
    with pytest.raises(InvalidParameter, match="RE2"):
        parse(["a=~(once"])
