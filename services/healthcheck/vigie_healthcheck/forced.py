"""Checks that somebody waits for: whoever owns the targets makes them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from vigie_contracts.targets import Target
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_storage.health.states import HealthStates, TargetState

from vigie_healthcheck.known import Known

LOOK_S: Final = 0.2
MARGIN_S: Final = 3.0
"""Until the owner looks, and until the result is stored."""
MAX_WAIT_S: Final = 30.0
"""Longer no proxy waits for an answer."""


class ForcedChecks:
    """`wake` is called when this process may own some of what was asked for."""

    def __init__(self, states: HealthStates, clock: Clock, wake: Callable[[], None]) -> None:
        self._states, self._clock, self._wake = states, clock, wake

    async def check(self, tenant: TenantId, targets: Sequence[Target]) -> tuple[list[Known], list[str]]:
        """Have the targets checked: each with its state, and the names of those whose check is not over in time.
        Raises StoreUnavailable."""
        asked_ms = self._clock.now_ms()
        waiting = {one.id for one in targets}
        if not waiting:
            return [], []
        await self._states.ask(tenant, waiting, asked_ms)
        self._wake()
        until = self._clock.monotonic() + min(MAX_WAIT_S, max(map(_longest_s, targets)) + MARGIN_S)
        states: dict[str, TargetState] = {}
        while waiting and self._clock.monotonic() < until:
            await asyncio.sleep(LOOK_S)
            found = await self._states.some(waiting)
            states |= found
            waiting -= {id_ for id_, state in found.items() if state.checked_ms >= asked_ms}
        known = [Known(one, states.get(one.id)) for one in targets]
        return known, [one.name for one in targets if one.id in waiting]


def _longest_s(target: Target) -> float:
    """All attempts of a check together take no longer."""
    return target.deadline_ms * (target.retries + 1) / 1000
