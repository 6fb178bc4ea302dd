"""Expectations: what the form refuses, and what answers meet."""

from __future__ import annotations

import time
from typing import Any

import pytest
from vigie_contracts.targets import Expectations, JsonCondition
from vigie_healthcheck.probes import conditions, jsonpath


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("expect", "field"),
    [
        (Expectations(statuses=["200", "abc"]), "statuses[1]"),
        (Expectations(statuses=["0xx"]), "statuses[0]"),
        (Expectations(statuses=["299-200"]), "statuses[0]"),
        (Expectations(statuses=["²00"]), "statuses[0]"),
        (Expectations(statuses=["200"] * 17), "statuses"),
        (Expectations(body_matches=["("]), "bodyMatches[0]"),
        (Expectations(body_matches=["ok", "(?=a)"]), "bodyMatches[1]"),
        (Expectations(body_not_matches=["a" * 1001]), "bodyNotMatches[0]"),
        (Expectations(body_not_matches=["(a{1000}){1000}"]), "bodyNotMatches[0]"),
        (Expectations(body_matches=["\\pL" * 17]), "bodyMatches[0]"),
        (Expectations(json=[JsonCondition("status")]), "json[0].path"),
        (Expectations(json=[JsonCondition("$.a[*]")]), "json[0].path"),
        (Expectations(json=[JsonCondition("$.a", float("nan"))]), "json[0].equals"),
        (Expectations(max_bytes=-1), "maxBytes"),
        (Expectations(max_bytes=conditions.MAX_BODY_BYTES + 1), "maxBytes"),
        (Expectations(slow_ms=float("inf")), "slowMs"),
        (Expectations(slow_ms=-1.0), "slowMs"),
        (Expectations(expires_within_ms=-1), "expiresWithinMs"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_field(expect: Expectations, field: str) -> None:
    ((found, sentence),) = conditions.check(expect)
    assert found == field
    assert sentence


def test_usual_expectations_have_no_problem() -> None:
    expect = Expectations(
        statuses=["200", "3XX", "400-404"], body_matches=["(?i)ok", "^<html"], body_not_matches=["error"],
        json=[JsonCondition("$.a.b[0]['c d']", "x"), JsonCondition("$")], max_bytes=10, slow_ms=1.5,
        expires_within_ms=1,
    )  # fmt: skip
    assert conditions.check(expect) == []


@pytest.mark.parametrize(
    ("texts", "status", "wanted"),
    [
        ([], 204, True), ([], 301, False), (["2xx"], 299, True), (["2XX"], 300, False), (["200", "503"], 503, True),
        (["200-204"], 204, True), (["200-204"], 205, False),
    ],
)  # fmt: skip
def test_statuses(texts: list[str], status: int, wanted: bool) -> None:
    assert conditions.status_wanted(Expectations(statuses=texts), status) is wanted


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a.b-c[0][-1]", ("a", "b-c", 0, -1)),
        ("$['c d'][\"é'\"]", ("c d", "é'")),
        (r"$['a\'b\\']", ("a'b\\",)),
        ("$.été", ("été",)),
    ],
)
def test_paths_are_read(path: str, steps: tuple[Any, ...]) -> None:
    assert jsonpath.parse(path) == steps


@pytest.mark.parametrize(
    "path", ["", "a", "$.", "$a", "$..a", "$[", "$[0", "$['a]", "$[a]", "$.a b", "$" + ".a" * 33, "$" + "[0]" * 200]
)
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        jsonpath.parse(path)


@pytest.mark.parametrize(
    ("path", "equals", "sentence"),
    [
        ("$.status", "ok", ""),
        ("$.status", None, ""),
        ("$.none", None, ""),
        ("$.status", "bad", "$.status is not bad"),
        ("$.missing", None, "the answer has no $.missing"),
        ("$.list[1]", 2.0, ""),
        ("$.list[-1]", "2", ""),
        ("$.list[2]", None, "the answer has no $.list[2]"),
        ("$.list.a", None, "the answer has no $.list.a"),
        ("$.yes", True, ""),
        ("$.yes", 1.0, "$.yes is not 1.0"),
        ("$.list[0]", True, "$.list[0] is not True"),
        ("$.list", "x", "$.list is not x"),
    ],
)
def test_json_conditions(path: str, equals: Any, sentence: str) -> None:
    body = b'{"status": "ok", "none": null, "list": [1, 2], "yes": true, "secret": "s3cret"}'
    expect = Expectations(json=[JsonCondition(path, equals)])
    assert conditions.check(expect) == []
    assert conditions.unmet(expect, body, nothing) == sentence


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b'{"a":"\xff"}'])
def test_what_is_not_json_is_said_to_be(body: bytes) -> None:
    assert conditions.unmet(Expectations(json=[JsonCondition("$")]), body, nothing) == "the answer is not JSON"


def test_expressions_are_found_anywhere_and_bytes_need_not_be_text() -> None:
    body = b"\xff\xfe first\nsecond \xe9\xc3\xa9"
    assert conditions.unmet(Expectations(body_matches=["first.second", "é$"]), body, nothing) == ""
    assert conditions.unmet(Expectations(body_matches=["third"]), body, nothing) == "the answer does not match third"
    assert conditions.unmet(Expectations(body_not_matches=["sec"]), body, nothing) == "the answer matches sec"


def test_an_expression_in_a_sentence_is_short_and_one_line() -> None:
    sentence = conditions.unmet(Expectations(body_matches=["a\n" * 200]), b"", nothing)
    assert len(sentence) < 120
    assert "\n" not in sentence


def test_the_time_is_asked_after_each_expression() -> None:
    asked: list[int] = []
    conditions.unmet(Expectations(body_matches=["a", "b"], body_not_matches=["c"]), b"ab", lambda: asked.append(1))
    assert len(asked) == 3


def test_slow_and_ending() -> None:
    expect = Expectations(slow_ms=100.0, expires_within_ms=30 * 86_400_000)
    now = time.time()
    assert conditions.slow(expect, 0.1) == ""
    assert conditions.slow(expect, 0.25) == "it took 250 ms, longer than 100 ms"
    assert conditions.ending(expect, now + 31 * 86_400, now) == ""
    assert conditions.ending(expect, now + 3 * 86_400, now) == "the certificate ends in 3 days"
    assert conditions.ending(expect, now + 7_200, now) == "the certificate ends in 2 hours"
    assert conditions.ending(expect, now - 1, now) == "the certificate has expired"
    assert conditions.ending(expect, None, now) == ""
    assert conditions.slow(Expectations(), 99.0) == conditions.ending(Expectations(), now, now) == ""
