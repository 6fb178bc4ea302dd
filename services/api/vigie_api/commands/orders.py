"""Gives commands to agents: stored and audited in one transaction, then put on the bus.

A command that is stored is told to the agent, if not by the bus then by push, which reads what waits. So who asked has
an answer also while Kafka is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from uuid import uuid4

import msgspec
from vigie_contracts.commands import LIFE_MS, Action, Command, record_key
from vigie_contracts.tenants import TenantId
from vigie_identity import audit
from vigie_identity.audit import Actor, Audit
from vigie_identity.errors import Conflict
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.errors import BufferFull, BusUnavailable, reason_of
from vigie_storage.commands import Commands, StoredCommand, UnderWay
from vigie_storage.hosts.sites import Site
from vigie_storage.mongo import Session, transaction

log = logging.get(__name__)

Publish: TypeAlias = Callable[[bytes, bytes, str], Awaitable[None]]
"""Key, value and id of a record; returns when Kafka has it."""
TARGET: Final = "service"


class Orders:
    """For one event loop."""

    def __init__(self, db: Database, log_: Audit, publish: Publish) -> None:
        self._db, self._audit, self._publish = db, log_, publish
        self._commands = Commands(db)
        self._prepared = False

    async def give(
        self, tenant: TenantId, site: Site, service: str, action: Action, *, by: Actor, now_ms: int
    ) -> Command:
        """A command for the host of the site. Raises Conflict while another one for the service is under way,
        StoreUnavailable."""
        command = Command(
            id=uuid4().hex,
            tenant=tenant,
            host=site.host,
            site=site.id,
            service=service,
            action=action,
            issued_at=now_ms,
            expires_at=now_ms + LIFE_MS,
            by=by.name,
        )

        async def work(session: Session) -> None:
            await self._commands.add(command, session)
            await self._audit.add(
                session, tenant, by, audit.Action.SERVICE_COMMANDED, service,
                command=command.id, action=action.value, site=site.id, host=site.host,
            )  # fmt: skip

        await self._prepare()
        try:
            await transaction(self._db, work)
        except UnderWay as e:
            raise Conflict(str(e)) from None
        await self._tell(command)
        return command

    async def get(self, tenant: TenantId, id_: str) -> StoredCommand | None:
        """Raises StoreUnavailable."""
        return await self._commands.get(tenant, id_)

    async def _prepare(self) -> None:
        """The collection, before the first transaction on it."""
        if not self._prepared:
            await self._commands.ensure_indexes()
            self._prepared = True

    async def _tell(self, command: Command) -> None:
        try:
            await self._publish(record_key(command.tenant, command.host), msgspec.json.encode(command), command.id)
        except (BusUnavailable, BufferFull) as e:
            log.warning("a command is not on the bus; push finds it where it is stored", reason=reason_of(e))
