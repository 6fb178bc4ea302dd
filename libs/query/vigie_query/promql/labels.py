"""Sets of labels, as PromQL's operators change them. The name of the metric is the label `__name__`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from vigie_contracts.series import Labels

NAME: Final = "__name__"
MAX_KNOWN: Final = 16
"""Results that labels remember."""


T = TypeVar("T")


class LabelSets(list[Labels]):
    """Labels of many series, never changed, with what was once computed from them: rules ask the same again and again.

    A list that several evaluations share is worth being one."""

    __slots__ = ("known",)

    def __init__(self, labels: Iterable[Labels] = ()) -> None:
        super().__init__(labels)
        self.known: dict[Hashable, Any] = {}


def listed(labels: Sequence[Labels]) -> list[Labels]:
    """The same list, if it is one."""
    return labels if isinstance(labels, list) else list(labels)


def remembered(labels: Sequence[Labels], what: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` gives for these labels, which `what` says."""
    if not isinstance(labels, LabelSets):
        return compute()
    if what not in labels.known:
        if len(labels.known) >= MAX_KNOWN:
            labels.known.clear()
        labels.known[what] = compute()
    return labels.known[what]


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
    inside = ", ".join(f'{name}="{value}"' for name, value in labels if name != NAME)
    return f"{get(labels, NAME)}{{{inside}}}"


def grouped(keys: Iterable[Labels]) -> tuple[list[Labels], list[int]]:
    """The different keys in the order in which they come, and the number of the key of each."""
    numbers: dict[Labels, int] = {}
    numbered = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), numbered
