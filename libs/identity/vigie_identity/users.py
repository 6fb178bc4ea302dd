"""Users: each has a home tenant with a role in it, and may have roles in further tenants.

The home is a tenant or the platform; names are unique in it. Its administrators manage the user there. What concerns
further tenants (giving and taking them, seeing them, and whatever opens them) is for those with TENANTS_MANAGE, which a
caller says by `full`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly, transaction
from vigie_storage.tenancy import TenantCollection, Why

from vigie_identity.audit import SYSTEM, Action, Actor, Audit
from vigie_identity.errors import Conflict, Forbidden, InvalidField, LimitReached, NotFound
from vigie_identity.names import app_or_site, display_name, name_key, new_id
from vigie_identity.pages import Page, PageRequest, cut, page
from vigie_identity.passwords import Passwords
from vigie_identity.permissions import PLATFORM_WIDE, Permission, Role
from vigie_identity.principal import Assignment, Place
from vigie_identity.tenants import Tenants

WHAT: Final = "user"
MAX_PER_HOME: Final = 10_000
MAX_PLACES: Final = 1_000
"""Apps, and sites, of one assignment."""
MAX_FURTHER: Final = 100
_ELSEWHERE: Final = {"elsewhere": True}
"""What the log of the home says of an assignment to a further tenant: which one is not its affair."""


@dataclass(frozen=True, slots=True)
class User:
    """`role`, `apps` and `sites` are those in the home. `further` is empty where it is not to be seen. `epoch` goes up
    when all sessions so far must end: a new password, switched off."""

    id: str
    home: TenantId
    name: str
    role: Role
    apps: frozenset[str]
    sites: frozenset[str]
    further: tuple[Assignment, ...]
    active: bool
    epoch: int
    created: datetime

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The tenants of the user, the home first. None for a user of the platform, whose role holds in all."""
        if self.home == PLATFORM:
            return ()
        return (Assignment.of(self.home, self.role, self.apps, self.sites), *self.further)


