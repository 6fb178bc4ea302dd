"""Who asked for the configuration of a host: its agent, or several that use one name.

hosts  {_id: "<tenant>/<host>", tenant, host, agents: {<instance>: {at, key, address, clockMs}}, updated}

Written by api each time an agent asks, at most every half minute each, unless something of it is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document

from vigie_storage import collections
from vigie_storage.mongo import bounded, exactly
from vigie_storage.tenancy import TenantCollection

MAX_AGENTS: Final = 8
"""That are remembered of one host, the last ones."""
WRITE_EVERY: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class SeenAgent:
    """One that asked. `skew_ms`: how far its clock is ahead of the api's, negative when it is behind; None: it did not
    say the time."""

    instance: str
    at: datetime
    key: str
    address: str
    skew_ms: int | None


class HostAgents:
    """The collection `hosts`. All methods raise StoreUnavailable."""

    def __init__(self, db: Database) -> None:
        self._store = TenantCollection(db, collections.HOSTS)

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded(4):
            await self._store.ensure()

    async def of(self, tenant: TenantId, host: str) -> list[SeenAgent]:
        """The agents of a host, the last one first."""
        with bounded():
            found = await self._store.of(tenant).one({"host": exactly(host)})
        return _agents(found)

    async def all_of(self, tenant: TenantId, limit: int = 1_000) -> dict[str, list[SeenAgent]]:
        """The same of the tenant's hosts."""
        with bounded():
            found = await self._store.of(tenant).first({}, "host", limit)
        return {one["host"]: _agents(one) for one in found}

    async def seen(self, tenant: TenantId, host: str, agent: SeenAgent) -> SeenAgent | None:
        """Note it. What was known of the agent before; None: nothing."""
        known = await self.of(tenant, host)
        before = next((one for one in known if one.instance == agent.instance), None)
        if before is not None and agent.at - before.at < WRITE_EVERY and _same(before, agent):
            return before
        update: Document = {
            "$set": {f"agents.{agent.instance}": _document(agent), "updated": agent.at},
            "$setOnInsert": {"_id": f"{tenant}/{host}"},
        }
        gone = [one.instance for one in known if one.instance != agent.instance][MAX_AGENTS - 1 :]
        if gone:
            update["$unset"] = {f"agents.{instance}": "" for instance in gone}
        with bounded():
            await self._store.of(tenant).change({"host": exactly(host)}, update, upsert=True)
        return before


def _same(before: SeenAgent, now: SeenAgent) -> bool:
    if (before.key, before.address) != (now.key, now.address) or (before.skew_ms is None) != (now.skew_ms is None):
        return False
    return abs((before.skew_ms or 0) - (now.skew_ms or 0)) < 60_000


def _document(agent: SeenAgent) -> Document:
    return {"at": agent.at, "key": agent.key, "address": agent.address, "skew": agent.skew_ms}


def _agents(document: Mapping[str, Any] | None) -> list[SeenAgent]:
    found: Mapping[str, Any] = (document or {}).get("agents", {})
    agents = [
        SeenAgent(instance, one["at"], one["key"], one["address"], one["skew"]) for instance, one in found.items()
    ]
    return sorted(agents, key=lambda one: one.at, reverse=True)
