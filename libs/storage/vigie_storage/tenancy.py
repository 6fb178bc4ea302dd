"""The one way to the documents of tenants: a query without a tenant cannot be written.

A `TenantCollection` has no query methods. `of(tenant)` gives a `TenantView`, which narrows every filter to the tenant
and writes no other one's documents. The questions that must be asked before a tenant is known, about all of them, or
by ids that are made of the tenant, go through `across(why)`, with a reason of a closed list: searching for `across(`
finds every one. `shared` opens what belongs to no tenant. Nobody else opens collections (a lint holds that).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, cast

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from vigie_contracts.tenants import PLATFORM, TenantId, is_tenant
from vigie_runtime.clients import Database, Document

from vigie_storage import mongo
from vigie_storage.collections import Collection, TenantIn
from vigie_storage.mongo import Session

MAX_BATCH: Final = 1_001
"""Documents that one query may give: a page of 1,000, and one to see whether there are more."""
_FOREIGN_STAGES: Final = frozenset({"$lookup", "$graphLookup", "$unionWith", "$out", "$merge", "$geoNear", "$search"})
"""Stages that leave the collection, or must come first."""

Query: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = AsyncCollection[Document]
"""All documents of a collection."""


class Why(StrEnum):
    """The questions that are not about one tenant."""

    AUTHENTICATE = "whose credential this is, is what is asked"
    LOG_IN = "the account names its tenant"
    GUESTS = "a tenant asks which users of other homes are assigned to it"
    PLATFORM = "somebody with a platform-wide role asks about all tenants"
    USAGE = "what all tenants used is added up in one go"
    TENANTS = "the documents are the tenants"
    IDS = "the ids that are asked for are made of the tenant"
    REGISTER = "series of several tenants are registered, or looked up by their fingerprints, in one go"
    NOTIFY = "whoever is free sends the notifications of all tenants"
    PROBE = "whoever owns a target asks it, whose ever it is"
    PUBLISH = "whoever is free publishes the rules of all tenants"
    COUNT = "a partition of the log has records of many tenants, and they are committed together"
    DIVIDE = "the partitions of all tenants are divided into more"


class TenantView:
    """The documents of one tenant. `session` is that of a transaction."""

    __slots__ = ("_collection", "_field", "tenant")

    def __init__(self, collection: Rows, field: TenantIn, tenant: TenantId) -> None:
        if tenant != PLATFORM and not is_tenant(tenant):
            raise ValueError(f"{tenant!r} is no tenant")
        self._collection = collection
        self._field = field
        self.tenant = tenant

    async def one(
        self, query: Query, session: Session | None = None, *, max_time_ms: int | None = None
    ) -> Document | None:
        """A document that matches."""
        return await self._collection.find_one(self._narrow(query), session=session, max_time_ms=max_time_ms)

    def find(
        self,
        query: Query,
        projection: Mapping[str, int] | None,
        *,
        batch_size: int,
        max_time_ms: int,
        session: Session | None = None,
    ) -> AsyncCursor[Document]:
        """All that match; whoever asks bounds them, with `limit` or by what is asked."""
        return self._collection.find(
            self._narrow(query), projection, batch_size=batch_size, max_time_ms=max_time_ms, session=session
        )

    async def first(
        self, query: Query, sort: str, limit: int, *, descending: bool = False, session: Session | None = None
    ) -> list[Document]:
        """At most `limit` documents in the order of the field `sort`."""
        if not 1 <= limit <= MAX_BATCH:
            raise ValueError(f"a query may ask for 1 to {MAX_BATCH} documents, not {limit}")
        order = [(sort, DESCENDING if descending else ASCENDING)]
        return await self._collection.find(self._narrow(query), session=session).sort(order).limit(limit).to_list()

    async def count(
        self, query: Query, limit: int, session: Session | None = None, *, max_time_ms: int | None = None
    ) -> int:
        """How many match; counting stops at `limit`."""
        bound = {} if max_time_ms is None else {"maxTimeMS": max_time_ms}
        return await self._collection.count_documents(self._narrow(query), limit=limit, session=session, **bound)

    async def insert(self, document: Document, session: Session | None = None) -> None:
        """Add a document; it gets the tenant. Raises ValueError when it has another one."""
        if self._owner(document) != self.tenant:
            raise ValueError("a document of another tenant")
        await self._collection.insert_one(document, session=session)

    async def change(
        self, query: Query, update: Mapping[str, Any], session: Session | None = None, *, upsert: bool = False
    ) -> Document | None:
        """Update one document and give it as it is afterwards; None when none matches. `upsert`: make it then, with
        what the query says that it equals."""
        _check_update(update, self._field)
        return await self._collection.find_one_and_update(
            self._narrow(query),
            update,
            return_document=ReturnDocument.AFTER,
            upsert=upsert,
            session=session,
        )

    async def change_all(self, query: Query, update: Mapping[str, Any], session: Session | None = None) -> None:
        """Update every document that matches."""
        _check_update(update, self._field)
        await self._collection.update_many(self._narrow(query), update, session=session)

    async def remove(self, query: Query, session: Session | None = None) -> Document | None:
        """Delete one document and give it; None when none matches."""
        return await self._collection.find_one_and_delete(self._narrow(query), session=session)

    async def remove_all(self, query: Query, session: Session | None = None) -> None:
        """Delete every document that matches."""
        await self._collection.delete_many(self._narrow(query), session=session)

    async def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], *, max_time_ms: int | None = None
    ) -> AsyncIterator[Document]:
        """The pipeline over the tenant's documents. Raises ValueError for a stage that would leave them."""
        _check_stages(pipeline)
        bound: dict[str, Any] = {} if max_time_ms is None else {"maxTimeMS": max_time_ms}
        cursor = await self._collection.aggregate([{"$match": self._narrow({})}, *pipeline], **bound)
        async for document in cursor:
            yield document

    def _owner(self, document: Document) -> object:
        if self._field is TenantIn.ID_FIELD:
            return document["_id"]["t"]
        return document.setdefault(self._field.value, self.tenant)

    def _narrow(self, query: Query) -> Document:
        # $and: whatever else the filter says, also about the tenant, it can only match less.
        owned = {self._field.value: {"$eq": self.tenant}}
        return {"$and": [owned, dict(query)]} if query else owned


