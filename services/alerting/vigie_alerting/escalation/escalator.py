"""Tells the steps that are due: each in one transaction with where its alerts stand then, so that a process that dies
has told it, or not; of two replicas that try, one does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Channel, Transition, transition_id
from vigie_contracts.decisions import Decision, Why
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.document import Notification
from vigie_storage.alerts.escalations import EscalationStore, StoredEscalation
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.alerts.states import AlertStates
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.chain import Chain
from vigie_alerting.escalation.escalations import MAX_ADDRESSES, Running, decision, notification, running_of, stored
from vigie_alerting.escalation.oncall import OnCall
from vigie_alerting.escalation.reaching import Reach, Reaching
from vigie_alerting.notifiers.text import ESCALATION
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.muting import Mute, Muter, muted
from vigie_alerting.sender.failpoints import Failpoint, Point, never
from vigie_alerting.snapshots import Snapshots

log = logging.get(__name__)

POLL_S: Final = 1.0
STORE: Final = Backoff(0.1, 2.0)
MAX_DUE: Final = 200
"""Escalations of one look."""
RECHECK_MS: Final = 30_000
"""How often a mute of which nobody knows the end is looked at again."""

Touch: TypeAlias = Callable[[TenantId, Sequence[str], Session], Awaitable[object]]
"""What is shown of these alerts is not true any more."""


async def _nothing(_tenant: TenantId, _fingerprints: Sequence[str], _session: Session) -> None: ...


@dataclass(frozen=True, slots=True)
class _Due:
    """An escalation with the newest step of its alert."""

    stored: StoredEscalation
    running: Running
    step: Transition


class Escalator:
    """For one event loop. `run` until `stop`; `wake` it when an escalation began."""

    def __init__(
        self,
        db: Database,
        store: EscalationStore,
        known: Snapshots[OnCall],
        reaching: Reaching,
        *,
        states: AlertStates,
        ledger: Ledger,
        decisions: Decisions,
        muters: Sequence[Muter],
        default: Callable[[TenantId], Awaitable[Sequence[Channel]]],
        sender: Callable[[], None],
        clock: Clock,
        touch: Touch = _nothing,
        touched: Callable[[], None] = lambda: None,
        metrics: NotifyingMetrics | None = None,
        session: Session | None = None,
        failpoint: Failpoint = never,
    ) -> None:
        """`default`: the channels of a tenant that are told when nobody of a chain can be; `sender` is woken when there
        is something to send; `touch` belongs to the transaction in which something of these alerts is told, and
        `touched` is called after it; `session`: for its transactions, one after the other, else each has its own."""
        self._session, self._touch, self._touched = session, touch, touched
        self._db, self._store, self._known, self._reaching = db, store, known, reaching
        self._states, self._ledger, self._decisions, self._muters = states, ledger, decisions, muters
        self._default, self._sender, self._clock, self._failpoint = default, sender, clock, failpoint
        self._metrics = metrics or NotifyingMetrics()
        self._claiming = Claiming(self.once, POLL_S, STORE)
        self.wake, self.stop, self.run = self._claiming.wake, self._claiming.stop, self._claiming.run

    async def once(self) -> bool:
        """Tell what is due now. Whether there was anything. Raises StoreUnavailable."""
        found = await self._store.due(self._clock.now_ms(), MAX_DUE)
        for _, some in groupby(sorted(found, key=_together), key=_together):
            try:
                await self._look(list(some))
            except Moved:
                continue  # another replica told it, or the alert moved in this moment
        return bool(found)

    async def _look(self, found: Sequence[StoredEscalation]) -> None:
        """Of one tenant, chain and step."""
        tenant, name = found[0].tenant, found[0].chain
        known = await self._known.of(tenant)
        if name not in known.chains:
            known = await self._known.fresh(tenant)
        firing, rest = await self._firing(tenant, found)
        chain = known.chains.get(name)
        now = self._clock.now_ms()
        if rest:  # their alerts moved without being seen here
            await self._write(rest, [], [])
        if not firing:
            return
        if chain is None:
            await self._gone(tenant, name, firing, now)
            return
        mutes = await self._muted(tenant, name, firing, now)
        if kept := [(one, mute) for one, mute in zip(firing, mutes, strict=True) if mute is not None]:
            await self._postpone(name, kept, now)
        if told := [one for one, mute in zip(firing, mutes, strict=True) if mute is None]:
            await self._tell(chain, known, told, now)

    async def _firing(
        self, tenant: TenantId, found: Sequence[StoredEscalation]
    ) -> tuple[list[_Due], list[StoredEscalation]]:
        """Those whose alerts fire, and the others as they should be."""
        alerts = {one.fingerprint: one for one in await self._states.some([one.fingerprint for one in found])}
        steps = await self._ledger.some(
            tenant, [transition_id(one.fingerprint, one.starts_at, one.sequence) for one in alerts.values()]
        )
        firing: list[_Due] = []
        rest: list[StoredEscalation] = []
        for one in found:
            running, alert = running_of(one), alerts.get(one.fingerprint)
            step = alert and steps.get(transition_id(alert.fingerprint, alert.starts_at, alert.sequence))
            if step is None or step.episode != one.episode:
                rest.append(stored(one, replace(running, at=chains.ended(running.at))))
            elif step.to_state is AlertState.FIRING:
                firing.append(_Due(one, running, step))
            else:
                held = step.to_state is AlertState.ACKNOWLEDGED
                at = chains.acknowledged(running.at) if held else chains.ended(running.at)
                rest.append(stored(one, replace(running, at=at)))
        return firing, rest

    async def _tell(self, chain: Chain, known: OnCall, due: Sequence[_Due], now: int) -> None:
        tenant, name, at = due[0].stored.tenant, due[0].stored.chain, due[0].running.at
        order = max(now, *(one.running.last_ms + 1 for one in due))
        step = chains.step_of(chain, at)
        targets = step.notify if step else ()
        reach = await self._reaching.of(tenant, targets, known, now)
        if targets and not reach:
            reach = await self._reaching.of(tenant, targets, await self._known.fresh(tenant), now)
        reached = bool(reach)
        if chains.nobody(chain, at, reached=reached):
            default = await self._reaching.default(tenant, await self._default(tenant))
            reach = Reach(default.addresses, default.told, reach.missed)
        writes: list[StoredEscalation] = []
        decisions: list[Decision] = []
        steps: list[Transition] = []
        for one in due:
            after = chains.advanced(chain, one.running.at, now, reached=reached)
            addresses = tuple(dict.fromkeys((*one.running.addresses, *reach.addresses)))[:MAX_ADDRESSES]
            writes.append(stored(one.stored, Running(after, addresses, last_ms=order)))
            text = _sentence(name, chain, one.running, reach)
            which = f"{name} {one.running.at.told + 1}"
            why = Why.ESCALATED if reach else Why.UNROUTED
            decisions.append(decision(one.step, name, why, text, now, by=which, until_ms=after.due))
            steps.append(replace(one.step, annotations={**one.step.annotations, ESCALATION: text}))
        ids = [f"{one.stored.id}/{one.running.at.told}" for one in due]
        made = [notification(tenant, name, to, steps, order, *ids) for to in reach.addresses]
        if not reach:
            log.warning("nobody can be told of an alert", tenant=tenant, chain=name, step=at.step + 1)
        await self._write(writes, made, decisions)

    async def _gone(self, tenant: TenantId, name: str, due: Sequence[_Due], now: int) -> None:
        """The chain was deleted while alerts were in it, or while routes began to name it."""
        reach = Reach(())
        if not any(one.running.at.reached or one.running.at.round for one in due):
            reach = await self._reaching.default(tenant, await self._default(tenant))
        text = f"there is no chain {name!r} any more: nobody else is told" + (
            f", but {reach.told[0]}" if reach.told else ""
        )
        ends = [
            stored(one.stored, replace(one.running, at=chains.abandoned(one.running.at), addresses=addresses))
            for one in due
            for addresses in [(*one.running.addresses, *reach.addresses)[:MAX_ADDRESSES]]
        ]
        why = Why.ESCALATED if reach else Why.UNROUTED
        decisions = [decision(one.step, name, why, text, now, by=f"{name} deleted") for one in due]
        steps = [replace(one.step, annotations={**one.step.annotations, ESCALATION: text}) for one in due]
        ids = [f"{one.stored.id}/{one.running.at.told}" for one in due]
        made = [notification(tenant, name, to, steps, now, *ids) for to in reach.addresses]
        await self._write(ends, made, decisions)
        self._known.drop(tenant)  # who held that no escalation runs would not end this one

    async def _muted(self, tenant: TenantId, name: str, due: Sequence[_Due], now: int) -> list[Mute | None]:
        items = [Item(one.step, labels_of(one.step), f"escalation {name}") for one in due]
        return await muted(self._muters, tenant, items, now)

    async def _postpone(self, name: str, kept: Sequence[tuple[_Due, Mute]], now: int) -> None:
        """The same step again when what mutes it may have ended; what is said once is not said again."""
        writes: list[StoredEscalation] = []
        decisions: list[Decision] = []
        for one, mute in kept:
            again = now + RECHECK_MS
            until = again if mute.until_ms is None else min(max(mute.until_ms, now + 1), again)
            by = f"{mute.why}/{mute.by}"
            at = chains.postponed(one.running.at, until)
            writes.append(stored(one.stored, replace(one.running, at=at, muted=by)))
            if by != one.running.muted:
                decisions.append(
                    decision(one.step, name, mute.why, mute.detail, now, by=mute.by, until_ms=mute.until_ms)
                )
        await self._write(writes, [], decisions)

    async def _write(
        self, writes: Sequence[StoredEscalation], made: Sequence[Notification], decisions: Sequence[Decision]
    ) -> None:
        async def work(session: Session) -> None:
            await self._store.write(writes, session)
            await self._ledger.write([], made, session)
            if made:
                await self._touch(writes[0].tenant, sorted({one.fingerprint for one in writes}), session)
            await self._decisions.write(decisions, session)
            self._failpoint(Point.BEFORE_ESCALATION)

        await transaction(self._db, work, self._session)
        self._failpoint(Point.AFTER_ESCALATION)
        self._metrics.decided(decisions)
        if made:
            self._sender()
            self._touched()


def _together(one: StoredEscalation) -> tuple[str, str, int, int, bool]:
    """What is told in one message."""
    at = running_of(one).at
    return one.tenant, one.chain, at.step, at.round, at.reached


def _sentence(name: str, chain: Chain, running: Running, reach: Reach) -> str:
    at = running.at
    which = f"step {at.step + 1} of {len(chain.steps)} of the chain {name!r}"
    if at.round:
        which += f", time {at.round + 1}"
    begins = "nobody acknowledged it in time, " if at.told else "it fires, "
    if running.asked_by:
        begins = f"{running.asked_by} escalated it, "
    told = f"told: {', '.join(reach.told)}" if reach.told else "nobody is told"
    missed = f" ({'; '.join(reach.missed)})" if reach.missed else ""
    return f"{begins}{which}: {told}{missed}"
