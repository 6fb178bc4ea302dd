"""What the query API answered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAME = "__name__"


@dataclass(frozen=True)
class Series:
    """Labels, and (Unix seconds, value as it was written; of a histogram its count and sum)."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, str]]

    @property
    def title(self) -> str:
        """`name{label="value"}`, on one line."""
        inside = ",".join(f'{name}="{value}"' for name, value in self.labels.items() if name != NAME)
        name = self.labels.get(NAME, "")
        return printable(f"{name}{{{inside}}}" if inside or not name else name)


@dataclass(frozen=True)
class Answer:
    """`kind` is Prometheus' `resultType`; a scalar or a string is one series without labels."""

    body: str
    kind: str
    series: Sequence[Series]
    notes: Sequence[str]
    """Warnings and infos."""


def answer_of(body: str, read: Mapping[str, Any]) -> Answer:
    """The answer in a body of the query API."""
    data = read["data"]
    kind, result = data["resultType"], data["result"]
    notes = [printable(note) for name in ("warnings", "infos") for note in read.get(name, ())]
    if kind in ("scalar", "string"):
        found = [Series({}, [_point(result)])]
    else:
        found = [Series(one["metric"], sorted(map(_point, _pairs(one)))) for one in result]
    return Answer(body, kind, found, notes)


def _pairs(one: Mapping[str, Any]) -> list[Any]:
    """At one time or over time; numbers and histograms."""
    at_once = [one[name] for name in ("value", "histogram") if name in one]
    return [*at_once, *one.get("values", ()), *one.get("histograms", ())]


def _point(pair: Sequence[Any]) -> tuple[float, str]:
    at, value = pair
    return float(at), f"count {value['count']}, sum {value['sum']}" if isinstance(value, dict) else str(value)


def number(value: str) -> float:
    """Of a point; NaN for what is no number: a histogram."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def printable(text: str) -> str:
    """The text without characters that move a terminal's cursor, or worse: senders choose the values of labels."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
