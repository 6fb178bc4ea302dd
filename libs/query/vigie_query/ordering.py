"""Sorting what may be very long, in a thread."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

_RUN: Final = 1_000
"""Sorted at a time: a few milliseconds."""
T = TypeVar("T")


def _itself(item: Any) -> Any:
    return item


def ordered(items: Sequence[T], key: Callable[[T], Any] = _itself) -> list[T]:
    """`sorted`, in parts that are merged: one sort of very many lets no other thread run until it ends."""
    if len(items) <= _RUN:
        return sorted(items, key=key)
    runs = [sorted(items[at : at + _RUN], key=key) for at in range(0, len(items), _RUN)]
    return list(heapq.merge(*runs, key=key))
