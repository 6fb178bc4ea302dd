"""Tenants: their names, whether they are active, and the limits of their plans.

One that is deleted stays as a tombstone, because its id is on data, logs and keys: nobody else ever gets it. To every
question but one it does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from vigie_contracts.limits import MAX_SERIES_PER_TENANT
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly, transaction
from vigie_storage.tenancy import TenantCollection, Why

from vigie_identity.audit import SYSTEM, Action, Actor, Audit
from vigie_identity.errors import Conflict, InvalidField, NotFound
from vigie_identity.names import display_name, name_key
from vigie_identity.pages import Page, PageRequest, cut

WHAT: Final = "tenant"
MAX_IDS: Final = 1_000


class Status(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"
    """Only ever seen by who asks for deleted ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of a tenant. None: no limit of its own."""

    samples_per_s: int | None = None
    requests_per_s: int | None = None
    series: int = MAX_SERIES_PER_TENANT
    rules: int = 1_000
    targets: int = 1_000
    """Of health checks."""
    notifications_per_day: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 0:
                raise InvalidField(f"plan.{field.name}", "must not be negative")


@dataclass(frozen=True, slots=True)
class Tenant:
    id: TenantId
    name: str
    status: Status
    plan: Plan
    created: datetime
    updated: datetime

    @property
    def active(self) -> bool:
        return self.status is Status.ACTIVE


_BY_DELETE: Final = "a tenant is deleted by `delete`, and for ever"
_NOT_DELETED: Final = {"status": {"$ne": Status.DELETED.value}}


class Tenants:
    """The collection `tenants`, one document per tenant. Whoever calls has checked that the caller may."""

    def __init__(self, db: Database, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._tenants = TenantCollection(db, collections.TENANTS)
        self._collection = self._tenants.across(Why.TENANTS)
        self._licences = TenantCollection(db, collections.LICENCES)
        self._audit = audit
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._tenants.ensure()

    async def create(self, tenant: TenantId, name: str, by: Actor, plan: Plan | None = None) -> Tenant:
        """Create a tenant. Raises Conflict when the id (also by a deleted tenant) or the name is taken, InvalidField,
        StoreUnavailable."""
        document = self._document(tenant, name, plan or Plan())

        async def work(session: Session) -> None:
            await self._collection.insert_one(document, session=session)
            await self._audit.add(session, tenant, by, Action.TENANT_CREATED, tenant, name=document["name"])

        try:
            await transaction(self._db, work)
        except DuplicateKeyError as e:
            if "_id" in (e.details or {}).get("keyPattern", {}):
                raise Conflict("there is, or was, a tenant of that id", field="id") from None
            raise Conflict("there is a tenant of that name already", field="name") from None
        return _tenant(document)

    async def ensure(self, tenant: TenantId) -> None:
        """Make the tenant, named after its id, unless it is there. Any number of processes may do so at once. Raises
        Conflict when it cannot be there: deleted, or another one has the name; StoreUnavailable."""
        with bounded():
            found = await self._collection.find_one({"_id": exactly(tenant)}, {"status": 1})
        if found is not None:
            if found["status"] == Status.DELETED.value:
                raise Conflict(f"the tenant {tenant} was deleted, and its id is not given again: choose another one")
            return
        try:
            await self.create(tenant, tenant, SYSTEM)
        except Conflict as e:
            if e.field == "name":
                raise Conflict(
                    f"there is no tenant {tenant}, and it cannot be made, because another tenant has this name: rename "
                    "that one, or choose another id"
                ) from None

    async def get(self, tenant: TenantId, *, deleted: bool = False) -> Tenant:
        """Return the tenant with this id; with `deleted` also a deleted one. Raises NotFound, StoreUnavailable."""
        with bounded():
            document = await self._collection.find_one({"_id": exactly(tenant)} if deleted else _there(tenant))
        if document is None:
            raise NotFound(WHAT)
        return _tenant(document)

    async def page(self, request: PageRequest, *, deleted: bool = False, status: Status | None = None) -> Page[Tenant]:
        """Return a page of all tenants, or of those with a status, by id: for those with a platform-wide role. With
        `deleted` also the tombstones. Raises StoreUnavailable."""
        after = request.after()
        query: Document = {} if after is None else {"_id": {"$gt": after}}
        if status is not None:
            query["status"] = status.value
        elif not deleted:
            query |= _NOT_DELETED
        with bounded():
            found = await self._collection.find(query).sort("_id").limit(request.limit + 1).to_list()
        return cut(found, request, "_id", _tenant)

    async def active(self, tenants: Iterable[TenantId]) -> frozenset[TenantId]:
        """Those of at most 1,000 tenants that exist and are active. Raises StoreUnavailable."""
        wanted = list(dict.fromkeys(tenants))[:MAX_IDS]
        if not wanted:
            return frozenset()
        query = {"_id": {"$in": wanted}, "status": Status.ACTIVE.value}
        with bounded():
            found = await self._collection.find(query, {"_id": 1}).to_list()
        return frozenset(document["_id"] for document in found)

    async def counts(self) -> dict[Status, int]:
        """How many tenants there are, active and not. Raises StoreUnavailable."""
        with bounded():
            return {
                status: await self._collection.count_documents({"status": status.value})
                for status in (Status.ACTIVE, Status.INACTIVE)
            }

    async def ended_since(self, since: datetime) -> list[TenantId]:
        """The ids of all that are not active, the deleted ones too, and were at some time since then: of those that
        ended earlier, nothing newer was taken. Raises StoreUnavailable."""
        ended = [Status.INACTIVE.value, Status.DELETED.value]
        query = {"status": {"$in": ended}, "updated": {"$gte": since}}
        with bounded():
            found = await self._collection.find(query, {"_id": 1}).to_list()
        return [document["_id"] for document in found]

    async def delete(self, tenant: TenantId, by: Actor) -> None:
        """Delete a tenant for ever: the name is free, the id is not. Users, keys and data stay where they are, and let
        nobody in. Raises NotFound, Conflict unless it is inactive, StoreUnavailable."""

        async def work(session: Session) -> None:
            values = {"status": Status.DELETED.value, "name_key": f"\0{tenant}", "updated": self._now()}
            query = {"_id": exactly(tenant), "status": Status.INACTIVE.value}
            document = await self._collection.find_one_and_update(query, {"$set": values}, session=session)
            if document is None:
                await self.require_in(session, tenant)
                raise Conflict("only a tenant that is not active can be deleted: switch it off first")
            await self._licences.of(tenant).change_all({}, {"$set": {"deleted": True}}, session)
            for log in (tenant, PLATFORM):  # nobody of the tenant reads its own any more
                await self._audit.add(session, log, by, Action.TENANT_DELETED, tenant, name=document["name"])

        await transaction(self._db, work)

    async def change(
        self, tenant: TenantId, by: Actor,
        *, name: str | None = None, status: Status | None = None, plan: Mapping[str, Any] | None = None,
    ) -> Tenant:  # fmt: skip
        """Change the fields that are given, in one transaction; `plan` has the limits that change, by their names in
        Plan. From an inactive tenant nothing is taken, and nothing is shown to it. Raises NotFound, Conflict when the
        name is taken, InvalidField (also for the status DELETED), StoreUnavailable."""
        values: Document = {}
        changes: Document = {}
        if name is not None:
            changes["name"] = display_name("name", name)
            values |= {"name": changes["name"], "name_key": name_key(changes["name"])}
        if status is Status.DELETED:
            raise InvalidField("status", _BY_DELETE)
        if status is not None:
            values["status"] = changes["status"] = status.value
        if plan:
            Plan(**plan)  # refuses what no plan may say
            changes["plan"] = dict(plan)
            values |= {f"plan.{limit}": value for limit, value in plan.items()}
        return await self._change(tenant, values, by, **changes)

    async def require_in(self, session: Session, tenant: TenantId) -> None:
        """Check that the tenant exists, as the transaction sees it. Raises NotFound."""
        if await self._collection.find_one(_there(tenant), {"_id": 1}, session=session) is None:
            raise NotFound(WHAT)

    async def _change(self, tenant: TenantId, values: Document, by: Actor, **changes: Any) -> Tenant:
        async def work(session: Session) -> Document:
            document = await self._collection.find_one_and_update(
                _there(tenant), {"$set": {**values, "updated": self._now()}},
                return_document=ReturnDocument.AFTER, session=session,
            )  # fmt: skip
            if document is None:
                raise NotFound(WHAT)
            await self._audit.add(session, tenant, by, Action.TENANT_CHANGED, tenant, **changes)
            return document

        try:
            return _tenant(await transaction(self._db, work))
        except DuplicateKeyError:
            raise Conflict("there is a tenant of that name already", field="name") from None

    def _document(self, tenant: TenantId, name: str, plan: Plan) -> Document:
        name = display_name("name", name)
        now = self._now()
        return {
            "_id": tenant,
            "name": name,
            "name_key": name_key(name),
            "status": Status.ACTIVE.value,
            "plan": asdict(plan),
            "created": now,
            "updated": now,
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _there(tenant: TenantId) -> Document:
    return {"_id": exactly(tenant), **_NOT_DELETED}


def _tenant(document: Document) -> Tenant:
    return Tenant(
        id=document["_id"],
        name=document["name"],
        status=Status(document["status"]),
        plan=Plan(**document["plan"]),
        created=document["created"],
        updated=document["updated"],
    )
