"""Sorting what may be very long, in a thread."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

_RUN: Final = 1_000
"""Sorted at a time: a few milliseconds."""
T = TypeVar("T")


def ordered(items: Sequence[T], key: Callable[[T], Any] | None = None) -> list[T]:
    """`sorted`, in parts that are merged: one sort of very many lets no other thread run until it ends."""
    if len(items) <= _RUN:
        return sorted(items, key=key)  # pyright: ignore[reportArgumentType, reportCallIssue] - as for `sorted` itself
    runs = [sorted(items[at : at + _RUN], key=key) for at in range(0, len(items), _RUN)]  # pyright: ignore
    return list(heapq.merge(*runs, key=key))
