"""Registering series: who is behind a fingerprint, and the place (partition, ordinal) it has for life."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from vigie_contracts.limits import MAX_SERIES_PER_TENANT
from vigie_contracts.series import SeriesKey
from vigie_query.series import Series
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.errors import Retryable

from vigie_storage import collections, mongo
from vigie_storage.mongo import Session
from vigie_storage.series import document as documents
from vigie_storage.tenancy import TenantCollection, Why

log = logging.get(__name__)

TRANSACTION_SERIES = 1_000
_DUPLICATE_ATTEMPTS = 8

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


class Stored(NamedTuple):
    """What a fingerprint stands for, and whose it is."""

    tenant: str
    series: Series


class SeriesWriter:
    """Registers series in the collections `series` and `tenant_series`. Nobody else writes them."""

    def __init__(self, db: Database, partitions: int, limit_of: LimitOf | None = None) -> None:
        """`limit_of(tenant)` is the most series the tenant may have; it may raise Retryable. Without it every tenant
        may have MAX_SERIES_PER_TENANT."""
        self._db = db
        self._series = TenantCollection(db, collections.SERIES).across(Why.REGISTER)
        self._tenants = TenantCollection(db, collections.TENANT_SERIES).across(Why.REGISTER)
        self._partitions = partitions
        self._limit_of = limit_of or _default_limit
        # Transactions of one process would only conflict with each other over the tenants' documents.
        self._one_at_a_time = asyncio.Lock()

    async def ensure_indexes(self) -> None:
        """Make the collections and indexes; they must exist before the first transaction. Safe to repeat."""
        await mongo.ensure(self._db, collections.SERIES, collections.TENANT_SERIES)

    async def register(self, new: Sequence[SeriesKey]) -> list[Registered | Refused]:
        """An answer per key, in order. Series that exist already are found; the others get a home, durably.

        When a tenant's limit is reached the first of `new` still fit and the rest is refused.
        Raises Retryable when MongoDB does not take it; then some of the series may have been registered.
        """
        answers: list[Registered | Refused] = []
        for start in range(0, len(new), TRANSACTION_SERIES):
            answers += await self._register(new[start : start + TRANSACTION_SERIES])
        return answers

    async def mark_business(self, fingerprints: Collection[int]) -> None:
        """Note that the series, which are in the catalogue, are sent as business metrics. Safe to repeat.

        Raises Retryable when MongoDB does not take it."""
        with mongo.retryable("marking a business metric"):
            ids = [documents.series_id(fingerprint) for fingerprint in fingerprints]
            await self._series.update_many({"_id": {"$in": ids}}, {"$set": documents.BUSINESS})

    async def _register(self, keys: Sequence[SeriesKey]) -> list[Registered | Refused]:
        by_fingerprint: dict[int, SeriesKey] = {}
        for key in keys:
            by_fingerprint.setdefault(key.fingerprint, key)
        with mongo.retryable("reading the series catalogue"):
            known = await self._known(by_fingerprint)
        created: dict[int, Stored] = {}
        missing = {fp: key for fp, key in by_fingerprint.items() if fp not in known}
        limits = {tenant: await self._limit_of(tenant) for tenant in {key.tenant for key in missing.values()}}
        if missing:
            async with self._one_at_a_time:
                known_now, created = await self._insert(missing, limits)
            known |= known_now
        return [_answer(key, known.get(key.fingerprint), created.get(key.fingerprint), limits) for key in keys]

    async def _known(self, fingerprints: Collection[int], session: Session | None = None) -> dict[int, Stored]:
        query = {"_id": {"$in": [documents.series_id(fingerprint) for fingerprint in fingerprints]}}
        found = self._series.find(query, documents.FIELDS, session=session, batch_size=TRANSACTION_SERIES)
        known = [Stored(document["tenant"], documents.parse(document)) async for document in found]
        return {stored.series.fingerprint: stored for stored in known}

    async def _insert(
        self, missing: dict[int, SeriesKey], limits: Mapping[str, int]
    ) -> tuple[dict[int, Stored], dict[int, Stored]]:
        """(what others registered meanwhile, what this call registered); what is in neither is over the limit."""

        async def transaction(session: Session) -> tuple[dict[int, Stored], dict[int, Stored]]:
            return await self._insert_in(session, missing, limits)

        with mongo.retryable("registering series"):
            async with self._db.client.start_session() as session:
                for attempt in range(_DUPLICATE_ATTEMPTS):
                    try:
                        return await session.with_transaction(
                            transaction, read_concern=ReadConcern("snapshot"), write_concern=mongo.DURABLE
                        )
                    except (
                        DuplicateKeyError
                    ):  # not labelled transient, but it is: the other's documents are seen next time
                        await asyncio.sleep(0.01 * 2**attempt)
        raise Retryable("registering series: other writers were always faster")

    async def _insert_in(
        self, session: Session, missing: dict[int, SeriesKey], limits: Mapping[str, int]
    ) -> tuple[dict[int, Stored], dict[int, Stored]]:
        known = await self._known(missing, session)
        by_tenant: dict[str, dict[int, SeriesKey]] = {}
        for fingerprint, key in missing.items():
            if fingerprint not in known:
                by_tenant.setdefault(key.tenant, {})[fingerprint] = key
        created: dict[int, Stored] = {}
        for tenant, keys in by_tenant.items():
            created |= await self._place(session, tenant, keys, limits[tenant])
        if created:
            new = [documents.document(tenant, series) for tenant, series in created.values()]
            await self._series.insert_many(new, session=session)
        return known, created

    async def _place(self, session: Session, tenant: str, keys: dict[int, SeriesKey], limit: int) -> dict[int, Stored]:
        holder = await self._tenants.find_one({"_id": tenant}, session=session)
        room = max(0, limit - documents.count(holder))
        taken = list(keys.items())[:room]
        if not taken:
            return {}
        counts = Counter(fingerprint % self._partitions for fingerprint, _ in taken)
        after = await self._tenants.find_one_and_update(
            {"_id": tenant},
            documents.added(counts),
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if after is None:  # an upsert that returns the document after it always has one
            raise RuntimeError(f"no document of tenant {tenant} after its upsert")
        following = documents.next_ordinals(after)
        ordinals = {partition: following[partition] - n for partition, n in counts.items()}
        created: dict[int, Stored] = {}
        now_ms = time.time_ns() // 1_000_000
        for fingerprint, key in taken:
            partition = fingerprint % self._partitions
            series = Series(fingerprint, key.name, key.kind, key.labels, partition, ordinals[partition], now_ms)
            created[fingerprint] = Stored(tenant, series)
            ordinals[partition] += 1
        return created


async def _default_limit(_tenant: str) -> int:
    return MAX_SERIES_PER_TENANT


def _answer(
    key: SeriesKey, known: Stored | None, created: Stored | None, limits: Mapping[str, int]
) -> Registered | Refused:
    fingerprint = key.fingerprint
    stored = known or created
    if stored is None:
        detail = f"the tenant has all its {limits[key.tenant]} series, and this one is new"
        return Refused(fingerprint, RefusalReason.LIMIT, detail)
    holder, series = stored
    if (holder, series.name, series.kind, series.labels) != (key.tenant, key.name, key.kind, key.labels):
        log.error(
            "two series have the same fingerprint; the second one is refused",
            fingerprint=f"{fingerprint:016x}", tenant=key.tenant, name=key.name, labels=dict(key.labels),
            holder_tenant=holder, holder_name=series.name, holder_labels=dict(series.labels),
        )  # fmt: skip
        detail = "this series cannot be stored: its fingerprint belongs to another one. Change a label or the name"
        return Refused(fingerprint, RefusalReason.COLLISION, detail)
    return Registered(fingerprint, series.partition, series.ordinal, created=known is None)
