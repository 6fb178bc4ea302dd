"""What a rule's alerts did in some time, told as episodes: from when on, how long, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vigie_contracts.alerts import AlertState, Severity, Transition

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Episode:
    """One life of an alert. Unix milliseconds."""

    steps: tuple[Transition, ...]
    """Never empty."""

    @property
    def labels(self) -> dict[str, str]:
        return self.steps[-1].labels

    @property
    def severity(self) -> Severity:
        """The worst."""
        return max((one.severity for one in self.steps), key=_RANK.__getitem__)

    @property
    def began_ms(self) -> int:
        """When the condition began to hold."""
        return self.steps[0].starts_at or self.steps[0].timestamp

    @property
    def fired_ms(self) -> int | None:
        """When it fired first; None: it never did."""
        return next((one.timestamp for one in self.steps if one.to_state is AlertState.FIRING), None)

    @property
    def ended_ms(self) -> int | None:
        """None: it goes on."""
        last = self.steps[-1]
        return last.timestamp if last.to_state in (AlertState.RESOLVED, AlertState.INACTIVE) else None

    def firing_ms(self, until_ms: int) -> int:
        """For how long it fired in all."""
        total, since = 0, None
        for step in self.steps:
            if step.to_state in (AlertState.FIRING, AlertState.ACKNOWLEDGED):
                since = step.timestamp if since is None else since
            elif since is not None:
                total, since = total + step.timestamp - since, None
        return total + (0 if since is None else max(until_ms - since, 0))

    @property
    def value(self) -> float | None:
        """When it fired first, else when it began."""
        fired = next((one for one in self.steps if one.to_state is AlertState.FIRING), self.steps[0])
        return fired.value


def episodes(transitions: Iterable[Transition]) -> list[Episode]:
    """Of transitions in their order; in the order in which they began."""
    found: dict[str, list[Transition]] = {}
    for one in transitions:
        found.setdefault(one.episode, []).append(one)
    return [Episode(tuple(steps)) for steps in found.values()]


def fired(some: Sequence[Episode]) -> list[Episode]:
    """Those that came to firing."""
    return [one for one in some if one.fired_ms is not None]
