"""What agents were asked to do, and what became of it.

commands  {_id: the command's, tenant, host, service, site, action, by, at, due, state, message, ended, expires}

Written by api, and what became of it by the aggregator; push reads what waits for a host. `state` is `pending`, or an
`Outcome`. Of a service at most one is pending: a second one is refused until the first ends or is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo.errors import DuplicateKeyError
from vigie_contracts.commands import Action, Command, CommandResult, Outcome
from vigie_contracts.days import to_datetime, to_ms
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import VigieError

from vigie_storage import collections
from vigie_storage.mongo import Session, bounded, exactly, retryable
from vigie_storage.tenancy import TenantCollection

PENDING: Final = "pending"
KEPT: Final = timedelta(days=90)
MAX_PENDING: Final = 100
"""Commands that wait for one host, and are shown to it."""


class UnderWay(VigieError):  # noqa: N818 - named after what is wrong
    """The service is being started or stopped already."""

    def __init__(self, service: str) -> None:
        super().__init__(f"a command for {service} is under way: wait until it has ended")


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """`state` as the document has it; see `state_at`."""

    command: Command
    state: str
    message: str
    ended: datetime | None

    def state_at(self, now_ms: int) -> str:
        """`expired` for one that waited too long."""
        late = self.state == PENDING and now_ms >= self.command.expires_at
        return Outcome.EXPIRED.value if late else self.state


class Commands:
    """The collection `commands`."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.COMMANDS)

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat. Raises StoreUnavailable."""
        with bounded(4):
            await self._store.ensure()

    async def add(self, command: Command, session: Session) -> None:
        """One that waits from now on. Raises UnderWay."""
        mine, issued = self._store.of(TenantId(command.tenant)), to_datetime(command.issued_at)
        late = {"service": command.service, "host": command.host, "state": PENDING, "due": {"$lte": issued}}
        await mine.change_all(late, {"$set": {"state": Outcome.EXPIRED.value, "ended": issued}}, session)
        try:
            await mine.insert(_document(command), session)
        except DuplicateKeyError as e:
            raise UnderWay(command.service or "") from e

    async def get(self, tenant: TenantId, id_: str) -> StoredCommand | None:
        """By its id. Raises StoreUnavailable."""
        with bounded():
            found = await self._store.of(tenant).one({"_id": exactly(id_)})
        return None if found is None else _stored(found)

    async def waiting(self, tenant: TenantId, host: str, now_ms: int) -> list[Command]:
        """What the host has still to do, the oldest first. Raises StoreUnavailable."""
        query: Document = {"host": exactly(host), "state": PENDING, "due": {"$gt": to_datetime(now_ms)}}
        with bounded():
            found = await self._store.of(tenant).first(query, "at", MAX_PENDING)
        return [_stored(one).command for one in found]

    async def end(self, tenant: TenantId, id_: str, host: str, result: CommandResult) -> bool:
        """Store how it ended; the first result that says so stays. Whether it was this one. Raises Retryable."""
        at = to_datetime(result.at)
        # The agent's word stands above what was only supposed while nothing was heard of it.
        supposed = [PENDING, Outcome.EXPIRED.value, Outcome.UNKNOWN.value]
        query: Document = {"_id": exactly(id_), "host": exactly(host), "state": {"$in": supposed}}
        update = {"$set": {"state": result.outcome.value, "message": result.message, "ended": at}}
        with retryable("storing the result of a command"):
            return await self._store.of(tenant).change(query, update) is not None


def _document(command: Command) -> Document:
    issued = to_datetime(command.issued_at)
    return {
        "_id": command.id,
        "host": command.host,
        "site": command.site,
        "service": command.service,
        "action": command.action,
        "by": command.by,
        "at": issued,
        "due": to_datetime(command.expires_at),
        "state": PENDING,
        "message": "",
        "ended": None,
        "expires": issued + KEPT,
    }


def _stored(document: Document) -> StoredCommand:
    command = Command(
        id=document["_id"],
        tenant=document["tenant"],
        host=document["host"],
        site=document["site"],
        service=document["service"],
        action=Action(document["action"]),
        issued_at=to_ms(document["at"]),
        expires_at=to_ms(document["due"]),
        by=document["by"],
    )
    return StoredCommand(command, document["state"], document["message"], document["ended"])
