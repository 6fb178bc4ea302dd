"""Groups of alerts that are told together, and what each receiver was told of each alert.

alert_groups         {_id, tenant, due, leased, data}
alert_group_members  {_id: "<group>/<fingerprint>", tenant, group, fingerprint, due, data}

`data` is the whole as msgpack: labels may have names that MongoDB does not take. `due` is when the group is looked at
again, and which of its members then: where there is none, nothing is to be told until a step of an alert comes.
Everything that is decided is decided in a transaction that reads what it changes; `leased` only keeps other replicas
from doing the same work at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace
from pymongo import DeleteOne, UpdateOne
from vigie_contracts.alerts import AlertState, Channel, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections
from vigie_storage.mongo import MAX_TIME_MS, Session, bounded
from vigie_storage.tenancy import TenantCollection, Why

LEASE_S: Final = 8.0
MAX_DUE: Final = 2_000
"""Members of which one look decides."""
_BATCH: Final = 1_000


class Group(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Alerts of one tenant that one receiver is told of together. Times are Unix milliseconds."""

    id: str
    tenant: str
    route: str = ""
    """Where in the tree of routes; empty: the channels of a rule, and the group is one alert."""
    receiver: str = ""
    """Its name."""
    labels: dict[str, str] = {}
    """Which all of its alerts have."""
    key: str = ""
    """As messages have it."""
    channels: list[Channel] = []
    """Of the receiver; of a rule's own channels each transition has them."""
    chain: str = ""
    """The escalation chain that is its receiver."""
    mute_times: tuple[str, ...] = ()
    active_times: tuple[str, ...] = ()
    interval_ms: int = 0
    """The longest time that a change waits."""
    born: str
    """The id of the step that made it: another group in its place later has another."""
    sequence: int = 0
    """Of its last notification."""
    told_ms: int = 0
    """When that was; never goes back."""
    due_ms: int | None = None


