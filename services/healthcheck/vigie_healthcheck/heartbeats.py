"""Beats of targets that report by themselves."""

from __future__ import annotations

from collections.abc import Callable

from vigie_contracts.problems import ProblemKind
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_storage.health.beats import Beats
from vigie_storage.health.states import HealthStates


class HeartbeatNotFound(ProblemError):  # noqa: N818 - named after what is wrong
    """Nobody is heard of by the token."""

    kind, status = ProblemKind.NOT_FOUND, 404

    def __init__(self) -> None:
        super().__init__("there is no heartbeat with this token")


class Heartbeats:
    """`wake` is called when this process may own the target that was heard of."""

    def __init__(self, beats: Beats, states: HealthStates, clock: Clock, wake: Callable[[], None]) -> None:
        self._beats, self._states, self._clock, self._wake = beats, states, clock, wake

    async def hear(self, token: str, *, failed: bool = False, code: int | None = None) -> None:
        """Note a beat, and have its target checked at once. Raises HeartbeatNotFound, StoreUnavailable."""
        now_ms = self._clock.now_ms()
        beat = await self._beats.hear(token, now_ms, failed=failed, code=code)
        if beat is None:
            raise HeartbeatNotFound
        await self._states.ask(beat.tenant, [beat.target], now_ms)
        self._wake()
