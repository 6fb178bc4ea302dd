"""Prometheus' notation of series and their values: `up{job="api"}` and `1+2x3 _x2 stale 0`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from vigie_contracts.series import Labels
from vigie_query.matchers import Operator
from vigie_query.promql import parsing
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.labels import labels_of
from vigie_query.promql.plan import Selector
from vigie_query.promql.samples import STALE

MAX_VALUES: Final = 1_000_000
"""Of one series: eleven days, one a second."""
_NUMBER: Final = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|nan)"
_ITEM: Final = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>[0-9]+))?\Z"
    rf"|(?P<first>[+-]?(?:{_NUMBER}))(?:(?P<step>[+-](?:{_NUMBER}))?x(?P<more>[0-9]+))?\Z"
)


class NotationError(ValueError):
    """The text describes no series. It is a sentence."""


def series(text: str) -> Labels:
    """The labels that `name{label="value"}` or `{label="value"}` says, the name under `__name__`. Raises
    NotationError."""
    if text.strip() in ("", "{}"):
        return ()
    try:
        node = parsing.parse(text)
    except InvalidExpression as e:
        raise NotationError(e.detail) from None
    if not isinstance(node, Selector) or any(one.operator is not Operator.EQUAL for one in node.matchers):
        raise NotationError(f'{text[:80]} is no series: write one such as up{{job="api"}}')
    return labels_of({one.label: one.value for one in node.matchers})


def values(text: str) -> list[float | None]:
    """A value for each interval; None where there is none, STALE where the series ends. Raises NotationError."""
    found: list[float | None] = []
    for item in text.split():
        for value in _expanded(item):
            found.append(value)
            if len(found) > MAX_VALUES:
                raise NotationError(f"a series has more than {MAX_VALUES:,} values")
    return found


def _expanded(item: str) -> Iterator[float | None]:
    if item == "stale":
        yield STALE
        return
    if item.startswith("{{"):
        raise NotationError("native histograms are not supported: write the series of their buckets")
    match = _ITEM.match(item)
    if match is None:
        raise NotationError(f"{item[:40]} is no value: write 1, 1+2x3, 5x3, _, _x3 or stale")
    if match["blank"]:
        for _ in range(_count(match["blanks"], 1)):
            yield None
        return
    value, step = float(match["first"]), float(match["step"] or 0)
    for _ in range(1 + _count(match["more"], 0)):
        yield value
        value += step


def _count(digits: str | None, otherwise: int) -> int:
    if digits is None:
        return otherwise
    if len(digits) > 7:
        raise NotationError(f"a series has more than {MAX_VALUES:,} values")
    return int(digits)


def number(value: float) -> str:
    """As promtool writes it: `1.5E+00`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, exponent = _shortest(value)
    return f"{mantissa}E{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that say it."""
    for digits in range(17):
        text = f"{value:.{digits}e}"
        if float(text) == value:
            mantissa, _, exponent = text.partition("e")
            return mantissa, int(exponent)
    raise AssertionError("17 digits say every number")
