"""Looks at how hosts are watched, and has the rules follow within seconds."""

from __future__ import annotations

from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.errors import LimitReached, NotFound
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.claiming import Claiming
from vigie_runtime.clients import Database
from vigie_storage.alerts.rules import RuleStore
from vigie_storage.hosts.configuration import MonitoringConfigs, TenantConfig
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.supervision.following import wanted

log = logging.get(__name__)

LOOK_EVERY_S: Final = 2.0


class SupervisionFollower:
    """For one event loop. `run` until `stop`; every replica may: a rule is changed from the version that was read."""

    def __init__(self, db: Database, store: RuleStore, rulebook: Rulebook) -> None:
        self._db, self._store, self._rulebook = db, store, rulebook
        self._configs = MonitoringConfigs(db)
        self._done: dict[TenantId, int] = {}
        """The version of the configuration that the rules of a tenant follow."""
        looking = Claiming(self.once, LOOK_EVERY_S, Backoff(LOOK_EVERY_S, 30.0))
        self.run, self.stop = looking.run, looking.stop

    async def once(self) -> None:
        """Raises StoreUnavailable."""
        for tenant, config in (await self._configs.of_everybody()).items():
            if self._done.get(tenant) != config.version and await self._follow(tenant, config):
                self._done[tenant] = config.version

    async def _follow(self, tenant: TenantId, config: TenantConfig) -> bool:
        """Whether that is done for now."""
        there = {rule.id: rule for rule in await self._store.all(tenant, {})}
        if not there:
            return False  # the shipped rules are not made yet
        found = wanted(tenant, config, there)

        async def work(session: Session) -> None:
            await self._rulebook.manage(tenant, found.rules, found.ids, SYSTEM, session)

        try:
            await transaction(self._db, work)
        except Moved:
            return False  # somebody changed one of them meanwhile: once more
        except (LimitReached, NotFound) as e:
            log.warning("rules on hosts cannot follow the configuration", tenant=tenant, reason=str(e))
            return True
        self._rulebook.wake()
        return True