@dataclass(frozen=True, slots=True)
class Guest:
    """A user of another home, as the tenant sees it that the user is assigned to: which home is not told."""

    id: str
    name: str
    active: bool
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the hash of the password: never leaves this package."""

    user: User
    password: str = field(repr=False)


class Users:
    """The collection `users`. Whoever calls has checked that the caller may."""

    def __init__(self, db: Database, tenants: Tenants, audit: Audit, passwords: Passwords, clock: Clock) -> None:
        self._db = db
        self._store = TenantCollection(db, collections.USERS)
        self._tenants = tenants
        self._audit = audit
        self._passwords = passwords
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._store.ensure()

    async def create(
        self, home: TenantId, name: str, password: str, role: Role, by: Actor,
        *, apps: Sequence[str] = (), sites: Sequence[str] = (),
    ) -> User:  # fmt: skip
        """Create a user who belongs to `home`: a tenant for the roles bound to one, PLATFORM for the others.

        Raises NotFound for no such tenant, Conflict when the name is taken in this home, InvalidField, LimitReached,
        Busy, StoreUnavailable."""
        document = await self.document(home, name, password, role, apps=apps, sites=sites)
        await self.insert(home, document, by)
        return _user(document)

    async def document(
        self, home: TenantId, name: str, password: str, role: Role,
        *, apps: Sequence[str] = (), sites: Sequence[str] = (),
    ) -> Document:  # fmt: skip
        """What `insert` stores. Raises InvalidField, Busy."""
        made = self._document(home, name, role, apps, sites)
        return {**made, "password": await self._passwords.hash(password, name)}

    async def insert(self, home: TenantId, document: Document, by: Actor, session: Session | None = None) -> None:
        """Store what `document` made; in the transaction of `session` if there is one. Raises as `create`."""

        async def work(session: Session) -> None:
            if home != PLATFORM:
                await self._tenants.require_in(session, home)
            mine = self._store.of(home)
            if await mine.count({}, MAX_PER_HOME, session) >= MAX_PER_HOME:
                raise LimitReached("users", MAX_PER_HOME)
            await mine.insert(document, session)
            changes = {"name": document["name"], "role": document["role"]}
            await self._audit.add(session, home, by, Action.USER_CREATED, document["_id"], **changes)

        try:
            await (work(session) if session else transaction(self._db, work))
        except DuplicateKeyError:
            raise Conflict("there is a user of that name already") from None

    async def get(self, home: TenantId, user: str, *, full: bool = False) -> User:
        """Return the user; further tenants are shown with `full` only. Raises NotFound, also for a user of another
        home; StoreUnavailable."""
        with bounded():
            document = await self._store.of(home).one({"_id": exactly(user)})
        if document is None:
            raise NotFound(WHAT)
        return _user(document, full=full)

    async def page(self, home: TenantId, request: PageRequest, *, full: bool = False) -> Page[User]:
        """The users of a home, by id; further tenants are shown with `full` only. Raises StoreUnavailable."""
        return await page(self._store.of(home), request, "_id", partial(_user, full=full))

    async def guests(self, tenant: TenantId, request: PageRequest) -> Page[Guest]:
        """The users of other homes who are assigned to the tenant, by id. Raises StoreUnavailable."""
        after = request.after()
        query = {"further.tenant": exactly(tenant), **({} if after is None else {"_id": {"$gt": after}})}
        with bounded():
            every = self._store.across(Why.GUESTS)
            found = await every.find(query).sort("_id").limit(request.limit + 1).to_list()
        return cut(found, request, "_id", partial(_guest, tenant))

    async def count(self, home: TenantId) -> int:
        """How many users have this home. Raises StoreUnavailable."""
        with bounded():
            return await self._store.of(home).count({}, MAX_PER_HOME)

    async def change(
        self, home: TenantId, user: str, by: Actor,
        *, role: Role | None = None, active: bool | None = None,
        apps: Sequence[str] | None = None, sites: Sequence[str] | None = None, full: bool = False,
    ) -> User:  # fmt: skip
        """Change the fields that are given, in one transaction; the role, apps and sites are those in the home.
        Switched off, nobody logs in and every session ends; switching on somebody who has further tenants takes `full`.

        Raises NotFound, InvalidField, Forbidden, Conflict for the last active SUPERADMIN, StoreUnavailable."""
        values: Document = {}
        if role is not None:
            _check_role(home, role)
            values["role"] = role.value
        if active is not None:
            values["active"] = active
        said = {name for name, places in (("apps", apps), ("sites", sites)) if places is not None}
        values |= {name: places for name, places in _apps_and_sites(apps or (), sites or ()).items() if name in said}
        update = {"$set": values, **({"$inc": {"epoch": 1}} if active is False else {})}
        weakens = active is False or role not in (None, Role.SUPERADMIN)
        return await self._change(home, user, update, by, full=full, opens=active is True, weakens=weakens, **values)

    async def give(self, home: TenantId, user: str, place: Place, id_: str, by: Actor) -> User:
        """Add one app or site to the user's in the home, whatever else is changed meanwhile. Raises NotFound,
        InvalidField, LimitReached, StoreUnavailable."""
        update = {"$addToSet": {place.value: app_or_site(place.value, id_)}}
        changes: Document = {f"{place}_added": id_}
        return await self._change(home, user, update, by, **changes)

    async def take(self, home: TenantId, user: str, place: Place, id_: str, by: Actor) -> User:
        """Remove one app or site from the user's in the home; nothing happens when it is none of them. Raises
        NotFound, StoreUnavailable."""
        update = {"$pull": {place.value: exactly(id_)}}
        changes: Document = {f"{place}_removed": id_}
        return await self._change(home, user, update, by, **changes)

    async def set_password(self, home: TenantId, user: str, password: str, by: Actor, *, full: bool = False) -> User:
        """Set the password and end every session of the user. For somebody who has further tenants it takes `full`:
        whoever knows the password is let into those too. Raises NotFound, Forbidden, InvalidField, Busy,
        StoreUnavailable."""
        hashed = await self._passwords.hash(password, (await self.get(home, user)).name)
        update = {"$set": {"password": hashed}, "$inc": {"epoch": 1}}
        return await self._change(home, user, update, by, action=Action.PASSWORD_CHANGED, full=full, opens=True)

    async def remove(self, home: TenantId, user: str, by: Actor) -> None:
        """Remove the user and end every session. Raises NotFound, Conflict for the last active SUPERADMIN,
        StoreUnavailable."""

        async def work(session: Session) -> None:
            document = await self._store.of(home).remove({"_id": exactly(user)}, session)
            if document is None:
                raise NotFound(WHAT)
            await self._keep_administrator(session, home, user)
            await self._audit.add(session, home, by, Action.USER_REMOVED, user, name=document["name"])
            for one in document["further"]:  # who removed the user is the home's affair
                await self._audit.add(session, one["tenant"], SYSTEM, Action.USER_UNASSIGNED, user, **_named(document))

        await transaction(self._db, work)

    async def assign(
        self, home: TenantId, user: str, tenant: TenantId, role: Role, by: Actor,
        *, apps: Sequence[str] = (), sites: Sequence[str] = (),
    ) -> User:  # fmt: skip
        """Let a user of one tenant into another one, with a role there: for those with TENANTS_MANAGE. What was
        assigned there before is replaced. Raises NotFound, LimitReached, InvalidField, StoreUnavailable."""
        if PLATFORM in (home, tenant):
            raise InvalidField("tenant", "users of the platform see every tenant and are assigned to none")
        if tenant == home:
            raise InvalidField("tenant", "is the user's home, where role, apps and sites are set one by one")
        _check_role(tenant, role)
        granted = {"role": role.value, **_apps_and_sites(apps, sites)}

        async def work(session: Session) -> Document:
            await self._tenants.require_in(session, tenant)
            mine = self._store.of(home)
            # Two steps, because an update cannot pull from an array and push to it at once.
            await mine.change({"_id": exactly(user)}, {"$pull": {"further": {"tenant": exactly(tenant)}}}, session)
            update = {"$push": {"further": {"tenant": tenant, **granted}}}
            document = await mine.change({"_id": exactly(user)}, update, session)
            if document is None:
                raise NotFound(WHAT)
            if len(document["further"]) > MAX_FURTHER:
                raise LimitReached("further tenants of this user", MAX_FURTHER)
            await self._audit.add(session, home, by, Action.USER_ASSIGNED, user, **_ELSEWHERE)
            await self._audit.add(session, tenant, by, Action.USER_ASSIGNED, user, **_named(document), **granted)
            return document

        return _user(await transaction(self._db, work), full=True)

    async def unassign(self, home: TenantId, user: str, tenant: TenantId, by: Actor) -> User:
        """Take a further tenant away again, for those with TENANTS_MANAGE; the home stays. Nothing happens when it is
        none of the user's. Raises NotFound, InvalidField, StoreUnavailable."""
        if tenant == home:
            raise InvalidField("tenant", "a user stays assigned to the own home; switch the user off instead")

        async def work(session: Session) -> Document:
            mine = self._store.of(home)
            query = {"_id": exactly(user), "further.tenant": exactly(tenant)}
            document = await mine.change(query, {"$pull": {"further": {"tenant": exactly(tenant)}}}, session)
            if document is None:
                if (document := await mine.one({"_id": exactly(user)}, session)) is None:
                    raise NotFound(WHAT)
                return document
            await self._audit.add(session, home, by, Action.USER_UNASSIGNED, user, **_ELSEWHERE)
            await self._audit.add(session, tenant, by, Action.USER_UNASSIGNED, user, **_named(document))
            return document

        return _user(await transaction(self._db, work), full=True)

    async def load(self, user: str) -> User | None:
        """The user of that id, whose token was verified. Raises StoreUnavailable."""
        with bounded():
            document = await self._store.across(Why.AUTHENTICATE).find_one({"_id": exactly(user)})
        return None if document is None else _user(document, full=True)

    async def unchanged(self, session: Session, user: User) -> bool:
        """Whether, as the transaction sees it, the user is still active and has the same password."""
        query = {"_id": user.id, "epoch": user.epoch, "active": True}
        return await self._store.of(user.home).one(query, session) is not None

    async def account(self, home: TenantId, name: str) -> Account | None:
        """The account of that name, to verify its password. Raises StoreUnavailable."""
        with bounded():
            document = await self._store.of(home).one({"name_key": name_key(name)})
        return None if document is None else _account(document)

    async def account_of(self, user: str) -> Account | None:
        """The account of the user of that id, who has logged in. Raises StoreUnavailable."""
        with bounded():
            document = await self._store.across(Why.AUTHENTICATE).find_one({"_id": exactly(user)})
        return None if document is None else _account(document)

    async def change_own(self, account: Account, password: str, by: Actor) -> User | None:
        """A new password for somebody who has given the old one; None when the account was changed meanwhile. Every
        session ends. Raises InvalidField, Busy, StoreUnavailable."""
        user = account.user
        query = {"_id": user.id, "epoch": user.epoch, "active": True}
        update = {"$set": {"password": await self._passwords.hash(password, user.name)}, "$inc": {"epoch": 1}}

        async def work(session: Session) -> Document | None:
            document = await self._store.of(user.home).change(query, update, session)
            if document is not None:
                await self._audit.add(session, user.home, by, Action.PASSWORD_CHANGED, user.id)
            return document

        document = await transaction(self._db, work)
        return None if document is None else _user(document, full=True)

    async def replace_hash(self, account: Account, hashed: str) -> None:
        """Store another hash of the same password, unless the password was changed meanwhile."""
        query = {"_id": account.user.id, "password": account.password}
        with bounded():
            await self._store.of(account.user.home).change(query, {"$set": {"password": hashed}})

    async def _change(
        self, home: TenantId, user: str, update: Mapping[str, Any], by: Actor,
        *, action: Action = Action.USER_CHANGED, full: bool = False, opens: bool = False, weakens: bool = False,
        **changes: Any,
    ) -> User:  # fmt: skip
        """`opens`: whoever asks would be let into the further tenants of the user, which takes `full`. `weakens`: the
        user is no active SUPERADMIN afterwards."""

        async def work(session: Session) -> Document:
            mine = self._store.of(home)
            query: Document = {"_id": exactly(user), "further": []} if opens and not full else {"_id": exactly(user)}
            document = await mine.change(query, update, session)
            if document is None and await mine.one({"_id": exactly(user)}, session) is not None:
                raise Forbidden(Permission.TENANTS_MANAGE)
            if document is None:
                raise NotFound(WHAT)
            if weakens:
                await self._keep_administrator(session, home, user)
            for place in Place:
                if len(document[place.value]) > MAX_PLACES:
                    raise LimitReached(f"{place} of this user", MAX_PLACES)
            await self._audit.add(session, home, by, action, user, **changes)
            return document

        return _user(await transaction(self._db, work), full=full)

    async def _keep_administrator(self, session: Session, home: TenantId, user: str) -> None:
        """Raises Conflict unless somebody else can manage the platform."""
        if home != PLATFORM:
            return
        other = {"role": Role.SUPERADMIN.value, "active": True, "_id": {"$ne": user}}
        # Written, so that two who remove each other at once meet in a conflict and one of them is refused.
        if await self._store.of(PLATFORM).change(other, {"$inc": {"relied_on": 1}}, session) is None:
            raise Conflict("the platform needs an active SUPERADMIN: make another one first")

    def _document(self, home: TenantId, name: str, role: Role, apps: Sequence[str], sites: Sequence[str]) -> Document:
        _check_role(home, role)
        name = display_name("name", name)
        return {
            "_id": f"u-{new_id()}",
            "tenant": home,
            "name": name,
            "name_key": name_key(name),
            "role": role.value,
            **_apps_and_sites(apps, sites),
            "further": [],
            "active": True,
            "epoch": 0,
            "created": datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC),
        }


