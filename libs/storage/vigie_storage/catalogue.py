"""The catalogue of series: who is behind a fingerprint, and the home (partition, ordinal) it has for life."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bson import Int64
from pymongo import ASCENDING, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from vigie_contracts.limits import MAX_SERIES_PER_TENANT
from vigie_contracts.series import Kind, Labels, SeriesKey, kind_of, to_signed, to_unsigned
from vigie_runtime import logging
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import Retryable

from vigie_storage import mongo
from vigie_storage.placement import SeriesPlacement

log = logging.get(__name__)

SERIES = "series"
TENANTS = "tenant_series"
TRANSACTION_SERIES = 1_000
LOOKUP_SERIES = 10_000
"""Fingerprints in one question for homes."""
_DUPLICATE_ATTEMPTS = 8
_DURABLE = WriteConcern("majority", j=True)
# MongoDB makes the columns: one document per series costs ten times as much here, and a reader that starts with 200,000
# series would spend more on this than on counting.
_COLUMNS: Final[Document] = {
    "$group": {
        "_id": {"tenant": "$tenant", "partition": "$partition", "type": "$type", "temporality": "$temporality"},
        "fingerprints": {"$push": "$_id"},
        "ordinals": {"$push": "$ordinal"},
    }
}


LimitOf = Callable[[str], Awaitable[int]]


class RefusalReason(StrEnum):
    COLLISION = "collision"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Registered:
    """The series is in the catalogue, durably. `created` tells whether this call put it there."""

    fingerprint: int
    partition: int
    ordinal: int
    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The series is not in the catalogue and none of its samples may be produced. `detail` is for the sender."""

    fingerprint: int
    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What a fingerprint stands for."""

    fingerprint: int
    tenant: str
    name: str
    kind: Kind
    partition: int
    ordinal: int
    labels: Labels


class Catalogue:
    """The `series` and `tenant_series` collections. Only `register` writes them."""

    def __init__(self, db: Database, partitions: int, limit_of: LimitOf | None = None) -> None:
        """`limit_of(tenant)` is the most series the tenant may have; it may raise Retryable. Without it every tenant
        may have MAX_SERIES_PER_TENANT."""
        self._db = db
        self._series = db[SERIES]
        self._tenants = db[TENANTS]
        self._partitions = partitions
        self._limit_of = limit_of or _default_limit
        # Transactions of one process would only conflict with each other over the tenants' documents.
        self._one_at_a_time = asyncio.Lock()

    async def ensure_indexes(self) -> None:
        """Make the collections and indexes; they must exist before the first transaction. Safe to repeat."""
        await mongo.ensure_collections(self._db, [SERIES, TENANTS])
        # With _id: pages in the order of (name, _id) are read from the index and not sorted.
        await self._series.create_index([("tenant", ASCENDING), ("name", ASCENDING), ("_id", ASCENDING)])
        await self._series.create_index([("tenant", ASCENDING), ("lv", ASCENDING)])
        await self._series.create_index(
            [("tenant", ASCENDING), ("partition", ASCENDING), ("ordinal", ASCENDING)], unique=True
        )

    async def register(self, new: Sequence[SeriesKey]) -> list[Registered | Refused]:
        """An answer per key, in order. Series that exist already are found; the others get a home, durably.

        When a tenant's limit is reached the first of `new` still fit and the rest is refused.
        Raises Retryable when MongoDB does not take it; then some of the series may have been registered.
        """
        answers: list[Registered | Refused] = []
        for start in range(0, len(new), TRANSACTION_SERIES):
            answers += await self._register(new[start : start + TRANSACTION_SERIES])
        return answers

    async def placements(self, fingerprints: npt.NDArray[np.uint64]) -> list[SeriesPlacement]:
        """Where the series of distinct fingerprints live; unknown ones are absent. Raises Retryable."""
        wanted: list[int] = fingerprints.view(np.int64).tolist()
        found: list[SeriesPlacement] = []
        with mongo.retryable("reading the series catalogue"):
            for start in range(0, len(wanted), LOOKUP_SERIES):
                # Plain ints: MongoDB compares numbers by value, and wrapping them as Int64 was half of the cost.
                ids = wanted[start : start + LOOKUP_SERIES]
                cursor = await self._series.aggregate([{"$match": {"_id": {"$in": ids}}}, _COLUMNS])
                found += [_homes(document) for document in await cursor.to_list()]
        return found

    async def _register(self, keys: Sequence[SeriesKey]) -> list[Registered | Refused]:
        by_fingerprint: dict[int, SeriesKey] = {}
        for key in keys:
            by_fingerprint.setdefault(key.fingerprint, key)
        with mongo.retryable("reading the series catalogue"):
            known = await self._known(by_fingerprint)
        created: dict[int, SeriesInfo] = {}
        missing = {fp: key for fp, key in by_fingerprint.items() if fp not in known}
        limits = {tenant: await self._limit_of(tenant) for tenant in {key.tenant for key in missing.values()}}
        if missing:
            async with self._one_at_a_time:
                known_now, created = await self._insert(missing, limits)
            known |= known_now
        return [_answer(key, known.get(key.fingerprint), created.get(key.fingerprint), limits) for key in keys]

    async def _known(
        self, fingerprints: Collection[int], session: AsyncClientSession | None = None
    ) -> dict[int, SeriesInfo]:
        ids = [to_signed(fingerprint) for fingerprint in fingerprints]
        fields = {"lv": 0, "created": 0}
        found = self._series.find({"_id": {"$in": ids}}, fields, session=session, batch_size=TRANSACTION_SERIES)
        return {info.fingerprint: info async for document in found if (info := _info(document))}

    async def _insert(
        self, missing: dict[int, SeriesKey], limits: Mapping[str, int]
    ) -> tuple[dict[int, SeriesInfo], dict[int, SeriesInfo]]:
        """(what others registered meanwhile, what this call registered); what is in neither is over the limit."""

        async def transaction(session: AsyncClientSession) -> tuple[dict[int, SeriesInfo], dict[int, SeriesInfo]]:
            return await self._insert_in(session, missing, limits)

        with mongo.retryable("registering series"):
            async with self._db.client.start_session() as session:
                for attempt in range(_DUPLICATE_ATTEMPTS):
                    try:
                        return await session.with_transaction(
                            transaction, read_concern=ReadConcern("snapshot"), write_concern=_DURABLE
                        )
                    except (
                        DuplicateKeyError
                    ):  # not labelled transient, but it is: the other's documents are seen next time
                        await asyncio.sleep(0.01 * 2**attempt)
        raise Retryable("registering series: other writers were always faster")

    async def _insert_in(
        self, session: AsyncClientSession, missing: dict[int, SeriesKey], limits: Mapping[str, int]
    ) -> tuple[dict[int, SeriesInfo], dict[int, SeriesInfo]]:
        known = await self._known(missing, session)
        by_tenant: dict[str, dict[int, SeriesKey]] = {}
        for fingerprint, key in missing.items():
            if fingerprint not in known:
                by_tenant.setdefault(key.tenant, {})[fingerprint] = key
        created: dict[int, SeriesInfo] = {}
        for tenant, keys in by_tenant.items():
            created |= await self._give_homes(session, tenant, keys, limits[tenant])
        if created:
            now = datetime.now(UTC)
            await self._series.insert_many([_document(info, now) for info in created.values()], session=session)
        return known, created

    async def _give_homes(
        self, session: AsyncClientSession, tenant: str, keys: dict[int, SeriesKey], limit: int
    ) -> dict[int, SeriesInfo]:
        holder = await self._tenants.find_one({"_id": tenant}, session=session)
        room = max(0, limit - (holder["count"] if holder else 0))
        taken = list(keys.items())[:room]
        if not taken:
            return {}
        counts = Counter(fingerprint % self._partitions for fingerprint, _ in taken)
        steps = {f"next.{partition}": Int64(n) for partition, n in counts.items()}
        after = await self._tenants.find_one_and_update(
            {"_id": tenant},
            {"$inc": {"count": Int64(len(taken)), **steps}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if after is None:  # an upsert that returns the document after it always has one
            raise RuntimeError(f"no document of tenant {tenant} after its upsert")
        ordinals: dict[int, int] = {partition: after["next"][str(partition)] - n for partition, n in counts.items()}
        created: dict[int, SeriesInfo] = {}
        for fingerprint, key in taken:
            partition = fingerprint % self._partitions
            created[fingerprint] = SeriesInfo(
                fingerprint, tenant, key.name, key.kind, partition, int(ordinals[partition]), key.labels
            )
            ordinals[partition] += 1
        return created


async def _default_limit(_tenant: str) -> int:
    return MAX_SERIES_PER_TENANT


async def series_count(db: Database, tenant: str) -> int:
    """How many series the tenant has."""
    holder = await db[TENANTS].find_one({"_id": tenant}, {"count": 1})
    return int(holder["count"]) if holder else 0


def _answer(
    key: SeriesKey, known: SeriesInfo | None, created: SeriesInfo | None, limits: Mapping[str, int]
) -> Registered | Refused:
    fingerprint = key.fingerprint
    info = known or created
    if info is None:
        detail = f"the tenant has all its {limits[key.tenant]} series, and this one is new"
        return Refused(fingerprint, RefusalReason.LIMIT, detail)
    if (info.tenant, info.name, info.kind, info.labels) != (key.tenant, key.name, key.kind, key.labels):
        log.error(
            "two series have the same fingerprint; the second one is refused",
            fingerprint=f"{fingerprint:016x}", tenant=key.tenant, name=key.name, labels=dict(key.labels),
            holder_tenant=info.tenant, holder_name=info.name, holder_labels=dict(info.labels),
        )  # fmt: skip
        detail = "this series cannot be stored: its fingerprint belongs to another one. Change a label or the name"
        return Refused(fingerprint, RefusalReason.COLLISION, detail)
    return Registered(fingerprint, info.partition, info.ordinal, created=known is None)


def _document(info: SeriesInfo, now: datetime) -> Document:
    return {
        "_id": Int64(to_signed(info.fingerprint)),
        "tenant": info.tenant,
        "name": info.name,
        "type": info.kind.type,
        "temporality": info.kind.temporality,
        "labels": [[name, value] for name, value in info.labels],
        "lv": [f"{name}={value}" for name, value in info.labels],
        "partition": info.partition,
        "ordinal": info.ordinal,
        "created": now,
    }


def _info(document: dict[str, Any]) -> SeriesInfo:
    return SeriesInfo(
        fingerprint=to_unsigned(int(document["_id"])),
        tenant=document["tenant"],
        name=document["name"],
        kind=kind_of(document["type"], document["temporality"]),
        partition=int(document["partition"]),
        ordinal=int(document["ordinal"]),
        labels=tuple((name, value) for name, value in document["labels"]),
    )


def _homes(document: dict[str, Any]) -> SeriesPlacement:
    of = document["_id"]
    return SeriesPlacement(
        tenant=of["tenant"],
        partition=int(of["partition"]),
        kind=int(kind_of(of["type"], of.get("temporality"))),
        # By way of `array`: numpy takes three times as long over bson's own kind of int.
        fingerprints=np.frombuffer(array("q", document["fingerprints"]), np.uint64),
        ordinals=np.frombuffer(array("q", document["ordinals"]), np.int64),
    )
