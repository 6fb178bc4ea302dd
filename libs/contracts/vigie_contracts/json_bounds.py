"""How much JSON of anybody's making may hold: what is kept whole must fit the stores, and cost little to look at."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, cast

_INT64: Final = 1 << 63


class Crossed(Enum):
    """A bound that is crossed."""

    DEPTH = "depth"
    KEYS = "keys"
    NUL = "nul"
    """A key holds a NUL character."""
    INTEGER = "integer"
    """An integer does not fit 64 bits."""


def crossed(given: Mapping[str, Any], *, max_depth: int, max_keys: int) -> Crossed | None:
    """The first bound that is crossed: levels of objects and lists, the outermost included, and keys of all objects
    together. Level by level, so that depth costs no recursion."""
    level: list[Any] = [given]
    keys = 0
    for _ in range(max_depth):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                members = cast("dict[str, Any]", one)
                keys += len(members)
                if any("\0" in key for key in members):
                    return Crossed.NUL
                inner += members.values()
            else:
                inner += one
        if keys > max_keys:
            return Crossed.KEYS
        if any(isinstance(one, int) and not -_INT64 <= one < _INT64 for one in inner):
            return Crossed.INTEGER
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return None
    return Crossed.DEPTH
