"""Alerts of a replaced system that are over, stored with their steps: nobody is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move

from vigie_alerting.alerts.errors import AlertBusy
from vigie_alerting.alerts.stored import stored
from vigie_alerting.external.past import Past, lived


async def bring(tenant: TenantId, past: Sequence[Past], states: AlertStates, ledger: Ledger) -> list[int]:
    """Store those that are not there, in one transaction; the places of those that were. Of one that is sent twice the
    first counts. Raises StoreUnavailable, AlertBusy; sending all of it again is harmless."""
    some = [lived(tenant, said) for said in past]
    lives = {one.alert.fingerprint: one for one in reversed(some)}
    known = {one.fingerprint for one in await states.of_tenant(tenant, list(lives))}
    new = [one for fingerprint, one in lives.items() if fingerprint not in known]
    moves = [Move(None, stored(one.alert, one.rule)) for one in new]
    if moves:
        try:
            steps = [transition for one in new for transition in one.transitions]
            await ledger.store(steps, [], partial(states.write, moves), past=True)
        except AlertMoved as e:
            raise AlertBusy from e
    fresh = {id(one) for one in new}
    return [place for place, one in enumerate(some) if id(one) not in fresh]
