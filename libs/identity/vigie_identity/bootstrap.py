"""The first start: creates the administrator; exactly one process gets the password to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.tenants import PLATFORM
from vigie_runtime.clients import Database
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, transaction
from vigie_storage.tenancy import TenantCollection

from vigie_identity.audit import SYSTEM, Actor
from vigie_identity.errors import Conflict, NotFound
from vigie_identity.names import new_secret
from vigie_identity.permissions import Role
from vigie_identity.users import WHAT, Users

CLAIM: Final = "first-administrator"
NAME: Final = "admin"


@dataclass(frozen=True, slots=True)
class NewAdministrator:
    """`password` is None when the operator chose it: then there is nothing to show."""

    name: str
    password: str | None

    def __repr__(self) -> str:
        return f"NewAdministrator({self.name}, password=***)"


class FirstStart:
    """Any number of processes may call `administrator` at once; one of them gets the answer."""

    def __init__(self, db: Database, users: Users) -> None:
        self._db = db
        self._store = TenantCollection(db, collections.IDENTITY_STATE)
        self._users = users

    async def administrator(self, chosen: str | None = None) -> NewAdministrator | None:
        """Make the SUPERADMIN `admin` with the password `chosen`, or one that is made up; None when that was done
        before. The claim is kept for ever: an administrator that somebody removed does not come back.

        Raises InvalidField, StoreUnavailable."""
        mine = self._store.of(PLATFORM)
        with bounded():
            await self._store.ensure()
            if await mine.one({"_id": CLAIM}) is not None:
                return None
        password = chosen or new_secret()
        document = await self._users.document(PLATFORM, NAME, password, Role.SUPERADMIN)

        async def work(session: Session) -> None:
            await mine.insert({"_id": CLAIM, "at": document["created"]}, session)
            await self._users.insert(PLATFORM, document, SYSTEM, session)

        try:
            await transaction(self._db, work)
        except (DuplicateKeyError, Conflict):
            return None
        return NewAdministrator(NAME, None if chosen else password)

    async def reset(self, by: Actor) -> NewAdministrator:
        """Give the administrator `admin` a new password and switch the account on: for an operator who lost it and can
        reach the database. Its sessions end. Raises NotFound when it was removed, StoreUnavailable."""
        account = await self._users.account(PLATFORM, NAME)
        if account is None:
            raise NotFound(WHAT)
        password = new_secret()
        await self._users.set_password(PLATFORM, account.user.id, password, by)
        if not account.user.active:
            await self._users.change(PLATFORM, account.user.id, by, active=True)
        return NewAdministrator(NAME, password)
