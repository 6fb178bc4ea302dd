"""What an answer says beside its values: that something may be wrong (warnings), or that it is as well as can be known
(infos). The texts are Prometheus' where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vigie_query.promql.errors import Place

Inform: TypeAlias = Callable[[str], None]
"""Takes a text about one part of an expression."""
MAX_TOLD: Final = 10
"""Warnings, and infos, of one answer; of the rest it says how many they are."""
_MAX_KEPT: Final = 1_000


def _texts() -> dict[str, None]:
    return {}


@dataclass(frozen=True, slots=True)
class Annotations:
    """Each text once, in the order in which they came."""

    warnings: dict[str, None] = field(default_factory=_texts)
    infos: dict[str, None] = field(default_factory=_texts)

    def warn(self, *texts: str, place: Place | None = None) -> None:
        """`place`: of the part of the expression that it is about."""
        _add(self.warnings, (f"PromQL warning: {text}{_at(place)}" for text in texts))

    def inform(self, *texts: str, place: Place | None = None) -> None:
        """`place`: of the part of the expression that it is about."""
        _add(self.infos, (f"PromQL info: {text}{_at(place)}" for text in texts))

    def take(self, warnings: Iterable[str], infos: Iterable[str]) -> None:
        """Texts as another has them."""
        _add(self.warnings, warnings)
        _add(self.infos, infos)

    def told(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The warnings and the infos of the answer, a bounded number of each."""
        return _told(self.warnings, "warning"), _told(self.infos, "info")


def _at(place: Place | None) -> str:
    return f" ({place})" if place else ""


def _add(known: dict[str, None], texts: Iterable[str]) -> None:
    for text in texts:
        if len(known) < _MAX_KEPT:
            known[text] = None


def _told(texts: dict[str, None], what: str) -> tuple[str, ...]:
    found = tuple(texts)
    if len(found) <= MAX_TOLD:
        return found
    return *found[:MAX_TOLD], f"{len(found) - MAX_TOLD} more {what} annotations omitted"
