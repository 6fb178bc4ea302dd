"""Escalations and hand-overs on a database of their own, driven by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta

from vigie_alerting.alert import Alert
from vigie_alerting.configbook import Configbook
from vigie_alerting.escalation.chain import Chain, Kind, Step, Target
from vigie_alerting.escalation.escalations import Escalations
from vigie_alerting.escalation.escalator import Escalator
from vigie_alerting.escalation.oncall import OnCallStore
from vigie_alerting.escalation.oncallbook import OnCallBook
from vigie_alerting.escalation.reaching import Reaching
from vigie_alerting.notifying.muting import Muter
from vigie_alerting.schedules.handovers import Handovers
from vigie_alerting.schedules.model import Layer, Person, Schedule, Unit
from vigie_alerting.sender.failpoints import Failpoint, never
from vigie_alerting.snapshots import Watch
from vigie_contracts.alerts import AlertState, Channel, Reason, Severity, Transition, transition_id
from vigie_contracts.decisions import Decision
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_runtime.clients import Document
from vigie_storage.alerts import configuration as configured
from vigie_storage.alerts.configuration import ConfigurationStore
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.document import Notification, notification
from vigie_storage.alerts.escalations import EscalationStore
from vigie_storage.alerts.handovers import HandoverStore
from vigie_storage.alerts.states import AlertStates, Move, StoredAlert
from vigie_storage.mongo import Session, transaction

from services.alerting.tests.samples import transition
from services.alerting.tests.stage import ACME, KEPT, Stage

MINUTE = 60_000
BY = Actor("u1", "u1")


def step(kind: Kind, name: str, minutes: int = 0) -> Step:
    return Step((Target(kind, name),), minutes * MINUTE)


def daily(*people: str, start: date, handoff: int = 0) -> Schedule:
    layer = Layer(name="daily", people=people, start=start, handoff=handoff, unit=Unit.DAY)
    return Schedule(timezone="UTC", layers=(layer,))


class Rota:
    """`stage` has the database and the clock."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.db, self.clock = stage, stage.database, stage.clock
        configuration = ConfigurationStore(self.db, self.clock)
        self.store, self.timers = EscalationStore(self.db, KEPT), HandoverStore(self.db)
        self.configuration, self.known = configuration, OnCallStore(configuration, self.store)
        self.watch = Watch(configuration.changed_since, self.clock)
        self.held = self.watch.hold(
            self.known.load, configured.Kind.SCHEDULE, configured.Kind.PERSON, configured.Kind.CHAIN
        )
        self.states, self.decisions = AlertStates(self.db, timedelta(days=1)), Decisions(self.db)
        self.escalations = Escalations(self.store, self.held, stage.ledger, self.decisions, self.clock)
        self.default: list[Channel] = []
        self.book = OnCallBook(
            self.db, self.known, stage.audit, self.watch, self.timers,
            channels=stage.channels, chain_users=self._nobody, clock=self.clock, wake=lambda: None,
        )  # fmt: skip
        self._alerts: dict[str, StoredAlert] = {}

    async def prepare(self) -> None:
        for one in (self.configuration, self.store, self.timers, self.states):
            await one.prepare()
        await self.decisions.prepare(KEPT)

    def escalator(self, failpoint: Failpoint = never, muters: Sequence[Muter] = ()) -> Escalator:
        return Escalator(
            self.db, self.store, self.held, Reaching(self.stage.channels),
            states=self.states, ledger=self.stage.ledger, decisions=self.decisions, muters=muters,
            default=self._default, sender=lambda: None, clock=self.clock, failpoint=failpoint,
        )  # fmt: skip

    def handovers(self) -> Handovers:
        return Handovers(
            self.db, self.timers, self.known, Reaching(self.stage.channels), self.stage.ledger,
            sender=lambda: None, clock=self.clock,
        )  # fmt: skip

    async def person(self, *names: str) -> None:
        """Reached by mail to their names."""
        for name in names:
            await self.book.put_person(ACME, name, Person(email=f"{name}@example.com"), BY, None)

    async def chain(self, *steps: Step, name: str = "db", repeat: int = 0) -> None:
        """Without a check of what it names."""
        book = Configbook(self.db, self.known.chains, self.stage.audit, self.watch)
        await book.put(ACME, name, Chain(steps=steps, repeat=repeat), BY, Action.CHAIN_CHANGED)

    async def fires(self, number: int = 1, chain: str = "db", **more: str) -> Transition:
        """An alert fires, and the chain begins with it."""
        return await self.moves(
            number, AlertState.FIRING, lambda one, session: self._begin(chain, [one], session), **more
        )

    async def moves(
        self,
        number: int,
        to: AlertState,
        also: Callable[[Transition, Session], Awaitable[object]] | None = None,
        **more: str,
    ) -> Transition:
        """As the dispatcher stores it."""
        fingerprint = f"{number:016x}"
        before = self._alerts.get(fingerprint)
        starts = before.starts_at if before else self.clock.now_ms()
        sequence = before.sequence + 1 if before else 1
        made = transition(
            id=transition_id(fingerprint, starts, sequence), fingerprint=fingerprint,
            episode=f"{fingerprint}-{starts}", sequence=sequence, to_state=to, starts_at=starts,
            from_state=AlertState(before.state) if before else None, timestamp=self.clock.now_ms(),
            reason=Reason.HELD, **more,
        )  # fmt: skip
        after = StoredAlert(
            fingerprint, ACME, "r1", to.value, "high", starts,
            self.clock.now_ms() if to is AlertState.RESOLVED else None, sequence, b"",
        )  # fmt: skip

        async def work(session: Session) -> None:
            await self.stage.ledger.write([made], [], session)
            await self.states.write([Move(before, after)], session)
            if also is not None:
                await also(made, session)
            await self.escalations.moved([made], session)

        await transaction(self.db, work)
        self._alerts[fingerprint] = after
        return made

    async def told(self) -> list[Notification]:
        """In their order."""
        rows = await self.stage.rows.find().sort([("order", 1), ("channel.destination", 1)]).to_list()
        return [notification(one) for one in rows]

    async def to(self) -> list[str]:
        """Who was told, in this order."""
        return [one.address.destination.partition("@")[0] for one in await self.told()]

    async def verdicts(self, number: int = 1) -> list[Decision]:
        """Oldest first."""
        return (await self.decisions.of_alert(ACME, f"{number:016x}"))[::-1]

    async def document(self) -> Document:
        found = await self.db["alert_escalations"].find_one({})
        assert found
        return found

    def alert(self, number: int = 1) -> Alert:
        """As far as escalating looks at it."""
        one = self._alerts[f"{number:016x}"]
        return Alert(
            fingerprint=one.fingerprint, tenant=ACME, rule_id="r1", series=(), state=AlertState(one.state),
            severity=Severity.HIGH, starts_at=one.starts_at, seen_at=one.starts_at,
        )  # fmt: skip

    def later(self, minutes: float) -> None:
        self.clock.ahead_s += minutes * 60

    async def _begin(self, chain: str, steps: Sequence[Transition], session: Session) -> None:
        await self.escalations.begin(ACME, chain, steps, session)

    async def _default(self, _tenant: TenantId) -> Sequence[Channel]:
        return self.default

    async def _nobody(self, _tenant: TenantId, _chain: str) -> list[str]:
        return []
