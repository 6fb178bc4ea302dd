"""Licences of tenants: the product and the expiry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly, transaction
from vigie_storage.tenancy import TenantCollection, Why

from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import InvalidField, LimitReached, NotFound
from vigie_identity.names import display_name, new_ordered_id
from vigie_identity.pages import Page, PageRequest, page
from vigie_identity.tenants import Tenants

MAX_PER_TENANT: Final = 1_000
EXPIRING_SOON: Final = timedelta(days=30)
WHAT: Final = "licence"


class LicenceState(StrEnum):
    """ACTIVE includes EXPIRING: a licence that ends within 30 days is still good."""

    ACTIVE = "active"
    EXPIRED = "expired"
    EXPIRING = "expiring"


@dataclass(frozen=True, slots=True)
class Licence:
    """Good from `issued` until `expires`, that instant excluded."""

    id: str
    tenant: TenantId
    product: str
    issued: datetime
    expires: datetime

    def good(self, now: datetime) -> bool:
        return self.issued <= now < self.expires


class Licences:
    """The collection `licences`."""

    def __init__(self, db: Database, tenants: Tenants, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._store = TenantCollection(db, collections.LICENCES)
        self._tenants = tenants
        self._audit = audit
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._store.ensure()

    async def give(self, tenant: TenantId, product: str, expires: datetime, by: Actor) -> Licence:
        """Add a licence. Raises NotFound for no such tenant, InvalidField, LimitReached, StoreUnavailable. `expires`
        has a zone."""
        now = self._now()
        if expires.tzinfo is None or expires <= now:
            raise InvalidField("expires", "must be a time with a zone, in the future")
        document: Document = {
            "_id": new_ordered_id(self._clock.now_ms()),
            "product": display_name("product", product),
            "issued": now,
            "expires": expires.replace(microsecond=expires.microsecond // 1000 * 1000),  # MongoDB keeps milliseconds
            "deleted": False,
        }

        async def work(session: Session) -> None:
            await self._tenants.require_in(session, tenant)
            mine = self._store.of(tenant)
            if await mine.count({}, MAX_PER_TENANT, session) >= MAX_PER_TENANT:
                raise LimitReached("licences", MAX_PER_TENANT)
            await mine.insert(document, session)
            await self._audit.add(
                session, tenant, by, Action.LICENCE_GIVEN, document["_id"], product=document["product"], expires=expires
            )

        await transaction(self._db, work)
        return _licence(document)

    async def end(self, tenant: TenantId, licence: str, by: Actor) -> Licence:
        """Let it expire now; one that has expired stays as it is. Raises NotFound, StoreUnavailable."""
        now = self._now()

        async def work(session: Session) -> Document:
            mine = self._store.of(tenant)
            document = await mine.change({"_id": exactly(licence)}, {"$min": {"expires": now}}, session)
            if document is None:
                raise NotFound(WHAT)
            await self._audit.add(session, tenant, by, Action.LICENCE_ENDED, licence)
            return document

        return _licence(await transaction(self._db, work))

    async def page(self, tenant: TenantId, request: PageRequest) -> Page[Licence]:
        """The tenant's licences, oldest first. Raises StoreUnavailable."""
        return await page(self._store.of(tenant), request, "_id", _licence)

    async def count(self, tenant: TenantId) -> int:
        """How many licences the tenant has or had. Raises StoreUnavailable."""
        with bounded():
            return await self._store.of(tenant).count({}, MAX_PER_TENANT)

    async def counts(self) -> Mapping[LicenceState, int]:
        """How many licences of all tenants (deleted ones do not count) are in each state now. Raises
        StoreUnavailable."""
        now = self._now()
        after: dict[LicenceState, Any] = {
            LicenceState.ACTIVE: {"$gt": now},
            LicenceState.EXPIRED: {"$lte": now},
            LicenceState.EXPIRING: {"$gt": now, "$lte": now + EXPIRING_SOON},
        }
        every = self._store.across(Why.PLATFORM)
        with bounded():
            return {
                state: await every.count_documents({"deleted": False, "expires": when}) for state, when in after.items()
            }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _licence(document: Document) -> Licence:
    return Licence(
        id=document["_id"],
        tenant=document["tenant"],
        product=document["product"],
        issued=document["issued"],
        expires=document["expires"],
    )
