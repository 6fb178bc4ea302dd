"""Labels of many series, and what was once computed from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, TypeVar

from vigie_contracts.series import Labels

MAX_KNOWN: Final = 8
"""Results that one list remembers: at worst these and those that they remember take 1.5 kB for each of its labels."""
T = TypeVar("T")


class LabelSets(list[Labels]):
    """Labels that are never changed, and remember what was computed from them: rules ask the same again and again.

    A list that several evaluations share is worth being one."""

    __slots__ = ("known",)

    def __init__(self, labels: Iterable[Labels] = ()) -> None:
        super().__init__(labels)
        self.known: dict[Hashable, Any] = {}


def listed(labels: Sequence[Labels]) -> list[Labels]:
    """The same list, if it is one."""
    return labels if isinstance(labels, list) else list(labels)


def remembered(labels: Sequence[Labels], what: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` gives for these labels, which `what` says. From any thread: then it is computed twice at worst."""
    if not isinstance(labels, LabelSets):
        return compute()
    known: T | None = labels.known.get(what)
    if known is None:
        if len(labels.known) >= MAX_KNOWN:
            labels.known.clear()
        known = labels.known[what] = compute()
    return known
