"""Why nobody is alerted of a target: it is being maintained, or something that it needs is down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Target
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.states import HealthStates, TargetState

from vigie_healthcheck import maintenance

MAINTENANCE: Final = "maintenance"
DEPENDENCY: Final = "dependency"
FRESH_S: Final = 1.0
_PARENTS: Final = 10_000
"""Whose state is kept."""


class Muting:
    """Other processes may own what a target depends on: then its state is read, at most once in FRESH_S."""

    def __init__(self, states: HealthStates, own: Callable[[str], TargetState | None], clock: Clock) -> None:
        """`own`: the state of a target of this process."""
        self._states, self._own = states, own
        self._down = TtlCache[bool](clock, FRESH_S, _PARENTS, name="states of what targets depend on")
        self._last = dict[str, bool]()

    async def reason(self, target: Target, at_ms: int) -> str:
        """MAINTENANCE, DEPENDENCY, or empty. While the store is away, what was read last counts."""
        if maintenance.current(target.maintenance, at_ms) is not None:
            return MAINTENANCE
        return DEPENDENCY if target.depends_on and await self._any_down(target.depends_on) else ""

    async def _any_down(self, parents: Sequence[str]) -> bool:
        for parent in parents:
            state = self._own(parent)
            down = await self._down.get(parent, partial(self._read, parent)) if state is None else _is_down(state)
            if down:
                return True
        return False

    async def _read(self, parent: str) -> bool:
        try:
            found = (await self._states.some([parent])).get(parent)
        except StoreUnavailable:
            return self._last.get(parent, False)
        if len(self._last) >= _PARENTS:
            self._last.clear()
        self._last[parent] = found is not None and _is_down(found)
        return self._last[parent]


def _is_down(state: TargetState) -> bool:
    return state.state is Verdict.DOWN
