"""The way from transitions to the outbox: stored with their notifications before anybody is told, then the sender is
woken, and whoever watches now is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_storage.alerts.document import Notification
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.mongo import Session

from vigie_alerting.notifying.metrics import NotifyingMetrics
from vigie_alerting.notifying.pipeline import Done, Pipeline, Plan, again
from vigie_alerting.sender.failpoints import Failpoint, Point, never

MAX_TRANSITIONS: Final = 1_000
"""Of one transaction: it must end within the time that one may take."""
Inside: TypeAlias = Callable[[Sequence[Transition], Session], Awaitable[Sequence[Notification]]]
"""Writes what belongs to transitions, in their transaction, which may run more than once; gives what it stored for
sending. May raise Moved: then the transaction is done again."""


class Dispatcher:
    """What the engine hands its transitions to."""

    def __init__(
        self,
        ledger: Ledger,
        pipeline: Pipeline,
        wake: Callable[[], None],
        clock: Clock,
        failpoint: Failpoint = never,
        *,
        stored: Callable[[Sequence[Transition]], None] = lambda _transitions: None,
        inside: Sequence[Inside] = (),
        metrics: NotifyingMetrics | None = None,
    ) -> None:
        """`wake` is the sender's and the flusher's; `stored` hears of the transitions that were."""
        self._ledger = ledger
        self._pipeline = pipeline
        self._wake = wake
        self._clock = clock
        self._failpoint = failpoint
        self._stored = stored
        self._inside = inside
        self._metrics = metrics or NotifyingMetrics()

    def through(self, ledger: Ledger) -> Dispatcher:
        """The same, but for what stores them."""
        return Dispatcher(
            ledger, self._pipeline, self._wake, self._clock, self._failpoint,
            stored=self._stored, inside=self._inside, metrics=self._metrics,
        )  # fmt: skip

    async def dispatch(
        self, transitions: Sequence[Transition], also: Callable[[Session], Awaitable[object]] | None = None
    ) -> list[Notification]:
        """Store the transitions, their notifications, and what `also` writes, in one transaction. Repeating it is
        harmless. What was stored for sending is returned. Raises StoreUnavailable: then do it again; ValueError for
        more than MAX_TRANSITIONS."""
        if len(transitions) > MAX_TRANSITIONS:
            raise ValueError(f"{len(transitions)} transitions in one transaction, at most {MAX_TRANSITIONS} are stored")
        by_tenant: dict[TenantId, list[Transition]] = {}
        for transition in transitions:
            by_tenant.setdefault(TenantId(transition.tenant), []).append(transition)
        now_ms = self._clock.now_ms()
        plans = [await self._pipeline.plan(tenant, some, now_ms) for tenant, some in by_tenant.items()]
        made = [one for plan in plans if plan.plain for one in plan.told()]
        done = await self._store(transitions, made, [plan for plan in plans if not plan.plain], also)
        self._stored(transitions)
        self._failpoint(Point.AFTER_STORE)
        self._metrics.decided(done.decisions)
        for plan in plans:
            self._pipeline.written(plan)
        if made or done.notifications or any(plan.grouped for plan in plans):
            self._wake()
        return [*made, *done.notifications]

    async def _store(
        self,
        transitions: Sequence[Transition],
        made: Sequence[Notification],
        plans: Sequence[Plan],
        also: Callable[[Session], Awaitable[object]] | None,
    ) -> Done:
        done = Done()

        async def work(session: Session) -> None:
            nonlocal done
            done = Done()  # this may run again
            if also is not None:
                await also(session)
            # First: what ends here may begin anew with a later step of the same transaction.
            for inside in self._inside:
                done.notifications.extend(await inside(transitions, session))
            for plan in plans:
                some = await self._pipeline.write(plan, session)
                done.notifications.extend(some.notifications)
                done.decisions.extend(some.decisions)

        await again(lambda: self._ledger.store(transitions, made, work if plans or self._inside else also))
        return done

    async def last(self, tenant: TenantId, fingerprint: str) -> Transition | None:
        """The newest transition of an alert. Raises StoreUnavailable."""
        found = await self._ledger.history(tenant, fingerprint, 1)
        return found[0] if found else None
