"""How long a group of alerts waits, by severity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vigie_contracts.alerts import Severity

from vigie_alerting.routing.model import OTHERWISE, Durations
from vigie_alerting.rules.durations import parse_duration

_S: Final = 1_000
_URGENT: Final = (Severity.CRITICAL, Severity.ERROR, Severity.HIGH)
DEFAULT_GROUP_WAIT: Final[Mapping[str, int]] = {OTHERWISE: 0}
"""The first is told at once."""
DEFAULT_GROUP_INTERVAL: Final[Mapping[str, int]] = {OTHERWISE: 300 * _S, **{one.value: 30 * _S for one in _URGENT}}
DEFAULT_REPEAT_INTERVAL: Final[Mapping[str, int]] = {OTHERWISE: 4 * 3_600 * _S}


@dataclass(frozen=True, slots=True)
class Timings:
    """Of one leg. Milliseconds."""

    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    """0: never."""


@dataclass(frozen=True, slots=True)
class Waits:
    """The three by severity; each has OTHERWISE."""

    group_wait: Mapping[str, int]
    group_interval: Mapping[str, int]
    repeat_interval: Mapping[str, int]

    def of(self, severity: str) -> Timings:
        """Those of an alert of this severity, whatever it is called."""
        return Timings(*(one.get(severity, one[OTHERWISE]) for one in self._all))

    def under(self, wait: Durations, interval: Durations, repeat: Durations) -> Waits:
        """Those of a route below, which says these. Raises ValueError."""
        said = (wait, interval, repeat)
        return Waits(*(_over(above, own) for above, own in zip(self._all, said, strict=True)))

    @property
    def _all(self) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
        return self.group_wait, self.group_interval, self.repeat_interval


DEFAULTS: Final = Waits(DEFAULT_GROUP_WAIT, DEFAULT_GROUP_INTERVAL, DEFAULT_REPEAT_INTERVAL)


def _over(above: Mapping[str, int], own: Durations) -> Mapping[str, int]:
    if own is None:
        return above
    if isinstance(own, str):
        return {OTHERWISE: parse_duration(own)}
    said = {severity: parse_duration(text) for severity, text in own.items()}
    # Who says what is to hold otherwise says it of all severities that are not named.
    return said if OTHERWISE in said else {**above, **said}
