"""The outbox: what is to be sent is claimed, sent and settled; what cannot be is a dead letter that can be replayed.

A claim is a lease of LEASE_S, which whoever sends renews until it is settled. When the process dies meanwhile, the
notification is claimed again afterwards, so that it is sent at most once more. Of a queue only the first pending
notification can be claimed, so that nothing overtakes what is older. Replicas tell time by their own clocks: those may
differ by a second or two, not by the lease.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock

from vigie_storage import collections
from vigie_storage.alerts.document import Notification, State, notification
from vigie_storage.mongo import MAX_TIME_MS, bounded, exactly
from vigie_storage.tenancy import TenantCollection, Why

LEASE_S: Final = 8.0
PAGE: Final = 128
PAGES: Final = 8
"""What one claim looks at: pages of due notifications, each of other queues than those before, so that one long queue
does not hide the others."""
MAX_LISTED: Final = 1_000
MAX_COUNTED: Final = 100_000


class Outbox:
    """The collection `alert_outbox`; `Ledger.store` adds to it. `kept`: how long what is settled is kept. All methods
    raise StoreUnavailable."""

    def __init__(self, db: Database, clock: Clock, kept: timedelta) -> None:
        self._store = TenantCollection(db, collections.ALERT_OUTBOX)
        self._rows = self._store.across(Why.NOTIFY)
        self._clock = clock
        self._kept = kept

    async def claim(
        self, owner: str, most: int, room: Mapping[str, int], usual: int, full: Collection[str] = (), *,
        held: Collection[str] = (), abandoned: bool = True,
    ) -> list[Notification]:  # fmt: skip
        """At most `most` due notifications, which are the caller's until LEASE_S from now. `owner` is new for every
        call. Of a channel at most `room[key]`, `usual` where that does not say, and none of those that are `full`.
        `held`: ids of what the caller has already. `abandoned`: also those that somebody claimed whose lease ended."""
        now = self._now()
        query: Document = {"state": State.PENDING.value, "due": {"$lte": now}}
        if held:
            query["_id"] = {"$nin": list(held)}
        if not abandoned:
            query["owner"] = {"$exists": False}
        with bounded(4):
            chosen = await self._choose(query, most, dict(room), usual, full)
            if not chosen:
                return []
            ids = {"_id": {"$in": list(chosen)}}
            lease: Document = {
                "$set": {"owner": owner, "due": now + timedelta(seconds=LEASE_S)},
                "$inc": {"attempts": 1},
            }
            claimed = await self._rows.update_many({**query, **ids}, lease)
            if claimed.modified_count < len(chosen):  # others were faster with some
                mine = await self._rows.find({**ids, "owner": owner}, {"_id": 1}).limit(len(chosen)).to_list()
                chosen = {one["_id"]: chosen[one["_id"]] for one in mine}
        return [
            notification({**document, "owner": owner, "attempts": document["attempts"] + 1})
            for document in chosen.values()
        ]

    async def renew(self, claimed: Collection[Notification]) -> set[str]:
        """The ids of those that are the caller's until LEASE_S from now: nobody else has claimed them."""
        if not claimed:
            return set()
        ids = {one.id for one in claimed}
        query: Document = {
            "_id": {"$in": list(ids)},
            "owner": {"$in": list({one.owner for one in claimed})},
            "state": State.PENDING.value,
        }
        with bounded(2):
            lease = {"$set": {"due": self._now() + timedelta(seconds=LEASE_S)}}
            renewed = await self._rows.update_many(query, lease)
            if renewed.matched_count < len(ids):  # others have some, or they are settled
                ids = {one["_id"] for one in await self._rows.find(query, {"_id": 1}).limit(len(ids)).to_list()}
        return ids

    async def sent(self, claimed: Notification) -> bool:
        """It was delivered. False when the claim was over, and it may have been sent again."""
        return await self._settle(claimed, {"state": State.SENT.value})

    async def dead(self, claimed: Notification, failure: str, detail: str, remaining: str = "") -> bool:
        """It is given up. False as for `sent`."""
        return await self._settle(claimed, {"state": State.DEAD.value, **self._failed(failure, detail, remaining)})

    async def retry(
        self, claimed: Notification, after_s: float, failure: str, detail: str, remaining: str = ""
    ) -> bool:
        """It is tried again so much later. False as for `sent`."""
        due = self._now() + timedelta(seconds=after_s)
        return await self._change(
            claimed, {"$set": {"due": due, **self._failed(failure, detail, remaining)}, "$unset": {"owner": ""}}
        )

    async def release(self, claimed: Notification) -> bool:
        """It was not tried after all: somebody else may at once."""
        return await self._change(
            claimed, {"$set": {"due": self._now()}, "$inc": {"attempts": -1}, "$unset": {"owner": ""}}
        )

    async def pending(self) -> int:
        """How many are to be sent, at most MAX_COUNTED."""
        with bounded():
            return await self._rows.count_documents({"state": State.PENDING.value}, limit=MAX_COUNTED)

    async def listed(self, tenant: TenantId, state: State, limit: int = MAX_LISTED) -> list[Notification]:
        """Those of a tenant that are SENT or DEAD, settled last first."""
        with bounded():
            found = await self._store.of(tenant).first({"state": state.value}, "settled", limit, descending=True)
        return [notification(document) for document in found]

    async def of_alert(self, tenant: TenantId, fingerprint: str, limit: int = MAX_LISTED) -> list[Notification]:
        """What was, will or could not be told about an alert, newest first."""
        query = {"fingerprints": exactly(fingerprint)}
        with bounded():
            found = await self._store.of(tenant).first(query, "order", limit, descending=True)
        return [notification(document) for document in found]

    async def replay(self, tenant: TenantId, id: str) -> bool:  # noqa: A002 - what it is called
        """Have a dead letter sent again. False when there is none, or when something newer of its queue was delivered:
        a firing must not be told after the resolved."""
        mine = self._store.of(tenant)
        now = self._now()
        with bounded(3):
            found = await mine.one({"_id": exactly(id), "state": State.DEAD.value})
            if found is None:
                return False
            newer = {"queue": found["queue"], "order": {"$gt": found["order"]}, "state": State.SENT.value}
            if await mine.one(newer) is not None:
                return False
            update = {
                "$set": {"state": State.PENDING.value, "due": now, "created": now, "attempts": 0},
                "$unset": {"settled": "", "expires": ""},
            }
            return await mine.change({"_id": exactly(id), "state": State.DEAD.value}, update) is not None

    async def _choose(
        self, wanted: Document, most: int, room: dict[str, int], usual: int, full: Collection[str]
    ) -> dict[str, Document]:
        """What to claim, by id: the firsts of their queues, as far as there is room."""
        chosen: dict[str, Document] = {}
        closed, seen = set(full), set[str]()
        for _ in range(PAGES):
            due = await self._due(wanted, closed, seen)
            firsts = await self._firsts({one["queue"] for one in due})
            for one in due:
                key = one["channel"]["key"]
                free = room.get(key, usual)
                if one["_id"] in firsts and free > 0 and len(chosen) < most:
                    room[key] = free - 1
                    chosen[one["_id"]] = one
            if len(due) < PAGE or len(chosen) >= most:
                break
            closed |= {key for key, free in room.items() if free <= 0}
            seen |= {one["queue"] for one in due}
        return chosen

    async def _due(self, wanted: Document, closed: Collection[str], seen: Collection[str]) -> list[Document]:
        """A page of what is due, longest first."""
        query = dict(wanted)
        if closed:
            query["channel.key"] = {"$nin": list(closed)}
        if seen:
            query["queue"] = {"$nin": list(seen)}
        cursor = self._rows.find(query, batch_size=PAGE, max_time_ms=MAX_TIME_MS)
        return await cursor.sort("due", 1).limit(PAGE).to_list()

    async def _firsts(self, queues: Collection[str]) -> set[str]:
        """The ids of those that nothing pending of their queue is before."""
        if not queues:
            return set()
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"state": State.PENDING.value, "queue": {"$in": list(queues)}}},
            {"$sort": {"queue": 1, "order": 1}},
            {"$group": {"_id": "$queue", "first": {"$first": "$_id"}}},
        ]
        cursor = await self._rows.aggregate(pipeline, maxTimeMS=MAX_TIME_MS)
        return {group["first"] for group in await cursor.to_list()}

    async def _settle(self, claimed: Notification, fields: Document) -> bool:
        now = self._now()
        update = {
            "$set": {**fields, "settled": now, "expires": now + self._kept},
            "$unset": {"owner": "", "due": ""},
        }
        return await self._change(claimed, update)

    async def _change(self, claimed: Notification, update: Document) -> bool:
        with bounded():
            result = await self._rows.update_one(
                {"_id": claimed.id, "owner": claimed.owner, "state": State.PENDING.value}, update
            )
        return result.modified_count == 1

    def _failed(self, failure: str, detail: str, remaining: str) -> Document:
        last = {"last": {"failure": failure, "detail": detail, "at": self._now()}}
        return {**last, "remaining": remaining} if remaining else last

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
