"""API keys of senders and readers: `vk_<id>_<secret>`, shown once; what is stored cannot be turned back into one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from vigie_contracts.hosts import HOST_RULE, is_host
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly, transaction
from vigie_storage.tenancy import TenantCollection, Why

from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import Conflict, InvalidField, LimitReached, NotFound
from vigie_identity.names import display_name, new_id, new_secret
from vigie_identity.pages import Page, PageRequest, page
from vigie_identity.permissions import Scope
from vigie_identity.tenants import Tenants

WHAT: Final = "API key"
PREFIX: Final = "vk_"
MAX_PER_TENANT: Final = 1_000
"""Keys that are good at the same time."""
MAX_OVERLAP: Final = timedelta(days=90)
LAST_USED_STEP: Final = timedelta(minutes=1)
"""How exact `last_used` is, and so how rarely it is written."""
_KEY: Final = re.compile(r"vk_([0-9a-z]{16})_([A-Za-z0-9_-]{43})\Z")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. `visible` may be shown."""

    id: str
    tenant: TenantId
    name: str
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None
    replaced_by: str | None
    host: str | None = None
    """The only host that a key of an agent speaks for; None: any of the tenant."""

    @property
    def visible(self) -> str:
        return f"{PREFIX}{self.id}"

    def good(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `secret` is the whole key, and this is the only time that it is seen."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.key.visible}, secret=***)"


class ApiKeys:
    """The collection `api_keys`. Whoever calls has checked that the caller may."""

    def __init__(self, db: Database, tenants: Tenants, audit: Audit, clock: Clock) -> None:
        self._db = db
        self._store = TenantCollection(db, collections.API_KEYS)
        self._tenants = tenants
        self._audit = audit
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._store.ensure()

    async def create(  # noqa: PLR0917 - all of a key
        self,
        tenant: TenantId,
        name: str,
        scopes: Iterable[Scope],
        by: Actor,
        expires: datetime | None = None,
        host: str | None = None,
    ) -> NewKey:
        """Create a key. `expires` has a zone; None: never. `host` binds a key of the scope agent alone. Raises NotFound
        for no such tenant, InvalidField, LimitReached, StoreUnavailable."""
        document, secret = self._new(name, scopes, expires, host)

        async def work(session: Session) -> None:
            await self._tenants.require_in(session, tenant)
            await self._insert(session, tenant, document)
            changes = {"name": document["name"], "scopes": document["scopes"], "expires": document["expires"]}
            changes |= {"host": host} if host else {}
            await self._audit.add(session, tenant, by, Action.KEY_CREATED, document["_id"], **changes)

        await transaction(self._db, work)
        return NewKey(_key(document), secret)

    async def rotate(self, tenant: TenantId, key: str, by: Actor, overlap: timedelta = timedelta(days=1)) -> NewKey:
        """Replace a key by one with the same name, scopes and expiry; the old one is good for the overlap and no
        longer.

        Raises NotFound, Conflict when it is revoked, expired or was rotated, InvalidField, StoreUnavailable."""
        if not timedelta() <= overlap <= MAX_OVERLAP:
            raise InvalidField("overlap", f"must be 0 to {MAX_OVERLAP.days} days")
        now = self._now()

        async def work(session: Session) -> NewKey:
            mine = self._store.of(tenant)
            old = await mine.one({"_id": exactly(key)}, session)
            if old is None:
                raise NotFound(WHAT)
            if not _key(old).good(now) or old["replaced_by"]:
                raise Conflict("the key is revoked, has expired or was rotated already")
            document, secret = self._new(old["name"], _key(old).scopes, old["expires"], old.get("host"))
            end = now + overlap
            expires = end if old["expires"] is None else min(end, old["expires"])
            values = {"expires": expires, "ends": expires, "replaced_by": document["_id"]}
            await mine.change({"_id": exactly(key)}, {"$set": values}, session)
            await self._insert(session, tenant, document)
            await self._audit.add(
                session, tenant, by, Action.KEY_ROTATED, key, replaced_by=document["_id"], expires=expires
            )
            return NewKey(_key(document), secret)

        return await transaction(self._db, work)

    async def revoke(self, tenant: TenantId, key: str, by: Actor) -> ApiKey:
        """Revoke a key for ever: in force when the authenticators' caches have expired. Raises NotFound,
        StoreUnavailable."""
        now = self._now()

        async def work(session: Session) -> Document:
            mine = self._store.of(tenant)
            document = await mine.change(
                {"_id": exactly(key), "revoked": None}, {"$set": {"revoked": now, "ends": now}}, session
            )
            if document is not None:
                await self._audit.add(session, tenant, by, Action.KEY_REVOKED, key)
                return document
            document = await mine.one({"_id": exactly(key)}, session)
            if document is None:
                raise NotFound(WHAT)
            return document

        return _key(await transaction(self._db, work))

    async def get(self, tenant: TenantId, key: str) -> ApiKey:
        """Return a key of the tenant. Raises NotFound, also for another tenant's; StoreUnavailable."""
        with bounded():
            document = await self._store.of(tenant).one({"_id": exactly(key)})
        if document is None:
            raise NotFound(WHAT)
        return _key(document)

    async def page(self, tenant: TenantId, request: PageRequest) -> Page[ApiKey]:
        """Return a page of the tenant's keys by id, also those that ended in the last 90 days. Raises
        StoreUnavailable."""
        return await page(self._store.of(tenant), request, "_id", _key)

    async def count(self, tenant: TenantId) -> int:
        """Return how many of the tenant's keys are good now. Raises StoreUnavailable."""
        with bounded():
            return await self._store.of(tenant).count(self._live(), MAX_PER_TENANT)

    async def find(self, secret: str) -> ApiKey | None:
        """Return the key with that secret, good or not; None when nobody has it. Raises StoreUnavailable."""
        parts = _KEY.match(secret)
        if parts is None:
            return None
        with bounded():
            document = await self._store.across(Why.AUTHENTICATE).find_one({"_id": parts[1]})
        if document is None or not compare_digest(document["hash"], _hash(secret)):
            return None
        return _key(document)

    async def used(self, key: ApiKey) -> None:
        """Note that the key was used now; writes only when the last note is older than a minute."""
        now = self._now()
        if key.last_used is not None and now - key.last_used < LAST_USED_STEP:
            return
        with bounded():
            await self._store.of(key.tenant).change({"_id": key.id}, {"$max": {"last_used": now}})

    def _new(
        self, name: str, scopes: Iterable[Scope], expires: datetime | None, host: str | None
    ) -> tuple[Document, str]:
        now = self._now()
        wanted = sorted(scope.value for scope in frozenset(scopes))
        if not wanted:
            raise InvalidField("scopes", f"must be at least one of {', '.join(Scope)}")
        if expires is not None and (expires.tzinfo is None or expires <= now):
            raise InvalidField("expires", "must be a time with a zone, in the future")
        if host is not None and wanted != [Scope.AGENT]:
            raise InvalidField("host", "only a key of the scope agent alone is bound to a host")
        if host is not None and not is_host(host):
            raise InvalidField("host", HOST_RULE)
        id_ = new_id(16)
        secret = f"{PREFIX}{id_}_{new_secret()}"
        document: dict[str, Any] = {
            "_id": id_,
            "name": display_name("name", name),
            "hash": _hash(secret),
            "scopes": wanted,
            "created": now,
            "expires": expires,
            "last_used": None,
            "revoked": None,
            "ends": expires,
            "replaced_by": None,
        }
        if host is not None:
            document["host"] = host
        return document, secret

    async def _insert(self, session: Session, tenant: TenantId, document: Document) -> None:
        mine = self._store.of(tenant)
        if await mine.count(self._live(), MAX_PER_TENANT, session) >= MAX_PER_TENANT:
            raise LimitReached("API keys", MAX_PER_TENANT)
        await mine.insert(document, session)

    def _live(self) -> Document:
        return {"$or": [{"ends": None}, {"ends": {"$gt": self._now()}}]}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def well_formed(secret: str) -> bool:
    """Return whether the text has the form of a key."""
    return _KEY.match(secret) is not None


def _hash(secret: str) -> bytes:
    """256 random bits need no slow hash: nobody can guess them."""
    return sha256(secret.encode()).digest()


def _key(document: Document) -> ApiKey:
    return ApiKey(
        id=document["_id"],
        tenant=document["tenant"],
        name=document["name"],
        scopes=frozenset(Scope(scope) for scope in document["scopes"]),
        created=document["created"],
        expires=document["expires"],
        last_used=document["last_used"],
        revoked=document["revoked"],
        replaced_by=document["replaced_by"],
        host=document.get("host"),
    )
