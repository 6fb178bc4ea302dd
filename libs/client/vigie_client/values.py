"""What may be recorded: kinds, numbers and labels. Whatever cannot be sent is told apart here, before it is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, SupportsFloat

LabelValue = str | int | float | bool
Labels = Mapping[str, LabelValue]
"""Label names and values. Numbers and booleans become text, as they do in the gateway."""

_EXACT = 1 << 53
"""Integers up to here are exact as 64-bit floating point."""


class MetricType(StrEnum):
    """The metric type as the gateway reads it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"

    __hash__ = str.__hash__  # an enum's own is Python code, and a recording looks its series up by it


class NotRecordable(Exception):  # noqa: N818  # it is no error of the library: the caller counts it and goes on
    """The value, the name or a label cannot be sent; the text says which and why."""


def number(kind: MetricType, value: object) -> int | float:
    """A finite number, not negative for a counter. Raises NotRecordable."""
    if type(value) is int and -_EXACT <= value <= _EXACT:
        exact = value
    else:
        exact = value if type(value) is float else _converted(value)
        if not math.isfinite(exact):
            raise NotRecordable(f"the value must be finite, but is {exact}")
    if exact < 0 and kind is MetricType.COUNTER:
        raise NotRecordable("a counter only goes up: use a gauge for what goes down")
    return exact


def _converted(value: object) -> float:
    """Large integers, and numbers of other types: numpy's, Decimal, Fraction."""
    if isinstance(value, bool | str | bytes | bytearray) or not isinstance(value, SupportsFloat):
        raise NotRecordable(f"the value must be a number, but is of type {type(value).__name__}")
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError) as error:
        raise NotRecordable(f"the value must be a number that fits 64-bit floating point: {error}") from error


def texts(labels: Labels) -> Mapping[str, str]:
    """The same labels with text as values; nothing is copied when they are text already. Raises NotRecordable."""
    for value in labels.values():
        if type(value) is not str:
            return {name: _text(name, value) for name, value in labels.items()}
    return labels  # pyright: ignore[reportReturnType]  # every value was looked at


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise NotRecordable(f"label {name!r} must be text, a number or a boolean, but is of type {type(value).__name__}")
