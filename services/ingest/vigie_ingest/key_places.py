"""Notices when the key of a host reports from elsewhere than where its agent asks for its configuration."""

from __future__ import annotations

from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable, reason_of
from vigie_storage.hosts.agents import HostAgents, SeenAgent
from vigie_storage.mongo import Session, TooSlow, transaction

log = logging.get(__name__)

KNOWN_S: Final = 60.0
AGAIN_S: Final = 3_600.0
"""So often one place is told: whoever has the key decides how many reports come from it."""
MAX_KEYS: Final = 10_000
"""That are remembered, and as many places."""


class KeyPlaces:
    """Of keys that are bound to a host. For one event loop."""

    def __init__(self, db: Database, audit: Audit, clock: Clock) -> None:
        self._db, self._audit, self._agents = db, audit, HostAgents(db)
        self._known = TtlCache[list[SeenAgent]](clock, KNOWN_S, MAX_KEYS)
        self._told = TtlCache[bool](clock, AGAIN_S, MAX_KEYS)

    async def look(self, tenant: str, actor: Actor, host: str, instance: str) -> None:
        """A report of this agent came with the key `actor`, and was taken. What goes wrong here is not the sender's
        affair."""
        whose = TenantId(tenant)
        try:
            known = await self._known.get((tenant, host, actor.id), lambda: self._of(whose, actor, host))
            if _elsewhere(known, actor, instance):
                place = (tenant, host, actor.id, actor.address, instance)
                await self._told.get(place, lambda: self._note(whose, actor, host, instance))
        except (StoreUnavailable, TooSlow) as e:
            log.info("where the key of an agent is used cannot be looked up", host=host, reason=reason_of(e))

    async def _of(self, tenant: TenantId, actor: Actor, host: str) -> list[SeenAgent]:
        return [one for one in await self._agents.of(tenant, host) if one.key == actor.id]

    async def _note(self, tenant: TenantId, actor: Actor, host: str, instance: str) -> bool:
        known = await self._of(tenant, actor, host)
        if not _elsewhere(known, actor, instance):  # the agent has moved, and said so
            return False
        before = known[0]

        async def work(session: Session) -> None:
            await self._audit.add(
                session, tenant, actor, Action.AGENT_MOVED, host,
                instance=instance, address=actor.address, before=before.address, before_instance=before.instance,
            )  # fmt: skip

        await transaction(self._db, work)
        return True


def _elsewhere(known: list[SeenAgent], actor: Actor, instance: str) -> bool:
    """Of a key whose agent never asked nothing can be said."""
    return bool(known) and not any(one.address == actor.address and one.instance == instance for one in known)
