"""`health`: what every target is now, then each check.

- First comes one message with the states of all targets, at most MAX_SHOWN, by name: it takes the place of what the
  client knew. After a cursor come the states since it instead, of each target the last one; all of them again when
  they are MAX_READ or more.
- Then a message for every check, `previousState` says when it changed something. The conflation key is the target: of
  one that is checked faster than a client reads, the client gets the last state.
- Filters: `service` (names), `state`, `group`, each a word or several. A target that leaves the states asked for is
  seen leaving.
- Seen by whoever has `services.read`; without `sites.read-all` only targets with a label `site` or `app` of one's own.
- A check comes from Redis, published after its state was stored. What Redis lost is read from the states, at the latest
  after `hub.RECONCILE_S`; while Redis is away every `hub.POLL_S`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta
from msgspec.structs import replace
from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_storage.health.live import LiveHealth
from vigie_storage.health.states import HealthStates, StateFilter, Stored, TargetState

from vigie_push.channels import cursors
from vigie_push.channels.alert_filter import Words
from vigie_push.channels.alert_position import Position
from vigie_push.channels.base import Cursor, Parameters, Snapshot, Topic, Update
from vigie_push.channels.health_messages import HealthMessage, service
from vigie_push.channels.names import ChannelName
from vigie_push.channels.resources import ChannelResources
from vigie_push.sources import health

MAX_SHOWN: Final = 1_000
"""Targets in the first message: about half a megabyte."""
MAX_READ: Final = 2_000
"""States that are read at once."""
MAX_TOLD: Final = 20_000
"""Targets whose last check a topic remembers."""
_ALL: Final = "health"
"""The key of the message with all; no target has such an id."""
States: TypeAlias = Verdict | Annotated[tuple[Verdict, ...], Meta(max_length=16)] | None


class HealthParameters(Parameters, frozen=True, kw_only=True):
    """All must hold that are given; of each, one of several."""

    service: Words = None
    """Names of targets."""
    state: States = None
    """up, degraded, down, unknown."""
    group: Words = None
    places: tuple[str, ...] | None = None
    """`site=...` and `app=...`: what the caller sees, whatever is asked for; None: every target of the tenant."""


@dataclass(frozen=True, slots=True)
class _Told(Update):
    checked_ms: int = 0


class HealthChannel:
    """See the module's text."""

    name = ChannelName.HEALTH.value
    parameters = HealthParameters
    messages = (HealthMessage,)
    sources = (health.NAME,)
    permission = Permission.SERVICES_READ

    def __init__(self, resources: ChannelResources) -> None:
        self._states = HealthStates(resources.database)

    def authorise(self, principal: Principal, tenant: TenantId, parameters: HealthParameters) -> HealthParameters:
        """See `Channel`."""
        principal.require(Permission.SERVICES_READ, tenant)
        places: tuple[str, ...] | None = None
        if not principal.may(Permission.SITES_READ_ALL, tenant):
            mine = principal.assignments.get(tenant)
            sites, apps = (mine.sites, mine.apps) if mine is not None else ((), ())
            places = tuple(sorted({*(f"site={one}" for one in sites), *(f"app={one}" for one in apps)}))
        return replace(parameters, places=places)

    async def open(self, topic: Topic[HealthParameters]) -> HealthFeed:
        """See `Channel`."""
        feed = HealthFeed(topic.tenant, topic.parameters, self._states)
        await feed.begin()
        return feed


