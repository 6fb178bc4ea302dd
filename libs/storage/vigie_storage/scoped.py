"""Collections whose documents belong to a tenant, and the one way to them: a query without a tenant cannot be written.

A `Store` has no query methods. `of(tenant)` gives a `Scoped`, which narrows every filter to the tenant and writes no
other one's documents. The few questions that must be asked before a tenant is known, or about all of them, go through
`across(why)`, with a reason of a closed list: searching for `across(` finds every one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, cast

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from vigie_contracts.tenants import PLATFORM, TenantId, is_tenant
from vigie_runtime.clients import Database, Document

from vigie_storage import mongo
from vigie_storage.mongo import Session

TENANT_FIELD: Final = "tenant"
MAX_BATCH: Final = 1_001
"""Documents that one query may give: a page of 1,000, and one to see whether there are more."""
_FOREIGN_STAGES: Final = frozenset({"$lookup", "$graphLookup", "$unionWith", "$out", "$merge", "$geoNear", "$search"})
"""Stages that leave the collection, or must come first."""

Filter = Mapping[str, Any]


class Why(StrEnum):
    """The questions that are not about one tenant."""

    AUTHENTICATE = "whose credential this is, is what is asked"
    LOG_IN = "the account names its tenant"
    GUESTS = "a tenant asks which users of other homes are assigned to it"
    PLATFORM = "somebody with a platform-wide role asks about all tenants"
    USAGE = "what all tenants used is added up in one go"


class Scoped:
    """The documents of one tenant. `session` is that of a transaction."""

    __slots__ = ("_collection", "tenant")

    def __init__(self, collection: AsyncCollection[Document], tenant: TenantId) -> None:
        if tenant != PLATFORM and not is_tenant(tenant):
            raise ValueError(f"{tenant!r} is no tenant")
        self._collection = collection
        self.tenant = tenant

    async def one(self, query: Filter, session: Session | None = None) -> Document | None:
        """A document that matches."""
        return await self._collection.find_one(self._narrow(query), session=session)

    async def first(
        self, query: Filter, sort: str, limit: int, *, descending: bool = False, session: Session | None = None
    ) -> list[Document]:
        """At most `limit` documents in the order of the field `sort`."""
        if not 1 <= limit <= MAX_BATCH:
            raise ValueError(f"a query may ask for 1 to {MAX_BATCH} documents, not {limit}")
        order = [(sort, DESCENDING if descending else ASCENDING)]
        return await self._collection.find(self._narrow(query), session=session).sort(order).limit(limit).to_list()

    async def count(self, query: Filter, limit: int, session: Session | None = None) -> int:
        """How many match; counting stops at `limit`."""
        return await self._collection.count_documents(self._narrow(query), limit=limit, session=session)

    async def insert(self, document: Document, session: Session | None = None) -> None:
        """Add a document; it gets the tenant. Raises ValueError when it has another one."""
        if document.setdefault(TENANT_FIELD, self.tenant) != self.tenant:
            raise ValueError("a document of another tenant")
        await self._collection.insert_one(document, session=session)

    async def change(self, query: Filter, update: Mapping[str, Any], session: Session | None = None) -> Document | None:
        """Update one document and give it as it is afterwards; None when none matches."""
        _check_update(update)
        return await self._collection.find_one_and_update(
            self._narrow(query),
            update,
            return_document=ReturnDocument.AFTER,
            session=session,
        )

    async def change_all(self, query: Filter, update: Mapping[str, Any], session: Session | None = None) -> None:
        """Update every document that matches."""
        _check_update(update)
        await self._collection.update_many(self._narrow(query), update, session=session)

    async def remove(self, query: Filter, session: Session | None = None) -> Document | None:
        """Delete one document and give it; None when none matches."""
        return await self._collection.find_one_and_delete(self._narrow(query), session=session)

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> AsyncIterator[Document]:
        """The pipeline over the tenant's documents. Raises ValueError for a stage that would leave them."""
        _check_stages(pipeline)
        cursor = await self._collection.aggregate([{"$match": self._narrow({})}, *pipeline])
        async for document in cursor:
            yield document

    def _narrow(self, query: Filter) -> Document:
        # $and: whatever else the filter says, also about the tenant, it can only match less.
        mine = {TENANT_FIELD: {"$eq": self.tenant}}
        return {"$and": [mine, dict(query)]} if query else mine


class Store:
    """A collection of the database whose documents belong to tenants."""

    __slots__ = ("_collection", "_db", "name")

    def __init__(self, db: Database, name: str) -> None:
        self._db = db
        self._collection: AsyncCollection[Document] = db[name]
        self.name = name

    def of(self, tenant: TenantId) -> Scoped:
        """The documents of one tenant."""
        return Scoped(self._collection, tenant)

    def across(self, why: Why) -> AsyncCollection[Document]:
        """The whole collection, for a question that is not about one tenant."""
        if not isinstance(why, Why):  # pyright: ignore[reportUnnecessaryIsInstance] - the types are not checked at run time
            raise TypeError("say why the question is not about one tenant")
        return self._collection

    async def ensure(
        self, *indexes: Sequence[tuple[str, int]], unique: Sequence[tuple[str, int]] | None = None
    ) -> None:
        """Make the collection (a transaction cannot) and its indexes, each led by the tenant. Safe to repeat."""
        await mongo.ensure_collections(self._db, [self.name])
        for index in indexes:
            await self._collection.create_index([(TENANT_FIELD, ASCENDING), *index])
        if unique:
            await self._collection.create_index([(TENANT_FIELD, ASCENDING), *unique], unique=True)


def _check_update(update: Mapping[str, Any]) -> None:
    for operator, fields in update.items():
        if not operator.startswith("$"):
            raise ValueError("an update has operators; replacing a document could change its tenant")
        touched = [*fields, *fields.values()] if operator == "$rename" else list(fields)
        if any(str(name).partition(".")[0] == TENANT_FIELD for name in touched):
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
