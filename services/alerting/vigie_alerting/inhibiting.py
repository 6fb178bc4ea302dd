"""What inhibition mutes: a stage of the pipeline.

The alerts of a tenant that fire are read at most once a second, and only while one comes that a rule may mute; what
this process stores meanwhile is known at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_storage.alerts.states import AlertStates

from vigie_alerting.inhibition import Inhibited, Inhibiting, Inhibitions, Source
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.snapshots import Snapshots
from vigie_alerting.transitions import ALERTNAME

KEPT_S: Final = 1.0
_FIRING: Final = frozenset({AlertState.FIRING, AlertState.ACKNOWLEDGED})
_TENANTS: Final = 1_000
_MAX_RECENT: Final = 10_000
"""Steps beside what was read; more of them, and it is read again."""


@dataclass(slots=True)
class _Known:
    rules: Inhibitions
    read_at: float
    """On the monotonic clock, before it was read."""
    stored: Inhibiting
    recent: dict[str, Source | None] = field(default_factory=dict[str, Source | None])
    """What was stored since, by fingerprint; None: it does not fire any more."""
    over: set[str] = field(default_factory=set[str])


class InhibitionMuting:
    """A `Muter`."""

    def __init__(self, held: Snapshots[Inhibitions], states: AlertStates, clock: Clock) -> None:
        self._held, self._states, self._clock = held, states, clock
        self._known: OrderedDict[TenantId, _Known] = OrderedDict()

    async def __call__(self, tenant: TenantId, items: Sequence[Item], _now_ms: int) -> list[Mute | None]:
        """One verdict for each. Alerts that begin to fire together inhibit each other. Raises StoreUnavailable."""
        rules = await self._held.of(tenant)
        if not len(rules) or not any(rules.concern(item.labels) for item in items):
            return [None] * len(items)
        known = await self._sources(tenant, rules)
        together = {item.transition.fingerprint: _source(item.transition) for item in items}
        newer = rules.with_sources([*together.values(), *(one for one in known.recent.values() if one is not None)])
        over = known.over - together.keys()
        return [self._mute(known.stored, newer, item, over) for item in items]

    def stored(self, transitions: Sequence[Transition]) -> None:
        """These were, by this process."""
        for step in transitions:
            known = self._known.get(TenantId(step.tenant))
            if known is None:
                continue
            if len(known.recent) >= _MAX_RECENT:
                del self._known[TenantId(step.tenant)]
                continue
            fires = step.to_state in _FIRING
            known.recent[step.fingerprint] = _source(step) if fires else None
            (known.over.discard if fires else known.over.add)(step.fingerprint)

    def _mute(self, stored: Inhibiting, newer: Inhibiting, item: Item, over: set[str]) -> Mute | None:
        fingerprint = item.transition.fingerprint
        found = newer.of(fingerprint, item.labels) or stored.of(fingerprint, item.labels, over)
        return None if found is None else Mute(Why.INHIBITED, found.rule, _sentence(found))

    async def _sources(self, tenant: TenantId, rules: Inhibitions) -> _Known:
        now = self._clock.monotonic()
        known = self._known.get(tenant)
        if known is None or known.rules is not rules or now - known.read_at >= KEPT_S:
            found = await self._states.firing(tenant, rules.asked)
            stored = rules.with_sources(Source(fingerprint, labels) for fingerprint, labels in found)
            known = self._known[tenant] = _Known(rules, now, stored)
            if len(self._known) > _TENANTS:
                self._known.popitem(last=False)
        return known


def _source(step: Transition) -> Source:
    return Source(step.fingerprint, labels_of(step))


def _sentence(found: Inhibited) -> str:
    source = found.source
    name = source.labels.get(ALERTNAME, source.fingerprint)
    return f"inhibited by {found.rule!r} while {name} ({source.fingerprint}) fires"
