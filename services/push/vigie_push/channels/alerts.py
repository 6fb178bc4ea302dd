"""`alerts`: what is wrong now, then every step of every alert.

- First comes one `alerts` message with all that is open, at most MAX_OPEN, the last begun first: it takes the place of
  what the client knew. After a cursor come the steps since it instead, of each alert the last one; `alerts` again when
  they are more than MAX_READ.
- Then an `alert` message for every step: firing, acknowledged, given back, resolved, another severity. The conflation
  key is the alert: of one that changes faster than a client reads, the client gets the last state.
- A `notification` message comes when a channel of the type `live` is told something.
- Filters: `severity`, `status`, `service`, `site`, `rule` (id or name), each a word or several. A step is told when the
  alert is one of those asked for, or was before it: so one that leaves `status=active` is seen leaving.
- Seen by whoever has `alerts.read`; without `alerts.read-all` only alerts with a label `site` or `app` of one's own.
- A step comes from Redis, published after it was stored. What Redis lost is read from the ledger, at the latest after
  `hub.RECONCILE_S`; while Redis is away every `hub.POLL_S`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from vigie_contracts.alerts import Transition, transition_id
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import InvalidField
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_storage.alerts.ledger import Ledger, Stored
from vigie_storage.alerts.live import LiveTransitions
from vigie_storage.alerts.states import AlertStates, StoredAlert

from vigie_push.channels.alert_filter import AlertFilter, AlertParameters, narrowed
from vigie_push.channels.alert_messages import (
    STATUSES,
    AlertMessage,
    AlertsMessage,
    Notification,
    NotificationMessage,
    alert,
    alone,
    message,
    stored_alert,
)
from vigie_push.channels.alert_position import Position
from vigie_push.channels.base import Cursor, Snapshot, Topic, Update
from vigie_push.channels.names import ChannelName
from vigie_push.channels.resources import ChannelResources
from vigie_push.sources import notifications, transitions

MAX_OPEN: Final = 500
"""Alerts in the message `alerts`: about half a megabyte."""
MAX_READ: Final = 2_000
"""Steps that are read of the ledger at once."""
MAX_VERSIONS: Final = 10_000
"""Alerts whose last step a topic remembers."""
_ALL: Final = "alerts"
"""The key of the message `alerts`; no alert has such an id."""


class AlertsChannel:
    """See the module's text."""

    name = ChannelName.ALERTS.value
    parameters = AlertParameters
    messages = (AlertMessage, AlertsMessage, NotificationMessage)
    sources = (transitions.NAME, notifications.NAME)
    permission = Permission.ALERTS_READ

    def __init__(self, resources: ChannelResources) -> None:
        self._ledger, self._states = Ledger(resources.database), AlertStates(resources.database)

    def authorise(self, principal: Principal, tenant: TenantId, parameters: AlertParameters) -> AlertParameters:
        """See `Channel`."""
        return narrowed(principal, tenant, parameters)

    async def open(self, topic: Topic[AlertParameters]) -> AlertFeed:
        """See `Channel`. Raises InvalidField."""
        wanted = AlertFilter(topic.parameters)
        if wanted.unknown_statuses:
            raise InvalidField("status", f"must be of {', '.join(dict.fromkeys(STATUSES.values()))}")
        feed = AlertFeed(topic.tenant, wanted, self._ledger, self._states)
        await feed.begin()
        return feed


