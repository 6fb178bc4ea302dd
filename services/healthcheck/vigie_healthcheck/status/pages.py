"""The status pages of all tenants: each made anew when it is asked for, and at most once in ten seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_query.errors import QueryLimitExceeded
from vigie_query.times import DAY
from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_storage.health.incidents import Incidents

from vigie_healthcheck.health import Health
from vigie_healthcheck.readings import DAYS, Days, Readings, Span
from vigie_healthcheck.status.model import Public, StatusPage, assembled
from vigie_healthcheck.status.rendering import html

log = logging.get(__name__)

KEPT_S: Final = 10.0
MAX_SERVICES: Final = 300
"""Of one page."""
MAX_INCIDENTS: Final = 50
_KEPT_BYTES: Final = 64 * 1024 * 1024
_LEAST_BYTES: Final = 1_000
_MAX_RUNNING: Final = 8
_PUBLIC: Final = {"public": True, "enabled": True}


@dataclass(frozen=True, slots=True)
class Made:
    page: StatusPage
    html: bytes


class StatusPages:
    """Both methods raise StoreUnavailable, Busy."""

    def __init__(
        self, health: Health, incidents: Incidents, readings: Readings, tenants: KnownTenants, clock: Clock
    ) -> None:
        self._health, self._incidents, self._readings = health, incidents, readings
        self._tenants, self._clock = tenants, clock
        self._made = TtlCache[Made | None](
            clock, KEPT_S, _KEPT_BYTES, _weight, max_running=_MAX_RUNNING, name="status pages"
        )

    async def of(self, tenant: str) -> Made:
        """The page. Raises NotFound for a tenant that does not exist, is not active, or shows nothing: one answer."""
        made = await self._made.get(tenant, lambda: self._make(tenant))
        if made is None:
            raise NotFound("status page")
        return made

    async def tenant(self, tenant: str) -> TenantId:
        """The tenant, which is active and shows something. Raises NotFound as `of` does."""
        try:
            known = self._tenants.at_once(tenant) or await self._tenants.require(tenant)
        except (NotFound, TenantInactive):
            raise NotFound("status page") from None
        return known.id

    async def _make(self, asked: str) -> Made | None:
        try:
            tenant = await self.tenant(asked)
        except NotFound:
            return None
        services = await self._health.some(tenant, _PUBLIC, MAX_SERVICES + 1)
        if not services:
            return None
        now_ms = self._clock.now_ms()
        shown, truncated = services[:MAX_SERVICES], len(services) > MAX_SERVICES
        ids = [one.target.id for one in shown]
        days, incidents = await asyncio.gather(
            self._days(tenant, [Span.of(one.target) for one in shown]),
            self._incidents.between(tenant, ids, now_ms - DAYS * DAY, now_ms + 1, MAX_INCIDENTS),
        )
        page = assembled(Public(tenant, await self._title(tenant), shown, truncated), now_ms, days, incidents)
        return Made(page, (await asyncio.to_thread(html, page)).encode("utf-8", "replace"))

    async def _days(self, tenant: TenantId, spans: list[Span]) -> dict[str, Days]:
        try:
            return dict(await self._readings.days(tenant, spans))
        except QueryLimitExceeded as e:  # the page is worth more than its bars
            log.warning("the uptime of a status page is too expensive to read", tenant=tenant, reason=str(e))
            return {}

    async def _title(self, tenant: TenantId) -> str:
        known = self._tenants.remembered(tenant)
        return (known.name if known else "") or tenant


def _weight(made: Made | None) -> int:
    return _LEAST_BYTES if made is None else _LEAST_BYTES + 2 * len(made.html)
