"""Tells what groups have to tell when they are due: whichever replica is free looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace
from vigie_contracts.tenants import TenantId
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.groups import Group, Member
from vigie_storage.mongo import Session, transaction

from vigie_alerting.notifying import groups as machine
from vigie_alerting.notifying.item import labels_of
from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.muting import Mute, muted
from vigie_alerting.notifying.pipeline import Done, Pipeline, again
from vigie_alerting.notifying.places import item
from vigie_alerting.notifying.working import Key, Working
from vigie_alerting.outbox import notifications
from vigie_alerting.sender.failpoints import Failpoint, Point, never

POLL_S: Final = 0.5
MAX_GROUPS: Final = 50
"""In one transaction."""
STORE: Final = Backoff(0.1, 2.0)


class Flusher:
    """For one event loop. `run` until `stop`; `wake` it when a group became due."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        wake_sender: Callable[[], None],
        *,
        clock: Clock,
        metrics: NotifyingMetrics,
        session: Session | None = None,
        failpoint: Failpoint = never,
    ) -> None:
        """`session`: for its transactions, one after the other; else each has its own."""
        self._db, self._pipeline, self._wake_sender, self._session = database, pipeline, wake_sender, session
        self._clock, self._metrics, self._failpoint = clock, metrics, failpoint
        self._changed: set[TenantId] = set()
        """Whose mutes were changed."""
        self._claiming = Claiming(self.once, POLL_S, STORE)
        self.run, self.wake, self.stop = self._claiming.run, self._claiming.wake, self._claiming.stop

    def reconsider(self, tenant: TenantId) -> None:
        """What mutes the alerts of this tenant was changed: look at what is held."""
        self._changed.add(tenant)
        self.wake()

    async def once(self) -> bool:
        """Tell what some groups have to tell. Whether there were any. Raises StoreUnavailable."""
        away = [error for tenant in list(self._changed) if (error := await self._reconsidered(tenant))]
        claimed = await self._pipeline.stores.groups.claim(MAX_GROUPS)
        if claimed:
            self._failpoint(Point.AFTER_GROUP_CLAIM)
        by_tenant: dict[TenantId, list[Group]] = {}
        for group in claimed:
            by_tenant.setdefault(TenantId(group.tenant), []).append(group)
        for tenant, groups in by_tenant.items():
            try:
                await self._flush(tenant, groups)
            except StoreUnavailable as e:  # perhaps of this tenant only: the others do not wait for it
                away.append(e)
        if away:
            raise away[0]
        return bool(claimed)

    async def _reconsidered(self, tenant: TenantId) -> StoreUnavailable | None:
        """Look at what is held of the tenant. Why that was not possible: then it is done again."""
        self._changed.discard(tenant)
        try:
            await self._pipeline.stores.groups.reconsider(tenant)
        except StoreUnavailable as e:
            self._changed.add(tenant)
            return e
        return None

    async def _flush(self, tenant: TenantId, claimed: Sequence[Group]) -> None:
        now_ms = self._clock.now_ms()

        async def work(session: Session) -> Done:
            return await self._tell(tenant, [group.id for group in claimed], now_ms, session)

        done = await again(lambda: transaction(self._db, work, self._session))
        self._failpoint(Point.AFTER_GROUP_STORE)
        self._metrics.decided(done.decisions)
        for group in claimed:
            if group.due_ms is not None:
                self._metrics.group_delay_seconds.observe(max(0, now_ms - group.due_ms) / 1000)
        if done.notifications:
            self._wake_sender()

    async def _tell(self, tenant: TenantId, ids: Sequence[str], now_ms: int, session: Session) -> Done:
        """Read, decide, write: what others did of these groups meanwhile counts."""
        store, done = self._pipeline.stores.groups, Done()
        groups = await store.some(tenant, ids, session)
        members = await store.due_members(groups.values(), now_ms, session)
        working = Working(tenant, groups, members, now_ms)
        working.flush(await self._mutes(tenant, groups, members, now_ms))
        addresses = await self._pipeline.addresses(tenant, working.direct)
        for step in working.direct:
            done.notifications.extend(notifications([step], addresses[step.id], now_ms))
        await self._pipeline.tell(working, done, now_ms, session)
        _, _, changed, left = working.written()
        await store.write((), (), changed, left, session)
        next_due = await store.left(list(groups), session)
        kept = [replace(working.groups[id_], due_ms=next_due[id_]) for id_ in groups if id_ in next_due]
        await store.write(kept, [id_ for id_ in groups if id_ not in next_due], (), (), session)
        await self._pipeline.keep(done, session)
        return done

    async def _mutes(
        self, tenant: TenantId, groups: dict[str, Group], members: Sequence[Member], now_ms: int
    ) -> dict[Key, Mute]:
        """What must not be told now, of those that fire."""
        asked = [one for one in members if machine.asked(one)]
        items = [item(one.step, labels_of(one.step), groups[one.group]) for one in asked]
        found = await muted(self._pipeline.muters, tenant, items, now_ms)
        return {(one.group, one.fingerprint): mute for one, mute in zip(asked, found, strict=True) if mute is not None}
