"""Alerts that are posted: judged by what is stored, and stored with all that comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from vigie_contracts.alerts import AlertState
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move, StoredAlert
from vigie_storage.mongo import bounded

from vigie_alerting.alert import Alert, decode, fingerprint
from vigie_alerting.alerts.errors import AlertBusy
from vigie_alerting.alerts.stored import stored
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.external import life
from vigie_alerting.external.life import Outcome
from vigie_alerting.external.metrics import POSTED, Became
from vigie_alerting.external.posted import EXTERNAL, Posted

MAX_OPEN: Final = 10_000
"""Alerts from outside of one tenant that fire at once."""
CHUNK: Final = 200
"""Alerts of one transaction."""
ATTEMPTS: Final = 5
_OPEN: Final = {
    "rule": {"$eq": EXTERNAL},
    "state": {"$in": [AlertState.FIRING.value, AlertState.ACKNOWLEDGED.value]},
}


class Intake:
    """Of all tenants."""

    def __init__(self, states: AlertStates, dispatcher: Dispatcher, clock: Clock, metrics: MetricSet) -> None:
        self._states, self._dispatcher, self._clock = states, dispatcher, clock
        self._posted = {became: metrics.counter(POSTED, outcome=became) for became in Became}

    async def take(self, tenant: TenantId, posted: Sequence[Posted], invalid: int = 0) -> int:
        """Store them; of one that is there twice the last. How many were refused because MAX_OPEN fire. `invalid`: of
        the same request, for the count. Raises StoreUnavailable, AlertBusy; sending all of it again is harmless."""
        self._posted[Became.REFUSED].inc(invalid)
        unique = list({fingerprint(tenant, EXTERNAL, one.labels): one for one in posted}.items())
        refused = 0
        for start in range(0, len(unique), CHUNK):
            refused += await self._take(tenant, dict(unique[start : start + CHUNK]))
        return refused

    async def _take(self, tenant: TenantId, posted: Mapping[str, Posted]) -> int:
        for _ in range(ATTEMPTS):
            found = {one.fingerprint: one for one in await self._states.of_tenant(tenant, list(posted))}
            now_ms = self._clock.now_ms()
            before = {name: _alert(found.get(name)) for name in posted}
            outcomes = {name: life.posted(before[name], said, tenant, now_ms) for name, said in posted.items()}
            news = {name: one for name, one in outcomes.items() if one.changed and one.after is not None}
            refused = await self._beyond(tenant, [name for name, one in news.items() if _begins(before[name], one)])
            for name in refused:
                del news[name]
            try:
                await self._store(news, found)
            except AlertMoved:
                continue
            self._posted[Became.WRITTEN].inc(len(news))
            self._posted[Became.REFUSED].inc(len(refused))
            self._posted[Became.UNCHANGED].inc(len(posted) - len(news) - len(refused))
            return len(refused)
        raise AlertBusy

    async def _beyond(self, tenant: TenantId, begun: list[str]) -> list[str]:
        """Those of them for which there is no room."""
        if not begun:
            return []
        return begun[max(MAX_OPEN - await self._states.count(tenant, _OPEN, MAX_OPEN), 0) :]

    async def _store(self, news: Mapping[str, Outcome], found: Mapping[str, StoredAlert]) -> None:
        moves = [
            Move(found.get(name), stored(one.after, one.rule)) for name, one in news.items() if one.after is not None
        ]
        transitions = [transition for one in news.values() for transition in one.transitions]
        if transitions:
            await self._dispatcher.dispatch(transitions, also=partial(self._states.write, moves))
        elif moves:  # ends that moved on: nothing happened
            with bounded():
                await self._states.write(moves)


def _alert(found: StoredAlert | None) -> Alert | None:
    return None if found is None else decode(found.data)


def _begins(before: Alert | None, outcome: Outcome) -> bool:
    return outcome.after is not None and outcome.after.open and (before is None or not before.open)
