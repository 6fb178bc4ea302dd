"""Tells whoever comes on call that they are. The next hand-over of every schedule is a timer in the store; a schedule
that is changed, or gets an override, is looked at at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from vigie_contracts.alerts import AlertState, Reason, Severity, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.document import Address, Notification
from vigie_storage.alerts.handovers import Handover, HandoverStore
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_alerting.escalation.oncall import OnCallStore
from vigie_alerting.escalation.reaching import Reaching
from vigie_alerting.schedules.model import Schedule
from vigie_alerting.schedules.rotation import Now, now, zone_of

log = logging.get(__name__)

POLL_S: Final = 5.0
STORE: Final = Backoff(0.1, 2.0)
MAX_DUE: Final = 100
_LOOK_AGAIN_MS: Final = 7 * 86_400_000
"""Where no next hand-over is known."""


class Handovers:
    """For one event loop. `run` until `stop`; `wake` it when a schedule was changed."""

    def __init__(
        self, db: Database, store: HandoverStore, known: OnCallStore, reaching: Reaching, ledger: Ledger,
        *, sender: Callable[[], None], clock: Clock,
    ) -> None:  # fmt: skip
        """`sender` is woken when there is something to send."""
        self._db, self._store, self._known, self._reaching, self._ledger = db, store, known, reaching, ledger
        self._sender, self._clock = sender, clock
        self._claiming = Claiming(self.once, POLL_S, STORE)
        self.wake, self.stop, self.run = self._claiming.wake, self._claiming.stop, self._claiming.run

    async def once(self) -> bool:
        """Look at what is due. Whether there was anything. Raises StoreUnavailable."""
        found = await self._store.due(self._clock.now_ms(), MAX_DUE)
        for one in found:
            await self._look(one)
        return bool(found)

    async def _look(self, before: Handover) -> None:
        schedule = await self._known.schedules.get(before.tenant, before.schedule)
        if schedule is None:
            await self._store.remove(before)
            return
        at_ms = self._clock.now_ms()
        seen = now(schedule.value, at_ms)
        until = seen.until if seen.person is not None else seen.next_at
        due = min(at_ms + _LOOK_AGAIN_MS, until or at_ms + _LOOK_AGAIN_MS)
        made: list[Notification] = []
        if seen.person is not None and seen.person != before.person:
            to = await self._addresses(before.tenant, seen.person)
            if not to:
                log.warning("who comes on call cannot be told", tenant=before.tenant, schedule=before.schedule)
            step = notice(before, schedule.value, seen, at_ms)
            made = [_notification(before, address, step, at_ms) for address in to]

        async def work(session: Session) -> None:
            if not await self._store.write(before, seen.person or "", due, session):
                raise Moved
            await self._ledger.write([], made, session)

        try:
            await transaction(self._db, work)
        except Moved:  # another replica told it, or the schedule was changed in this moment
            return
        if made:
            self._sender()

    async def _addresses(self, tenant: TenantId, name: str) -> tuple[Address, ...]:
        person = await self._known.people.get(tenant, name)
        return () if person is None else (await self._reaching.person(tenant, person.value)).addresses


def notice(before: Handover, schedule: Schedule, seen: Now, at_ms: int) -> Transition:
    """What is told, in the form of what channels tell: a fact without harm."""
    zone = zone_of(schedule.timezone)
    until = f" until {_local(seen.until, zone)}" if seen.until is not None else ""
    sentences = [f"{seen.person}, you are on call in {before.schedule!r}{until}."]
    if before.person:
        sentences.append(f"Before you: {before.person}.")
    if seen.next and seen.next_at is not None:
        sentences.append(f"Next: {seen.next}, from {_local(seen.next_at, zone)}.")
    name = f"On call: {before.schedule}"
    fingerprint = _digest(before.tenant, "handover", before.schedule)[:16]
    return Transition(
        id=f"handover-{fingerprint}-{before.version}",
        fingerprint=fingerprint,
        tenant=before.tenant,
        rule_id="oncall",
        rule_name=name,
        episode=f"{fingerprint}-{at_ms}",
        sequence=1,
        from_state=None,
        to_state=AlertState.FIRING,
        timestamp=at_ms,
        starts_at=at_ms,
        reason=Reason.HAND_OVER,
        detail=sentences[0],
        severity=Severity.INFO,
        labels={"alertname": name, "schedule": before.schedule, "person": seen.person or ""},
        annotations={"summary": " ".join(sentences)},
    )


def _notification(before: Handover, to: Address, step: Transition, at_ms: int) -> Notification:
    return Notification(
        id=_digest(before.id, str(before.version), to.key),
        tenant=before.tenant,
        address=to,
        queue=f"{before.tenant}/{to.key}/oncall/{before.schedule}",
        order=f"{at_ms:015d}",
        transitions=(step,),
        created=datetime.fromtimestamp(at_ms / 1000, UTC),
    )


def _local(at_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%a %Y-%m-%d %H:%M %Z")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