class AlertFeed:
    """An open topic."""

    def __init__(self, tenant: TenantId, wanted: AlertFilter, ledger: Ledger, states: AlertStates) -> None:
        self._tenant, self._wanted, self._ledger, self._states = tenant, wanted, ledger, states
        self._seen = Position(0)
        self._versions: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Of alerts, the last step that was told."""

    async def begin(self) -> None:
        """What was stored just before is part of every snapshot that is made from here on."""
        self._seen = await self._now()

    def updates(self, record: LiveTransitions | Notification) -> list[Update]:
        """See `Feed`."""
        if isinstance(record, Notification):
            return self._notified(record)
        if record.stored < self._seen.since_ms:
            return []  # so late that it was read of the ledger
        return [update for step in record.transitions for update in self._step(step, record.stored)]

    async def poll(self) -> Sequence[Update]:
        """See `Feed`."""
        found = await self._read(self._seen)
        if len(found) == MAX_READ and found[0].transition.id not in self._seen:
            snapshot, self._seen = await self._everything()
            return snapshot.updates
        return [update for at, step in found for update in self._step(step, _ms(at))]

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """See `Feed`."""
        position = Position.of(after)
        if position is not None:
            found = await self._read(position)
            if len(found) < MAX_READ:
                return self._resumed(position, found)
        snapshot, _ = await self._everything()
        return snapshot

    async def close(self) -> None:
        """See `Feed`."""

    def _step(self, step: Transition, stored_ms: int) -> list[Update]:
        if step.id in self._seen:
            return []
        self._seen.add(step.id, stored_ms)
        if _version(step) < self._versions.get(step.fingerprint, (0, 0)):
            return []  # a later one of the alert came first
        self._versions[step.fingerprint] = _version(step)
        self._versions.move_to_end(step.fingerprint)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)
        if not self._wanted.tells(step):
            return []
        return [Update(step.fingerprint, self._seen.cursor(), message(step))]

    def _notified(self, record: Notification) -> list[Update]:
        alerts = [alert for alert in record.alerts if self._wanted.names(alert)]
        if not alerts:
            return []
        whole = len(alerts) == len(record.alerts) and not self._wanted.restricted
        told = NotificationMessage(data=record if whole else alone(record, alerts))
        return [Update(f"notification {record.id}", self._seen.cursor(), told)]

    async def _read(self, position: Position) -> list[Stored]:
        """What may have been stored since then, seen or not; the last MAX_READ of it."""
        return await self._ledger.since(self._tenant, _date(position.since_ms), MAX_READ)

    async def _now(self) -> Position:
        """Of who has seen everything."""
        newest = await self._ledger.since(self._tenant, _date(0), 1)
        position = Position(_ms(newest[0].at) if newest else 0)  # by their clocks, whatever the one here says
        for at, step in await self._read(position):
            position.add(step.id, _ms(at))
        return position

    def _resumed(self, position: Position, found: Sequence[Stored]) -> Snapshot:
        """The steps since the position, of each alert the last one."""
        updates: dict[str, Update] = {}
        versions: dict[str, tuple[int, int]] = {}
        for at, step in found:
            if step.id in position:
                continue
            position.add(step.id, _ms(at))
            if _version(step) < versions.get(step.fingerprint, (0, 0)):
                continue  # stored before, and read after, a later one
            versions[step.fingerprint] = _version(step)
            if self._wanted.tells(step):
                updates.pop(step.fingerprint, None)
                updates[step.fingerprint] = Update(step.fingerprint, position.cursor(), message(step))
        return Snapshot(list(updates.values()), _holds(position, versions))

    async def _everything(self) -> tuple[Snapshot, Position]:
        """All that is open, and where who knows that stands."""
        # In this order: the steps that are known to have been stored are part of the states that are read after them.
        position = await self._now()
        stored = await self._states.page(self._tenant, self._wanted.open(), MAX_OPEN + 1)
        shown = stored[:MAX_OPEN]
        steps = await self._ledger.some(self._tenant, [_last(one) for one in shown])
        for step in steps.values():
            if step.timestamp >= position.since_ms:
                position.add(step.id, position.at_ms)
        alerts = [alert(steps[_last(one)]) if _last(one) in steps else stored_alert(one) for one in shown]
        versions = {one.fingerprint: (one.starts_at, one.sequence) for one in shown}
        update = Update(_ALL, position.cursor(), AlertsMessage(data=alerts, truncated=len(stored) > MAX_OPEN))
        return Snapshot([update], _holds(position.copy(), versions)), position


def _holds(position: Position, versions: Mapping[str, tuple[int, int]]) -> Callable[[Update], bool]:
    """Whether an update is among what was seen, or older than the state of its alert that was."""

    def holds(update: Update) -> bool:
        told: Any = update.message
        if not isinstance(told, AlertMessage):
            return False
        start = int(told.data.episode.rpartition("-")[2])
        return told.change.id in position or (start, told.change.sequence) <= versions.get(update.key, (-1, 0))

    return holds


def _version(step: Transition) -> tuple[int, int]:
    """A greater one is later in the life of the alert."""
    return step.timestamp if step.starts_at is None else step.starts_at, step.sequence


def _last(one: StoredAlert) -> str:
    return transition_id(one.fingerprint, one.starts_at, one.sequence)


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(max(0, ms) / 1000, UTC)


def _ms(date: datetime) -> int:
    return round(date.timestamp() * 1000)
