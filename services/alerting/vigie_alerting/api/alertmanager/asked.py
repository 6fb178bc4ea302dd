"""What a listing of alerts asks for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_query.matchers import regex
from vigie_runtime.expressions import Check

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
    tries_expressions: bool
    """Whether `matches` or `receiver` does: then `among` is no work for the event loop."""

    @classmethod
    def of(
        cls, filters: Sequence[str], receiver: str | None, receiver_matchers: Sequence[str], *, active: bool,
        silenced: bool, inhibited: bool,
    ) -> Asked:  # fmt: skip
        """Raises InvalidParameter, QueryLimitExceeded."""
        named = regex(receiver, "receiver") if receiver else None
        # Receivers have no labels of their own.
        fits = matchers.parse(receiver_matchers, "receiver_matchers").match({})
        parsed = matchers.parse(filters, "filter")
        return cls(
            parsed.match,
            lambda name: fits and (named is None or named(name)),
            active,
            silenced,
            inhibited,
            named is not None or any(one.is_regex for one in parsed.all),
        )

    def among(
        self, standings: Iterable[Standing], check: Check = lambda: None
    ) -> tuple[list[Standing], frozenset[str]]:
        """Those with labels that are asked for, and the names of their receivers that are. `check` is called after
        each alert and name; it may raise."""
        found: list[Standing] = []
        for one in standings:
            if self.matches(one.labels):
                found.append(one)
            check()
        receivers: set[str] = set()
        for name in {way.receiver for one in found for way in one.ways}:
            if self.receiver(name):
                receivers.add(name)
            check()
        return found, frozenset(receivers)

    def shows(self, standing: Standing) -> bool:
        """Whether an alert that stands so is wanted."""
        if not self.active and not standing.suppressed:
            return False
        if not self.silenced and standing.silenced_by:
            return False
        return self.inhibited or not standing.inhibited_by