class Member(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An alert in a group. Times are Unix milliseconds."""

    group: str
    tenant: str
    fingerprint: str
    step: Transition
    """Its newest."""
    told: str = ""
    """The id of the last step that the receiver was told of."""
    told_state: AlertState | None = None
    """What that said."""
    due_ms: int | None = None
    interval_ms: int = 0
    repeat_ms: int = 0
    """How long after a message it is told again; 0: never."""
    held: str = ""
    """Why it was not told when it was looked at last: what is said once is not said again."""

    @property
    def id(self) -> str:
        return f"{self.group}/{self.fingerprint}"


_groups: Final = msgspec.msgpack.Decoder(Group)
_members: Final = msgspec.msgpack.Decoder(Member)


class GroupStore:
    """The collections `alert_groups` and `alert_group_members`. Methods that take a session are parts of its
    transaction; the others raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._groups = TenantCollection(db, collections.ALERT_GROUPS)
        self._members = TenantCollection(db, collections.ALERT_GROUP_MEMBERS)
        self._clock = clock

    async def prepare(self) -> None:
        """Make the collections and their indexes. Safe to repeat."""
        with bounded(5):
            await self._groups.ensure()
            await self._members.ensure()

    async def any(self, tenant: TenantId) -> bool:
        """Whether the tenant has groups."""
        with bounded():
            return await self._groups.of(tenant).one({}) is not None

    async def of_alerts(self, tenant: TenantId, fingerprints: Sequence[str], session: Session) -> list[Member]:
        """What every receiver was told of these alerts, or is to be told."""
        rows = self._members.of(tenant).find(
            {"fingerprint": {"$in": list(fingerprints)}}, None,
            batch_size=_BATCH, max_time_ms=MAX_TIME_MS, session=session,
        )  # fmt: skip
        return [_member(document) async for document in rows]

    async def some(self, tenant: TenantId, ids: Collection[str], session: Session) -> dict[str, Group]:
        """Those of these groups that there are, by id."""
        rows = self._groups.of(tenant).find(
            {"_id": {"$in": list(ids)}}, None, batch_size=_BATCH, max_time_ms=MAX_TIME_MS, session=session
        )
        return {document["_id"]: _group(document) async for document in rows}

    async def due_members(self, groups: Iterable[Group], now_ms: int, session: Session) -> list[Member]:
        """Members of these groups that are to be looked at now, and within an interval of their group; at most MAX_DUE,
        longest due first."""
        any_of = [{"group": one.id, "due": {"$lte": _date(now_ms + one.interval_ms)}} for one in groups]
        if not any_of:
            return []
        rows = self._members.across(Why.NOTIFY).find({"$or": any_of}, batch_size=MAX_DUE, session=session)
        return [_member(document) for document in await rows.sort("due", 1).limit(MAX_DUE).to_list()]

    async def left(self, ids: Collection[str], session: Session) -> dict[str, int | None]:
        """When the next member of each of these groups is due, None: not until a step comes. Groups without members are
        left out."""
        pipeline = [
            {"$match": {"group": {"$in": list(ids)}}},
            {"$group": {"_id": "$group", "due": {"$min": "$due"}}},
        ]
        rows = await self._members.across(Why.NOTIFY).aggregate(pipeline, session=session)
        return {one["_id"]: None if one["due"] is None else _ms(one["due"]) async for one in rows}

    async def write(
        self, groups: Iterable[Group], gone: Collection[str], members: Iterable[Member], left: Collection[str],
        session: Session,
    ) -> None:  # fmt: skip
        """Put these in the place of what was read in this transaction; `gone` and `left` are the ids of groups and of
        members that are no more."""
        written: list[UpdateOne | DeleteOne] = [_put(one.id, _group_fields(one)) for one in groups]
        written += [DeleteOne({"_id": one}) for one in gone]
        put: list[UpdateOne | DeleteOne] = [_put(one.id, _member_fields(one)) for one in members]
        put += [DeleteOne({"_id": one}) for one in left]
        for collection, updates in ((self._groups, written), (self._members, put)):
            for start in range(0, len(updates), _BATCH):
                some = updates[start : start + _BATCH]
                await collection.across(Why.NOTIFY).bulk_write(some, ordered=False, session=session)

    async def claim(self, most: int) -> list[Group]:
        """At most `most` groups that are due, longest first; nobody else gets them for LEASE_S."""
        now = _date(self._clock.now_ms())
        free: Document = {"due": {"$lte": now}, "leased": {"$not": {"$gt": now}}}
        rows = self._groups.across(Why.NOTIFY)
        with bounded(2):
            found = await rows.find(free).sort("due", 1).limit(most).to_list()
            if found:
                ids = {"_id": {"$in": [one["_id"] for one in found]}}
                await rows.update_many({**ids, **free}, {"$set": {"leased": now + timedelta(seconds=LEASE_S)}})
        return [_group(one) for one in found]

    async def reconsider(self, tenant: TenantId) -> None:
        """What is held of the tenant is looked at at once: something that mutes was changed."""
        now = _date(self._clock.now_ms())
        held, later = self._members.of(tenant), {"held": True, "due": {"$gt": now}}
        while True:
            with bounded(3):
                some = await held.first(later, "due", _BATCH)
                if not some:
                    return
                ids, groups = [one["_id"] for one in some], list({one["group"] for one in some})
                await held.change_all({**later, "_id": {"$in": ids}}, {"$set": {"due": now}})
                # Afterwards: who looked at a group before would find nothing due, and put the group off again.
                await self._groups.of(tenant).change_all({"_id": {"$in": groups}}, {"$set": {"due": now}})

    async def forget_idle(self, tenant: TenantId) -> None:
        """Nothing is known any more of groups of the tenant that have nothing to tell until a step comes."""
        with bounded(3):  # members first: of a member without its group nobody could be told
            await self._members.of(tenant).remove_all({"due": None})
            await self._groups.of(tenant).remove_all({"due": None})


def _put(id: str, fields: Document) -> UpdateOne:  # noqa: A002 - what it is called
    return UpdateOne({"_id": id}, {"$set": fields, "$unset": {"leased": ""}}, upsert=True)


def _group_fields(group: Group) -> Document:
    due = None if group.due_ms is None else _date(group.due_ms)
    return {"tenant": group.tenant, "due": due, "data": msgspec.msgpack.encode(group)}


def _member_fields(member: Member) -> Document:
    return {
        "tenant": member.tenant,
        "group": member.group,
        "fingerprint": member.fingerprint,
        "due": None if member.due_ms is None else _date(member.due_ms),
        "held": bool(member.held),
        "data": msgspec.msgpack.encode(member),
    }


def _group(document: Document) -> Group:
    due = document["due"]
    return replace(_groups.decode(document["data"]), due_ms=None if due is None else _ms(due))


def _member(document: Document) -> Member:
    due = document["due"]
    return replace(_members.decode(document["data"]), due_ms=None if due is None else _ms(due))


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(date: datetime) -> int:
    return round(date.timestamp() * 1000)
