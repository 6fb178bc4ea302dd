"""Alerts that are posted: what is taken, and what is said of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vigie_alerting.external.posted import Posted
from vigie_alerting.external.reading import MAX_POSTED, UnreadableError, read


def one(**changes: Any) -> dict[str, Any]:
    return {"labels": {"alertname": "x"}, **changes}


def body(*items: Any) -> bytes:
    return json.dumps(items).encode()


def test_an_alert_as_prometheus_sends_it() -> None:
    found, problems = read(
        body(
            {
                "annotations": {"summary": "down"},
                "endsAt": "2026-01-31T12:05:00.123456789Z",
                "startsAt": "2026-01-31T13:00:00+01:00",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
                "labels": {"alertname": "Down", "a": "1", "gone": ""},
            }
        )
    )
    assert problems == []
    assert found == [
        Posted(
            (("a", "1"), ("alertname", "Down")), {"summary": "down"}, 1769860800000, 1769861100123,
            "http://prometheus:9090/graph?g0.expr=up",
        )
    ]  # fmt: skip


def test_the_first_day_of_time_of_go_is_no_time() -> None:
    zero = "0001-01-01T00:00:00.000Z"
    assert read(body(one(startsAt=zero, endsAt=zero, generatorURL="", annotations=None))) == (
        [Posted((("alertname", "x"),), {})],
        [],
    )


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (1, "Expected `object`"),
        ({}, "missing required field `labels`"),
        (one(labels={}), "at least one label pair required"),
        (one(labels={"a": ""}), "at least one label pair required"),
        (one(labels={"a": 1}), "Expected `str`"),
        (one(labels={"": "x"}), "its name must have 1 to 128 characters"),
        (one(labels={"a=b": "x"}), "without ="),
        (one(labels={"n" * 129: "x"}), "its name must have 1 to 128 characters"),
        (one(labels={"a": "x" * 1025}), "at most 1,024 characters"),
        (one(labels={"a": "x\0"}), "no NUL"),
        (one(labels={f"l{n}": "x" for n in range(65)}), "has 65 labels, the limit is 64"),
        (one(labels={f"l{n}": "x" * 1000 for n in range(10)}), "its labels are longer than 8,192 bytes"),
        (one(annotations={"a": "x" * 20_000}), "at most 16,384 characters"),
        (one(startsAt="2026-01-02T00:00:00Z", endsAt="2026-01-01T00:00:00Z"), "start time must be before end time"),
        (one(startsAt="yesterday"), "Invalid RFC3339"),
        (one(startsAt="2026-01-02T00:00:00"), "Expected `datetime`"),
        (one(generatorURL="http://x/" + "y" * 4096), "generatorURL is longer than 4,096"),
    ],
)
def test_what_is_wrong_is_said_and_the_others_are_taken(item: Any, sentence: str) -> None:
    found, [problem] = read(body(one(), item, one()))
    assert len(found) == 2
    assert problem.startswith("alert 1: ")
    assert sentence in problem


@pytest.mark.parametrize("text", [b"", b"{}", b'"x"', b"[", b'[{"labels":'])
def test_a_body_that_is_no_list_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableError, match="parsing alerts body failed"):
        read(text)


def test_halves_of_characters_are_refused() -> None:
    with pytest.raises(UnreadableError):
        read(b'[{"labels": {"a": "\\ud800"}}]')


def test_too_many_are_refused() -> None:
    with pytest.raises(UnreadableError, match="at most 1,000"):
        read(body(*[one()] * (MAX_POSTED + 1)))


def test_what_is_nested_deeply_is_refused_whole_or_alone() -> None:
    deep = b"[" * 100_000
    with pytest.raises(UnreadableError, match="parsing alerts body failed"):
        read(deep)
    taken, problems = read(b'[{"labels": {"alertname": "a"}, "x": ' + b"[" * 900 + b"]" * 900 + b"}]")
    assert len(taken) + len(problems) == 1