class TenantCollection:
    """A collection of the database whose documents belong to tenants. Raises TypeError for one whose do not."""

    __slots__ = ("_db", "_rows", "_tenant_in", "about")

    def __init__(self, db: Database, about: Collection) -> None:
        if about.tenant is None:
            raise TypeError(f"the documents of {about.name} belong to no tenant")
        self.about = about
        self._tenant_in = about.tenant
        self._db = db
        self._rows: Rows = db[about.name]

    def of(self, tenant: TenantId) -> TenantView:
        """The documents of one tenant."""
        return TenantView(self._rows, self._tenant_in, tenant)

    def across(self, why: Why) -> Rows:
        """The whole collection, for a question that is not about one tenant."""
        if not isinstance(why, Why):  # pyright: ignore[reportUnnecessaryIsInstance] - the types are not checked at run time
            raise TypeError("say why the question is not about one tenant")
        return self._rows

    async def ensure(self, life: timedelta | None = None) -> None:
        """Make the collection (a transaction cannot) and its indexes. Safe to repeat. `life`: see `mongo.ensure`."""
        await mongo.ensure(self._db, self.about, life=life)


def shared(db: Database, about: Collection) -> Rows:
    """A collection whose documents belong to no tenant. Raises TypeError for one whose do."""
    if about.tenant is not None:
        raise TypeError(f"the documents of {about.name} belong to tenants")
    return db[about.name]


def _check_update(update: Mapping[str, Any], tenant_in: TenantIn) -> None:
    kept = tenant_in.partition(".")[0]
    for operator, fields in update.items():
        if not operator.startswith("$"):
            raise ValueError("an update has operators; replacing a document could change its tenant")
        touched = [*fields, *fields.values()] if operator == "$rename" else list(fields)
        if any(str(name).partition(".")[0] == kept for name in touched):
            raise ValueError("a document keeps its tenant")


def _check_stages(value: Any) -> None:
    """No stage, at any depth, may leave the tenant's documents."""
    inner: Iterable[Any] = ()
    if isinstance(value, Mapping):
        stages = cast("Mapping[str, Any]", value)
        if foreign := _FOREIGN_STAGES & stages.keys():
            raise ValueError(f"{', '.join(sorted(foreign))} would leave the tenant's documents")
        inner = stages.values()
    elif isinstance(value, list | tuple):
        inner = cast("Sequence[Any]", value)
    for part in inner:
        _check_stages(part)
