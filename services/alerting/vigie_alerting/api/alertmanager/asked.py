"""What a listing of alerts asks for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_query.matchers import regex

from vigie_alerting.api.alertmanager.standing import Standing
from vigie_alerting.routing import matchers

MAX_FILTERS: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """`matches` judges labels, `receiver` a receiver's name."""

    matches: Callable[[Mapping[str, str]], bool]
    receiver: Callable[[str], bool]
    active: bool
    silenced: bool
    inhibited: bool

    @classmethod
    def of(
        cls, filters: Sequence[str], receiver: str | None, receiver_matchers: Sequence[str], *, active: bool,
        silenced: bool, inhibited: bool,
    ) -> Asked:  # fmt: skip
        """Raises InvalidParameter, QueryLimitExceeded."""
        named = regex(receiver, "receiver") if receiver else None
        # Receivers have no labels of their own.
        fits = matchers.parse(receiver_matchers, "receiver_matchers").match({})
        return cls(
            matchers.parse(filters, "filter").match,
            lambda name: fits and (named is None or named(name)),
            active,
            silenced,
            inhibited,
        )

    def shows(self, standing: Standing) -> bool:
        """Whether an alert that stands so is wanted."""
        if not self.active and not standing.suppressed:
            return False
        if not self.silenced and standing.silenced_by:
            return False
        return self.inhibited or not standing.inhibited_by
