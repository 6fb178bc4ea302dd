"""Sets of labels, as PromQL's operators change them. The name of the metric is the label `__name__`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from vigie_contracts.series import Labels

NAME: Final = "__name__"
T = TypeVar("T")
_MOST_DERIVED: Final = 64
"""A plan derives a few; more are of many plans over the same samples."""


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


class LabelSets(list[Labels]):
    """The labels of many series, never changed: what was derived of them is remembered here, so that a plan that is
    evaluated again over the same series only computes."""

    def __init__(self, labels: Iterable[Labels]) -> None:
        super().__init__(labels)
        self.known: dict[Hashable, Any] = {}


def derived(labels: Sequence[Labels], what: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives for these labels, remembered where they are LabelSets. `what` says what it is."""
    if not isinstance(labels, LabelSets):
        return make()
    if what not in labels.known:
        if len(labels.known) >= _MOST_DERIVED:
            labels.known.clear()
        labels.known[what] = make()
    return labels.known[what]


def grouped(keys: Iterable[Labels]) -> tuple[list[Labels], list[int]]:
    """The different keys in the order in which they come, and the number of the key of each."""
    numbers: dict[Labels, int] = {}
    numbered = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), numbered
