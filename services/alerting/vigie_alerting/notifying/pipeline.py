"""From transitions to what is stored for sending, in the transaction that stores the transitions.

A tenant without routes, mutes and groups costs a look into two snapshots: its transitions go to the channels of their
rules as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from vigie_contracts.alerts import AlertState, Channel, Transition
from vigie_contracts.decisions import Decision, Why
from vigie_contracts.tenants import TenantId
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.alerts.decisions import Decisions
from vigie_storage.alerts.document import Address, Notification
from vigie_storage.alerts.groups import Group, GroupStore
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.mongo import Session
from vigie_storage.outgoing import Moved

from vigie_alerting.channels.channels import Channels
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.muting import Mute, Muter, muted
from vigie_alerting.notifying.places import DEFAULT, alone, item, place
from vigie_alerting.notifying.working import Going, Working
from vigie_alerting.outbox import address, notifications, of_group, tells
from vigie_alerting.routing.tree import Leg, Routes
from vigie_alerting.snapshots import Snapshots

Begin: TypeAlias = Callable[[TenantId, str, Sequence[Transition], Session], Awaitable[object]]
"""Begins the escalation chain of this name for these steps, as a part of a transaction. May raise Moved: then the
transaction is done again."""
ATTEMPTS: Final = 5
T = TypeVar("T")
_UNROUTED: Final = "no route takes it, its rule has no channels, and there is no default channel: nobody is told"
_WATCHED: Final = frozenset({"live"})
"""Channels that tell whoever looks at that moment, and page nobody."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where it is kept what is decided."""

    ledger: Ledger
    groups: GroupStore
    decisions: Decisions


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done of the transitions of one tenant."""

    tenant: TenantId
    now_ms: int
    goings: Sequence[Going]
    grouped: bool
    """Whether groups have a say: it takes a look at the store. Else the channels of rules are told, and no more."""
    first: bool
    """Whether the tenant had no groups."""
    verdicts: Sequence[Decision]
    """What nobody is told of."""
    addresses: Mapping[str, Sequence[Address]]
    """By transition, those of its rule."""

    @property
    def plain(self) -> bool:
        """Whether `told` is all that is to be stored."""
        return not self.grouped and not self.verdicts

    def told(self) -> list[Notification]:
        """For the channels of the rules, of every step that tells."""
        return self.direct(going.step for going in self.goings if going.direct)

    def direct(self, steps: Iterable[Transition]) -> list[Notification]:
        """The same of these steps."""
        return [one for step in steps for one in notifications([step], self.addresses.get(step.id, ()), self.now_ms)]


@dataclass(frozen=True, slots=True)
class Done:
    """What was stored."""

    notifications: list[Notification] = field(default_factory=list[Notification])
    decisions: list[Decision] = field(default_factory=list[Decision])


async def again(work: Callable[[], Awaitable[T]]) -> T:
    """Do a transaction, and again when something in it was moved by others meanwhile. Raises StoreUnavailable."""
    for _ in range(ATTEMPTS):
        try:
            return await work()
        except Moved:
            continue
    raise StoreUnavailable


class Pipeline:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        stores: Stores,
        channels: Channels,
        routes: Snapshots[Routes],
        known: Snapshots[bool],
        *,
        muters: Sequence[Muter] = (),
        begin: Begin | None = None,
    ) -> None:
        """`known`: whether a tenant has groups, or may have them by what it configured."""
        self.stores, self.channels, self.muters = stores, channels, muters
        self._routes, self._known, self._begin = routes, known, begin

    async def plan(self, tenant: TenantId, transitions: Sequence[Transition], now_ms: int) -> Plan:
        """What is to be done of these, in their order; nothing is stored yet."""
        routes = await self._routes.of(tenant)
        goings, nobody = goings_of(transitions, routes, now_ms)
        mutes = await self._muted(tenant, goings, now_ms)
        known = await self._known.of(tenant)
        grouped = known or bool(mutes) or any(going.places for going in goings)
        if mutes:
            goings = [replace(going, mutes=mutes.get(at, {})) for at, going in enumerate(goings)]
        told = [going.step for going in goings if going.direct]
        over = [going.step for going in goings if going.step.to_state is AlertState.RESOLVED]
        addresses = await self.addresses(tenant, [*told, *over])
        verdicts = nobody + [
            _verdict(step, Why.UNROUTED, _UNROUTED, now_ms)
            for step in told
            if step.to_state is AlertState.FIRING
            and not step.channels
            and all(to.type in _WATCHED for to in addresses[step.id])
        ]
        return Plan(tenant, now_ms, goings, grouped, not known, verdicts, addresses)

    async def write(self, plan: Plan, session: Session) -> Done:
        """Do it, as a part of a transaction."""
        done = Done(decisions=list(plan.verdicts))
        if not plan.grouped:
            done.notifications.extend(plan.told())
            await self.keep(done, session)
            return done
        groups = self.stores.groups
        fingerprints = sorted({going.step.fingerprint for going in plan.goings})
        members = await groups.of_alerts(plan.tenant, fingerprints, session)
        ids = {one.group for one in members} | {one.group.id for going in plan.goings for one in going.places}
        there = await groups.some(plan.tenant, ids, session) if ids else {}
        working = Working(plan.tenant, there, members, plan.now_ms)
        for going in plan.goings:
            working.move(going)
        working.flush()
        working.due()
        done.notifications.extend(plan.direct(working.direct))
        await self.tell(working, done, plan.now_ms, session)
        await groups.write(*working.written(), session)
        await self.keep(done, session)
        return done

    async def tell(self, working: Working, done: Done, now_ms: int, session: Session) -> None:
        """What groups say."""
        done.decisions.extend(working.decisions)
        for told in working.told:
            done.notifications.extend(_notifications(told.group, told.steps, now_ms))
            firing = [step for step in told.steps if step.to_state is AlertState.FIRING]
            if told.group.chain and firing and self._begin is not None:
                await self._begin(TenantId(told.group.tenant), told.group.chain, firing, session)

    async def keep(self, done: Done, session: Session) -> None:
        """Write it."""
        await self.stores.ledger.write((), done.notifications, session)
        await self.stores.decisions.write(done.decisions, session)

    def written(self, plan: Plan) -> None:
        """It is stored."""
        if plan.grouped and plan.first:
            self._known.drop(plan.tenant)

    async def addresses(self, tenant: TenantId, steps: Iterable[Transition]) -> dict[str, list[Address]]:
        """Where the notifications of the rules of these steps go."""
        found: dict[tuple[Channel, ...], list[Address]] = {}
        by_step: dict[str, list[Address]] = {}
        for step in steps:
            asked = tuple(step.channels)
            if asked not in found:
                found[asked] = await self.channels.addresses(tenant, asked)
            by_step[step.id] = found[asked]
        return by_step

    async def _muted(self, tenant: TenantId, goings: Sequence[Going], now_ms: int) -> dict[int, dict[str, Mute]]:
        """By place in the batch and group, what mutes it now."""
        items: list[Item] = []
        asked: list[tuple[int, str]] = []
        for at, going in enumerate(goings):
            step = going.step
            if step.to_state is AlertState.FIRING:
                labels = labels_of(step)
                groups = [one.group for one in (*((alone(step),) if going.direct else ()), *going.places)]
                items += [item(step, labels, group) for group in groups]
                asked += [(at, group.id) for group in groups]
        found: dict[int, dict[str, Mute]] = {}
        for (at, group), mute in zip(asked, await muted(self.muters, tenant, items, now_ms), strict=True):
            if mute is not None:
                found.setdefault(at, {})[group] = mute
        return found


def goings_of(steps: Sequence[Transition], routes: Routes, now_ms: int) -> tuple[list[Going], list[Decision]]:
    """Where they go, and of which it is meant that nobody is told."""
    goings: list[Going] = []
    nobody: list[Decision] = []
    for step in steps:
        if not tells(step):
            goings.append(Going(step, direct=False))
            continue
        legs = _legs(step, routes)
        places = [place(step, leg, routes.receiver(leg.receiver)) for leg in legs]
        goings.append(Going(step, bool(step.channels) or not legs, tuple(one for one in places if one is not None)))
        nobody += [
            _verdict(step, Why.NOBODY, f"its receiver {name!r} is nobody", now_ms, receiver=name, route=leg.route)
            for leg, one in zip(legs, places, strict=True)
            if one is None and (name := leg.receiver) and step.to_state is AlertState.FIRING
        ]
    return goings, nobody


def _legs(step: Transition, routes: Routes) -> Sequence[Leg]:
    if not routes and not routes.default:
        return ()
    labels = labels_of(step)
    legs = routes.of(labels)
    if not legs and not step.channels and routes.default:
        return [replace(routes.root.leg(labels), route=DEFAULT, receiver=routes.default)]
    return legs


def _notifications(group: Group, steps: Sequence[Transition], now_ms: int) -> list[Notification]:
    """Each channel once."""
    unique = {to.key: to for to in (address(group.tenant, channel) for channel in group.channels)}
    return [of_group(group, steps, to, now_ms) for to in unique.values()]


def _verdict(step: Transition, why: Why, detail: str, now_ms: int, *, receiver: str = "", route: str = "") -> Decision:
    return Decision(
        tenant=step.tenant,
        step=step.id,
        fingerprint=step.fingerprint,
        receiver=receiver,
        route=route,
        why=why,
        detail=detail,
        at_ms=now_ms,
    )
