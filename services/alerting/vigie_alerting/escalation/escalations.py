"""Escalations begin, pause and end together with the steps of their alerts, in the same transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.decisions import Decision, Why
from vigie_contracts.tenants import TenantId
from vigie_query.times import iso
from vigie_runtime.clock import Clock
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.document import Address, Notification, Together
from vigie_storage.alerts.escalations import EscalationStore, StoredEscalation
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.mongo import Session

from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.chain import Chain, Escalation, State, Step
from vigie_alerting.escalation.oncall import OnCall
from vigie_alerting.notifiers.message import common, group_key
from vigie_alerting.outbox import listed
from vigie_alerting.snapshots import Snapshots

MAX_ADDRESSES: Final = 200
"""Of one escalation, that are told when the alert is over."""
_MISSING: Final = Chain(steps=(Step(()),))
"""In the place of a chain that there is not."""
_OVER: Final = frozenset({AlertState.RESOLVED, AlertState.INACTIVE})


class Running(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of an escalation."""

    at: Escalation
    addresses: tuple[Address, ...] = ()
    """Which were told."""
    muted: str = ""
    """By what its next step is kept back."""
    last_ms: int = 0
    """When it told something last: what comes after it is sent after it, also by a replica whose clock is behind."""
    asked_by: str = ""
    """Who wants its next step told now, and not when it would have been."""


_decoder: Final = msgspec.json.Decoder(Running)


class Escalations:
    """`begin` and `moved` belong to the transaction that stores the steps. What they ask of snapshots raises
    StoreUnavailable."""

    def __init__(
        self,
        store: EscalationStore,
        known: Snapshots[OnCall],
        ledger: Ledger,
        decisions: Decisions,
        clock: Clock,
    ) -> None:
        self._store, self._known, self._ledger, self._decisions, self._clock = store, known, ledger, decisions, clock
        self._begun = False
        self.wake: Callable[[], None] = lambda: None
        """Called when escalations that began are stored: their first step may be due."""

    def stored(self, _steps: Sequence[Transition]) -> None:
        """The transaction is done."""
        if self._begun:
            self._begun = False
            self.wake()

    async def begin(self, tenant: TenantId, chain: str, steps: Sequence[Transition], session: Session) -> None:
        """These alerts fire, and the chain is to be told of it: its first step at the time that it says. One whose
        escalation runs already is left alone. Where there is no such chain, the escalation is due at once, and who
        finds it so tells the default channel. Raises Moved: then do the transaction again."""
        made = (await self._known.of(tenant)).chains.get(chain) or (await self._known.fresh(tenant)).chains.get(chain)
        made = made or _MISSING
        now = self._clock.now_ms()
        new = {one.id: one for step in steps if (one := _new(tenant, chain, step, made, now))}
        there = await self._store.those(tenant, list(new), session)
        writes = [again for id_, one in new.items() if (again := _begun(one, there.get(id_), made, now)) is not None]
        await self._store.write(writes, session)
        self._begun = self._begun or bool(writes)

    async def moved(self, steps: Sequence[Transition], session: Session) -> list[Notification]:
        """What becomes of the escalations of these alerts: an acknowledgement pauses them, without it they go on, and
        when the alert is over they end, which is told to everybody whom they told. Stored with the rest; what was
        stored for sending is returned. Raises Moved: then do the transaction again."""
        made: list[Notification] = []
        moved = [step for step in steps if _matters(step)]
        for tenant in sorted({step.tenant for step in moved}):
            known = await self._known.of(TenantId(tenant))
            if known:
                mine = [step for step in moved if step.tenant == tenant]
                made += await self._moved(TenantId(tenant), mine, known, session)
        return made

    async def _moved(
        self, tenant: TenantId, steps: Sequence[Transition], known: OnCall, session: Session
    ) -> list[Notification]:
        now = self._clock.now_ms()
        found = await self._store.open_of(tenant, [step.fingerprint for step in steps], session)
        if not found:
            return []
        decisions: list[Decision] = []
        over: dict[str, list[tuple[Transition, StoredEscalation]]] = {}
        writes: list[StoredEscalation] = []
        for one in found:
            running, after = running_of(one), running_of(one)
            for step in steps:
                if step.episode == one.episode:
                    after = _after(after, step, known.chains.get(one.chain), now)
            if after == running:
                continue
            last = next(step for step in reversed(steps) if step.episode == one.episode)
            if after.at.state is State.ENDED and after.addresses:
                over.setdefault(one.chain, []).append((last, one))
                after = msgspec.structs.replace(after, last_ms=max(now, running.last_ms + 1))
            elif running.at.state is State.WAITING and after.at.state is State.PAUSED:
                decisions.append(_acknowledged(last, one, running.at, now))
            writes.append(stored(one, after))
        await self._store.write(writes, session)
        made = [notification for chain, ended in over.items() for notification in told_over(tenant, chain, ended, now)]
        await self._ledger.write([], made, session)
        decisions += [_told_over(step, one, now) for ended in over.values() for step, one in ended]
        await self._decisions.write(decisions, session)
        return made


