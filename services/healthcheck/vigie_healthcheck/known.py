"""A target with what is known of it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_storage.health.states import TargetState

_MISSED: Final = 2
"""Checks that may fail to come until nobody says any more that they know."""
_MARGIN_MS: Final = 15_000


@dataclass(frozen=True, slots=True)
class Known:
    """`state` None: it was never checked."""

    target: Target
    state: TargetState | None = None

    def verdict(self, at_ms: int) -> Verdict:
        """What it is: after thresholds, and unknown where it is not checked any more."""
        if self.state is None or not self.target.enabled or self._stale(at_ms):
            return Verdict.UNKNOWN
        return self.state.state

    def reason(self, at_ms: int) -> str:
        """Why it is so; empty when it is up."""
        if not self.target.enabled:
            return "it is switched off"
        if self.state is None or not self.state.checked_ms:
            return "it was not checked yet"
        if self._stale(at_ms):
            return "it is not checked any more: no prober answers for it"
        return self.state.reason

    def since_ms(self, at_ms: int) -> int:
        """When it became what it is; 0: that is not known."""
        if self.state is None or not self.target.enabled:
            return 0
        return self.state.checked_ms if self._stale(at_ms) else self.state.since_ms

    def _stale(self, at_ms: int) -> bool:
        if self.state is None or not self.state.checked_ms:
            return True
        one = self.target.deadline_ms * (self.target.retries + 1)
        due = max(self.state.checked_ms + _MISSED * self.target.period_ms, self.state.due_ms)
        return at_ms > due + one + _MARGIN_MS