class HealthFeed:
    """An open topic."""

    def __init__(self, tenant: TenantId, asked: HealthParameters, states: HealthStates) -> None:
        self._tenant, self._states = tenant, states
        self._wanted = StateFilter(
            states=_several(asked.state),
            names=_several(asked.service),
            groups=_several(asked.group),
            places=asked.places,
        )
        self._seen = Position(0, form=cursors.Form.HEALTH)
        self._told: OrderedDict[str, int] = OrderedDict()
        """By target the newest check that is known here."""

    async def begin(self) -> None:
        """What was stored just before is part of every snapshot that is made from here on."""
        self._seen = await self._now()

    def updates(self, record: LiveHealth) -> list[Update]:
        """See `Feed`."""
        told = [update for one in record.states for update in self._state(one.state, one.before)]
        return [*told, *(update for target in record.removed for update in self._gone(target))]

    async def poll(self) -> Sequence[Update]:
        """See `Feed`."""
        found = await self._read(self._seen)
        if len(found) == MAX_READ and not self._is_known(found[0]):
            snapshot, self._seen = await self._everything()
            return snapshot.updates
        new = [one for one in found if not self._is_known(one)]
        since_ms = self._seen.since_ms
        for one in found:
            self._seen.add(_step(one), _ms(one.at))
        return [update for one in new for update in self._read_update(one, since_ms)]

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """See `Feed`."""
        position = Position.of(after, cursors.Form.HEALTH)
        if position is not None:
            found = await self._read(position)
            if len(found) < MAX_READ:
                return self._resumed(position, found)
        snapshot, _ = await self._everything()
        return snapshot

    async def close(self) -> None:
        """See `Feed`."""

    def _state(self, state: TargetState, before: str = "", *, changed: bool = False) -> list[Update]:
        """`changed`: it may have been something else before, nobody knows what."""
        if state.checked_ms <= self._told.get(state.target, 0):
            return []
        self._remember(state.target, state.checked_ms)
        self._seen.add(_id(state.target, state.checked_ms), self._seen.at_ms)
        if not self._tells(state, before, changed=changed):
            return []
        return [
            _Told(state.target, self._seen.cursor(), HealthMessage(data=[service(state, before)]), state.checked_ms)
        ]

    def _gone(self, target: str) -> list[Update]:
        self._told.pop(target, None)
        self._seen.add(_id(target, 0), self._seen.at_ms)
        return [Update(target, self._seen.cursor(), HealthMessage(data=[], removed=[target]))]

    def _remember(self, target: str, checked_ms: int) -> None:
        self._told[target] = checked_ms
        self._told.move_to_end(target)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)

    def _is_known(self, one: Stored) -> bool:
        if _step(one) in self._seen:
            return True
        return one.state is not None and one.state.checked_ms <= self._told.get(one.target, 0)

    def _read_update(self, one: Stored, since_ms: int) -> list[Update]:
        if one.state is None:
            return self._gone(one.target)
        return self._state(one.state, changed=one.state.since_ms > since_ms)

    def _tells(self, state: TargetState, before: str, *, changed: bool) -> bool:
        """Whether it is one that is asked for, or was and is not any more."""
        wanted = self._wanted
        labels = (f"{name}={value}" for name, value in state.labels.items())
        if wanted.places is not None and not any(label in wanted.places for label in labels):
            return False
        if (wanted.names and state.name not in wanted.names) or (wanted.groups and state.group not in wanted.groups):
            return False
        return not wanted.states or state.state in wanted.states or before in wanted.states or changed

    async def _read(self, position: Position) -> list[Stored]:
        """What may have been stored since then, seen or not; the last MAX_READ of it."""
        return await self._states.since(self._tenant, _date(position.since_ms), MAX_READ)

    async def _now(self) -> Position:
        """Of who has seen everything."""
        newest = await self._states.since(self._tenant, _date(0), 1)
        position = Position(_ms(newest[0].at) if newest else 0, form=cursors.Form.HEALTH)
        for one in await self._read(position):
            position.add(_step(one), _ms(one.at))
        return position

    def _resumed(self, position: Position, found: Sequence[Stored]) -> Snapshot:
        """The states since the position."""
        updates: list[Update] = []
        versions: dict[str, int] = {}
        since_ms = position.since_ms
        for one in found:
            known = _step(one) in position
            position.add(_step(one), _ms(one.at))
            if one.state is not None:
                versions[one.target] = one.state.checked_ms
            if known:
                continue
            if one.state is None:
                updates.append(Update(one.target, position.cursor(), HealthMessage(data=[], removed=[one.target])))
            elif self._tells(one.state, "", changed=one.state.since_ms > since_ms):
                told = HealthMessage(data=[service(one.state)])
                updates.append(_Told(one.target, position.cursor(), told, one.state.checked_ms))
        return Snapshot(updates, _holds(versions))

    async def _everything(self) -> tuple[Snapshot, Position]:
        """All states, and where who knows them stands."""
        # In this order: what is known to have been stored is part of the states that are read after it.
        position = await self._now()
        found = await self._states.page(self._tenant, self._wanted, MAX_SHOWN + 1)
        shown = found[:MAX_SHOWN]
        for state in shown:
            if state.checked_ms >= position.since_ms:
                position.add(_id(state.target, state.checked_ms), position.at_ms)
        told = HealthMessage(data=[service(one) for one in shown], complete=True, truncated=len(found) > MAX_SHOWN)
        versions = {one.target: one.checked_ms for one in shown}
        return Snapshot([Update(_ALL, position.cursor(), told)], _holds(versions)), position


def _holds(versions: Mapping[str, int]) -> Callable[[Update], bool]:
    """Whether an update is not newer than what was seen of its target."""
    return lambda update: isinstance(update, _Told) and update.checked_ms <= versions.get(update.key, -1)


def _step(one: Stored) -> str:
    return _id(one.target, 0 if one.state is None else one.state.checked_ms)


def _id(target: str, checked_ms: int) -> str:
    """Of a check; 0: the target is gone."""
    return f"{target}/{checked_ms}"


def _several(values: Any) -> tuple[Any, ...]:
    if values is None:
        return ()
    return (values,) if isinstance(values, str) else tuple(values)


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(max(0, ms) / 1000, UTC)


def _ms(date: datetime) -> int:
    return round(date.timestamp() * 1000)