def running_of(one: StoredEscalation) -> Running:
    """What `stored` made."""
    return _decoder.decode(one.data)


def stored(before: StoredEscalation, running: Running) -> StoredEscalation:
    """In the place of what was there."""
    open_ = running.at.state is not State.ENDED
    return replace(before, open=open_, due=running.at.due, data=msgspec.json.encode(running))


def notification(
    tenant: TenantId, chain: str, to: Address, steps: Sequence[Transition], now_ms: int, *parts: str
) -> Notification:
    """One for somebody in a chain. `parts` make its id, with the address: the same parts are told once. What a chain
    tells one address is sent in the order of `now_ms`."""
    shown, more = listed(steps)
    return Notification(
        id=digest(tenant, chain, to.key, *parts),
        tenant=tenant,
        address=to,
        queue=f"{tenant}/{to.key}/chain/{chain}",
        order=f"{now_ms:015d}",
        transitions=shown,
        created=datetime.fromtimestamp(now_ms / 1000, UTC),
        group=_together(tenant, chain, shown, more) if more else None,
    )


def told_over(
    tenant: TenantId, chain: str, ended: Sequence[tuple[Transition, StoredEscalation]], now_ms: int
) -> list[Notification]:
    """For everybody whom the chain told of alerts that are over: one message each."""
    steps: dict[Address, list[Transition]] = {}
    for step, one in ended:
        running = running_of(one)
        now_ms = max(now_ms, running.last_ms + 1)
        for to in running.addresses:
            steps.setdefault(to, []).append(step)
    return [
        notification(tenant, chain, to, some, now_ms, "over", *(step.id for step in some)) for to, some in steps.items()
    ]


def digest(*parts: str) -> str:
    """An id made of these."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _together(tenant: TenantId, chain: str, shown: Sequence[Transition], more: int) -> Together:
    """What says that there are others."""
    labels = common([step.labels for step in shown])
    return Together(digest(tenant, chain), group_key(labels), f"escalation {chain}", labels, more)


def _matters(step: Transition) -> bool:
    return step.to_state is not AlertState.PENDING and (
        step.to_state is not AlertState.FIRING or step.from_state is AlertState.ACKNOWLEDGED
    )


def _new(tenant: TenantId, chain: str, step: Transition, made: Chain, now_ms: int) -> StoredEscalation | None:
    if step.to_state is not AlertState.FIRING:
        return None
    id_ = digest(tenant, step.episode, chain)
    begun = Running(chains.begun(made, now_ms))
    return stored(StoredEscalation(id_, tenant, step.fingerprint, step.episode, chain, True, None, b""), begun)


def _begun(new: StoredEscalation, there: StoredEscalation | None, chain: Chain, now_ms: int) -> StoredEscalation | None:
    """What is to be written; None where it runs. An episode may go on after it was over."""
    if there is None:
        return new
    if there.open:
        return None
    before = running_of(there)
    at = msgspec.structs.replace(chains.begun(chain, now_ms), told=before.at.told)
    return stored(there, Running(at, last_ms=before.last_ms))


def _after(running: Running, step: Transition, chain: Chain | None, now_ms: int) -> Running:
    if step.to_state in _OVER:
        at = chains.ended(running.at)
    elif step.to_state is AlertState.ACKNOWLEDGED:
        at = chains.acknowledged(running.at)
    elif chain is None:
        return running
    else:
        at = chains.resumed(chain, running.at, now_ms)
    return running if at == running.at else msgspec.structs.replace(running, at=at, asked_by="")


def decision(
    step: Transition, chain: str, why: Why, detail: str, now_ms: int, *, by: str = "", until_ms: int | None = None
) -> Decision:
    """About one alert in one chain."""
    return Decision(
        tenant=step.tenant,
        step=step.id,
        fingerprint=step.fingerprint,
        receiver=f"escalation {chain}",
        why=why,
        detail=detail,
        by=by,
        at_ms=now_ms,
        until_ms=until_ms,
    )


def _acknowledged(step: Transition, one: StoredEscalation, at: Escalation, now_ms: int) -> Decision:
    who = step.acknowledged_by or step.actor or "somebody"
    due = "" if at.due is None else f", which was due at {iso(at.due)},"
    text = f"{who} has it: step {at.step + 1} of the chain {one.chain!r}{due} is not told"
    return decision(step, one.chain, Why.ACKNOWLEDGED, text, now_ms, by=who)


def _told_over(step: Transition, one: StoredEscalation, now_ms: int) -> Decision:
    text = f"it is over, which everybody is told whom the chain {one.chain!r} told that it fires"
    return decision(step, one.chain, Why.SENT, text, now_ms, by=one.chain)
