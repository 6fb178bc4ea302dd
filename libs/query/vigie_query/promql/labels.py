"""Sets of labels, as PromQL's operators change them. The name of the metric is the label `__name__`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from vigie_contracts.series import Labels

from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql.errors import ExecutionError
from vigie_query.promql.lexing import quoted

NAME: Final = "__name__"
MAX_VALUE_CHARS: Final = 16_384
"""Of a label that an expression makes."""


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Sorted, without empty values."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def without_name(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)


def keep(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


def drop(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def get(labels: Labels, name: str) -> str:
    """The label's value; empty when it has none, which is the same."""
    return next((value for label, value in labels if label == name), "")


def put(labels: Labels, changes: Mapping[str, str]) -> Labels:
    """With these labels changed; an empty value takes the label away."""
    return labels_of({**dict(labels), **changes})


def text(labels: Labels) -> str:
    """`name{a="b"}`, as Prometheus writes it in its messages."""
    inside = ", ".join(f"{name}={quoted(value)}" for name, value in labels if name != NAME)
    return f"{get(labels, NAME)}{{{inside}}}"


def check_label(name: str, function: str) -> None:
    """Whether a function may make a label of this name. Raises ExecutionError."""
    if not name or "\x00" in name:
        raise ExecutionError(f"{function}: invalid label name {quoted(name)}")


def check_value(chars: int, function: str) -> None:
    """Whether a label that a function makes may be as long as this. Raises QueryLimitExceeded."""
    if chars > MAX_VALUE_CHARS:
        raise QueryLimitExceeded(f"{function}: a label would be longer than {MAX_VALUE_CHARS:,} characters", "query")


def grouped(keys: Iterable[Labels]) -> tuple[list[Labels], list[int]]:
    """The different keys in the order in which they come, and the number of the key of each."""
    numbers: dict[Labels, int] = {}
    numbered = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), numbered