def _check_role(home: TenantId, role: Role) -> None:
    if (role in PLATFORM_WIDE) != (home == PLATFORM):
        where = "the platform" if role in PLATFORM_WIDE else "a tenant"
        raise InvalidField("role", f"{role} is a role of {where}'s users")


def _apps_and_sites(apps: Sequence[str], sites: Sequence[str]) -> Document:
    for name, places in (("apps", apps), ("sites", sites)):
        if len(places) > MAX_PLACES:
            raise InvalidField(name, f"must be at most {MAX_PLACES}")
    return {
        "apps": sorted({app_or_site("apps", app) for app in apps}),
        "sites": sorted({app_or_site("sites", site) for site in sites}),
    }


def _user(document: Document, *, full: bool = False) -> User:
    return User(
        id=document["_id"],
        home=document["tenant"],
        name=document["name"],
        role=Role(document["role"]),
        apps=frozenset(document["apps"]),
        sites=frozenset(document["sites"]),
        further=tuple(_assignment(one) for one in document["further"] if full),
        active=document["active"],
        epoch=document["epoch"],
        created=document["created"],
    )


def _account(document: Document) -> Account:
    return Account(_user(document, full=True), document["password"])


def _guest(tenant: TenantId, document: Document) -> Guest:
    [assigned] = [one for one in document["further"] if one["tenant"] == tenant]
    return Guest(document["_id"], document["name"], document["active"], _assignment(assigned))


def _named(document: Document) -> Document:
    """What the log of a further tenant says of a user, who is listed elsewhere."""
    return {"name": document["name"]}


def _assignment(one: Document) -> Assignment:
    return Assignment.of(one["tenant"], Role(one["role"]), frozenset(one["apps"]), frozenset(one["sites"]))
