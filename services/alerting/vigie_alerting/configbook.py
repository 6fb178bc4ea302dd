"""Changing what tenants configure: with an entry of the audit log, all or nothing; this replica goes by it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from vigie_contracts.problems import ProblemKind
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import LimitReached
from vigie_query.times import iso
from vigie_runtime.clients import Database
from vigie_runtime.errors import ProblemError
from vigie_storage.alerts.configuration import Configuration, Stored, TooMany
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_alerting.snapshots import Watch

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")


class ConfigurationConflict(ProblemError):  # noqa: N818 - named after what is wrong
    """It is at another version than the one that was changed."""

    kind = ProblemKind.CONFLICT
    status = 409

    def __init__(self, what: str, now: Stored[Any] | None) -> None:
        if now is None:
            super().__init__(f"{what}: not there any more, or not yet; read it again")
            return
        when = iso(round(now.changed.timestamp() * 1000))
        super().__init__(
            f"{what}: at version {now.version} now, {now.by or 'somebody'} changed it at {when}; read it again"
        )


class Configbook(Generic[T]):
    """Of one kind. All methods raise StoreUnavailable."""

    def __init__(self, db: Database, store: Configuration[T], audit: Audit, watch: Watch) -> None:
        self._db, self._store, self._audit, self._watch = db, store, audit, watch

    async def put(
        self,
        tenant: TenantId,
        name: str,
        value: T,
        by: Actor,
        action: Action,
        *,
        if_version: int | None = None,
        expires: datetime | None = None,
        also: Callable[[Session], Awaitable[object]] | None = None,
        **changes: Any,
    ) -> Stored[T]:
        """Put the value there; versions as in `Configuration.write`. `changes` stand in the audit log, and hold no
        secret; `also` writes what belongs to it. Raises ConfigurationConflict, LimitReached."""

        async def work(session: Session) -> Stored[T]:
            made = await self._store.write(
                tenant, name, value, by.name, session, if_version=if_version, expires=expires
            )
            if also is not None:
                await also(session)
            await self._audit.add(session, tenant, by, action, name, version=made.version, **changes)
            return made

        return await self._done(tenant, name, work)

    async def delete(
        self,
        tenant: TenantId,
        name: str,
        by: Actor,
        action: Action,
        *,
        if_version: int | None = None,
        also: Callable[[Session], Awaitable[object]] | None = None,
    ) -> Stored[T] | None:
        """What was there; None when there was nothing. `also` as for `put`. Raises ConfigurationConflict."""

        async def work(session: Session) -> Stored[T] | None:
            gone = await self._store.delete(tenant, name, by.name, session, if_version=if_version)
            if gone is not None:
                if also is not None:
                    await also(session)
                await self._audit.add(session, tenant, by, action, name, version=gone.version)
            return gone

        return await self._done(tenant, name, work)

    async def _done(self, tenant: TenantId, name: str, work: Callable[[Session], Awaitable[R]]) -> R:
        try:
            done = await transaction(self._db, work)
        except Moved:
            what = f"{self._store.kind.value.replace('_', ' ')} {name!r}"
            raise ConfigurationConflict(what, await self._store.get(tenant, name)) from None
        except TooMany as e:
            raise LimitReached(f"documents of the kind {self._store.kind.value}", e.most) from None
        finally:
            self._watch.drop(tenant, self._store.kind)  # also when nobody knows whether it was written
        return done
