"""Ends alerts that were not sent again in time, and acknowledgements of them. What is due is stored, so that no
restart and no replica loses or doubles it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from vigie_contracts.alerts import Transition
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move, StoredAlert
from vigie_storage.mongo import bounded

from vigie_alerting.alert import decode
from vigie_alerting.alerts.stored import stored
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.external import life

POLL_S: Final = 1.0
MOST: Final = 200
"""Alerts of one transaction."""
GRACE_MS: Final = 2 * 60_000
"""After a start, and after the store was away, what ended before it waits so long: nobody could send it again."""
_AWAY: Final = Backoff(0.5, 10.0)


class Ending:
    """`run` until `stop`. Any number of replicas may do it at once: who comes second finds that the alert moved."""

    def __init__(self, states: AlertStates, dispatcher: Dispatcher, clock: Clock) -> None:
        self._states, self._dispatcher, self._clock = states, dispatcher, clock
        self._since_ms = clock.now_ms()
        """From then on alerts can be sent again."""
        self._claiming = Claiming(self.end_some, POLL_S, _AWAY)
        self.run, self.stop = self._claiming.run, self._claiming.stop

    async def end_some(self) -> bool:
        """What is due now, longest due first. Whether there was anything. Raises StoreUnavailable."""
        try:
            return await self._end_due()
        except StoreUnavailable:
            self._since_ms = self._clock.now_ms()
            raise

    async def _end_due(self) -> bool:
        now_ms = self._clock.now_ms()
        since_ms = self._since_ms if now_ms < self._since_ms + GRACE_MS else 0
        found = await self._states.due(since_ms, now_ms, MOST)
        try:
            await self._end(found)
        except AlertMoved:
            for one in found:  # each alone: only who moved is left, for the next time
                await self._end_alone(one)
        return bool(found)

    async def _end_alone(self, one: StoredAlert) -> None:
        try:
            await self._end([one])
        except AlertMoved:
            return

    async def _end(self, found: Sequence[StoredAlert]) -> None:
        moves: list[Move] = []
        transitions: list[Transition] = []
        for one in found:
            alert = decode(one.data)
            if alert.external is None:
                continue
            outcome = life.elapsed(alert, alert.external, self._clock.now_ms())
            transitions += outcome.transitions
            moves.append(Move(one, None if outcome.after is None else stored(outcome.after, outcome.rule)))
        if transitions:
            await self._dispatcher.dispatch(transitions, also=partial(self._states.write, moves))
        elif moves:
            with bounded():
                await self._states.write(moves)
