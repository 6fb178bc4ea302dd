"""Messages that were posted and are edited while their alerts go on: where each stands, and what it says.

alert_messages  {_id, tenant, channel, conversation, place, ts, open, fingerprints, told: [...], due, data, posted,
                 version, expires}

`place` and `ts` are the receiver's own names of channel and message. `told` are the notifications that it says, the
last ones. `data` is the service's own, JSON. `due` is when it is looked at again, because something that it shows was
changed; each such change counts as one of the document, so that whoever rendered the message before writes nothing
over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ReturnDocument
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

LEASE_S: Final = 30.0
"""Whoever edits a message has it for so long; an edit takes less."""
MAX_OF_CONVERSATION: Final = 100


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """`id` is random and nobody's to guess. `version` is that of the document that was read."""

    id: str
    tenant: TenantId
    channel: str
    """The key of Vigie's channel."""
    conversation: str
    """What belongs together: notifications of one queue."""
    place: str
    ts: str
    open: bool
    """Whether any of its alerts goes on."""
    fingerprints: tuple[str, ...]
    told: tuple[str, ...]
    data: bytes
    due: int | None = None
    """Unix milliseconds."""
    version: int = 1


class MessageStore:
    """The collection `alert_messages`. Methods without a session raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock, kept: timedelta) -> None:
        """`kept`: how long one is kept after its last change."""
        self._store = TenantCollection(db, collections.ALERT_MESSAGES)
        self._clock, self._kept = clock, kept

    async def prepare(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(3):
            await self._store.ensure()

    async def of(self, tenant: TenantId, conversation: str, notification: str) -> list[StoredMessage]:
        """Those of a conversation that go on, or say this notification already; the newest first."""
        either = [{"open": True}, {"told": exactly(notification)}]
        query = {"conversation": exactly(conversation), "$or": either}
        with bounded():
            found = await self._store.of(tenant).first(query, "posted", MAX_OF_CONVERSATION, descending=True)
        return [_message(one) for one in found]

    async def get(self, tenant: TenantId, id: str) -> StoredMessage | None:  # noqa: A002 - what it is called
        """By its id."""
        with bounded():
            found = await self._store.of(tenant).one({"_id": exactly(id)})
        return _message(found) if found else None

    async def named(self, id: str) -> StoredMessage | None:  # noqa: A002
        """By its id, whoever's it is: whoever presses a button of it does not say."""
        with bounded():
            found = await self._store.across(Why.AUTHENTICATE).find_one({"_id": exactly(id)})
        return _message(found) if found else None

    async def add(self, message: StoredMessage) -> None:
        """It was posted."""
        now = self._now()
        document = {"_id": message.id, "posted": now, "version": 1, **self._fields(message, now)}
        with bounded():
            await self._store.of(message.tenant).insert(document)

    async def write(self, message: StoredMessage) -> bool:
        """Put it in the place of its version. False when that is not the newest."""
        query = {"_id": exactly(message.id), "version": message.version}
        fields = self._fields(message, self._now())
        gone = {} if "due" in fields else {"$unset": {"due": ""}}
        with bounded():
            written = await self._store.of(message.tenant).change(
                query, {"$set": fields, **gone, "$inc": {"version": 1}}
            )
        return written is not None

    async def touch(self, tenant: TenantId, fingerprints: Sequence[str], session: Session) -> None:
        """Something about these alerts is changed by this transaction: what goes on about them is to be edited."""
        query = {"fingerprints": {"$in": list(fingerprints)}, "open": True}
        await self._store.of(tenant).change_all(query, self._touched(), session)

    async def touch_all(self, tenant: TenantId) -> None:
        """The same of all messages of the tenant that go on."""
        with bounded(2):
            await self._store.of(tenant).change_all({"open": True}, self._touched())

    async def claim(self, most: int) -> list[StoredMessage]:
        """At most `most` that are due, longest first; nobody else gets them for LEASE_S, unless they change again."""
        now, rows = self._now(), self._store.across(Why.NOTIFY)
        claimed: list[StoredMessage] = []
        with bounded(4):
            for one in await rows.find({"due": {"$lte": now}}).sort("due", 1).limit(most).to_list():
                mine = await rows.find_one_and_update(
                    {"_id": one["_id"], "version": one["version"]},
                    {"$set": {"due": now + timedelta(seconds=LEASE_S)}, "$inc": {"version": 1}},
                    return_document=ReturnDocument.AFTER,
                )
                if mine is not None:
                    claimed.append(_message(mine))
        return claimed

    def _touched(self) -> Document:
        return {"$set": {"due": self._now()}, "$inc": {"version": 1}}

    def _fields(self, message: StoredMessage, now: datetime) -> Document:
        fields: Document = {
            "channel": message.channel,
            "conversation": message.conversation,
            "place": message.place,
            "ts": message.ts,
            "open": message.open,
            "fingerprints": list(message.fingerprints),
            "told": list(message.told),
            "data": message.data.decode(),
            "expires": now + self._kept,
        }
        return fields if message.due is None else {**fields, "due": _date(message.due)}

    def _now(self) -> datetime:
        return _date(self._clock.now_ms())


def _message(document: Mapping[str, Any]) -> StoredMessage:
    due = document.get("due")
    return StoredMessage(
        id=document["_id"],
        tenant=TenantId(document["tenant"]),
        channel=document["channel"],
        conversation=document["conversation"],
        place=document["place"],
        ts=document["ts"],
        open=document["open"],
        fingerprints=tuple(document["fingerprints"]),
        told=tuple(document["told"]),
        data=document["data"].encode(),
        due=None if due is None else round(due.timestamp() * 1000),
        version=document["version"],
    )


def _date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
