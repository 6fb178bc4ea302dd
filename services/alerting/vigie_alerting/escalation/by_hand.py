"""Escalating by hand: the next step of an alert's chains is due at once, in one transaction with its entry of the audit
log. Whoever tells steps tells it then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_query.times import iso
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.escalations import EscalationStore, StoredEscalation
from vigie_storage.mongo import Session, transaction

from vigie_alerting.alert import Alert
from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.chain import State
from vigie_alerting.escalation.errors import NotEscalated
from vigie_alerting.escalation.escalations import running_of, stored
from vigie_alerting.notifying.pipeline import again


@dataclass(frozen=True, slots=True)
class Hastened:
    """One chain whose next step is told now."""

    chain: str
    step: int
    """From 1."""


class ByHand:
    """`wake` is the escalator's."""

    def __init__(
        self, db: Database, store: EscalationStore, audit: Audit, wake: Callable[[], None], clock: Clock
    ) -> None:
        self._db, self._store, self._audit, self._wake, self._clock = db, store, audit, wake, clock

    async def escalate(self, alert: Alert, by: Actor, *, told: int | None = None) -> list[Hastened]:
        """Every chain of the alert that waits tells its next step now. Asked again before that is told, it changes
        nothing. `told`: how many steps had been told when the caller looked (`told_in`); when there are more, somebody
        was faster. Raises NotEscalated, with a sentence; StoreUnavailable."""
        if not alert.open:
            raise NotEscalated(f"the alert is {alert.state}: only one that fires is escalated")
        tenant, fingerprint = TenantId(alert.tenant), alert.fingerprint

        async def work(session: Session) -> list[Hastened]:
            found = await self._store.open_of(tenant, [fingerprint], session)
            found = [one for one in found if one.episode == alert.episode]
            _check(found, told)
            now = self._clock.now_ms()
            waiting = [(one, running) for one in found if (running := running_of(one)).at.state is State.WAITING]
            new = [(one, running) for one, running in waiting if not running.asked_by]
            # `muted`: what keeps it back is said again, to whoever asked for it.
            writes = [
                stored(one, replace(running, at=chains.hastened(running.at, now), asked_by=by.name, muted=""))
                for one, running in new
            ]
            if writes:
                await self._store.write(writes, session)
                names = sorted(one.chain for one, _ in new)
                await self._audit.add(session, tenant, by, Action.ALERT_ESCALATED, fingerprint, chains=names)
            return [Hastened(one.chain, running.at.step + 1) for one, running in waiting]

        made = await again(lambda: transaction(self._db, work))
        self._wake()
        return made


def told_in(found: Sequence[StoredEscalation], episode: str) -> int:
    """How many steps were told of the chains of an episode."""
    return sum(running_of(one).at.told for one in found if one.episode == episode)


def _check(found: Sequence[StoredEscalation], told: int | None) -> None:
    if not found:
        raise NotEscalated("no escalation chain tells of this alert: no receiver of the routes that take it names one")
    runs = [(one, running_of(one)) for one in found]
    if told is not None and sum(running.at.told for _, running in runs) > told:
        last = max(running.last_ms for _, running in runs)
        raise NotEscalated(f"it was escalated meanwhile, at {iso(last)}: look at who was told, and escalate again")
    if any(running.at.state is State.WAITING for _, running in runs):
        return
    if any(running.at.state is State.PAUSED for _, running in runs):
        raise NotEscalated("somebody has this alert, so that its chain is paused: take the acknowledgement back first")
    chain = runs[0][0].chain
    raise NotEscalated(f"the chain {chain!r} is done: everybody in it was told, as often as it says")
