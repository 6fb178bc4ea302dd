"""Which samples change nothing: of a rule that compares the newest values of its series, those of series without an
alert that do not meet the condition. They are told apart for whole arrays, so that a sample costs no work of its own.
"""

from __future__ import annotations

from math import inf, nextafter
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.alerts import Condition

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Calm(NamedTuple):
    """Values between these, both excluded, change nothing."""

    low: float
    high: float

    def and_(self, other: Calm) -> Calm:
        """What changes nothing for either."""
        return Calm(max(self.low, other.low), min(self.high, other.high))


NEVER: Final = Calm(inf, -inf)
ALWAYS: Final = Calm(-inf, inf)


def calm(condition: Condition, threshold: float) -> Calm:
    """What does not meet the condition, as far as that is one range."""
    match condition:
        case Condition.GREATER:
            return Calm(-inf, nextafter(threshold, inf))
        case Condition.GREATER_OR_EQUAL:
            return Calm(-inf, threshold)
        case Condition.LESS:
            return Calm(nextafter(threshold, -inf), inf)
        case Condition.LESS_OR_EQUAL:
            return Calm(threshold, inf)
        case _:
            return NEVER


class Attention:
    """What is calm for all rules of each watch, by the number of the watch; and the series with alerts."""

    def __init__(self) -> None:
        self._low, self._high = np.empty(0), np.empty(0)
        self._alerts = np.zeros(0, np.int32)
        """[homes]: of how many rules it has one."""
        self._alerted: dict[str, Ints] = {}
        """Rule -> the homes with alerts of it."""

    def set(self, watch: int, calm: Calm) -> None:
        """From now on."""
        if watch >= len(self._low):
            more = max(64, len(self._low), watch + 1 - len(self._low))
            self._low = np.append(self._low, np.full(more, NEVER.low))
            self._high = np.append(self._high, np.full(more, NEVER.high))
        self._low[watch], self._high[watch] = calm

    def set_alerted(self, rule_id: str, homes: Ints) -> None:
        """The series of a rule that have alerts: each of their samples matters."""
        before = self._alerted.pop(rule_id, None)
        if before is not None:
            self._alerts[before] -= 1
        if len(homes):
            top = int(homes.max()) + 1
            if top > len(self._alerts):
                more = max(top, 2 * len(self._alerts)) - len(self._alerts)
                self._alerts = np.append(self._alerts, np.zeros(more, np.int32))
            self._alerted[rule_id] = homes = np.unique(homes)
            self._alerts[homes] += 1

    def wanted(self, watches: Ints, values: Floats, homes: Ints) -> Bools:
        """[n]: whether a rule of that watch must look at that value of that series."""
        matter = ~((values > self._low[watches]) & (values < self._high[watches]))
        if self._alerted:
            known = np.minimum(homes, len(self._alerts) - 1)
            matter |= (self._alerts[known] > 0) & (known == homes)
        return matter
