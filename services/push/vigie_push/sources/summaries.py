"""The source of the summaries: each is computed once per tenant and tick, however many look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from vigie_contracts.problems import ProblemKind
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_query.ranges import parse_range
from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_summaries.schemas.base import Ranged
from vigie_summaries.summaries import Summaries

from vigie_push.sources.base import Sink

log = logging.get(__name__)

PERIODS: Final = {"system": "1h", "application": "1h", "business": "24h", "summary": "1h"}
"""Area -> the stretch of time that `GET /api/metrics/<area>` is about by default."""
SOURCE: Final = "summaries."
"""Begins the name of each source."""
CONCURRENT: Final = 4
"""Summaries that are computed at a time."""
_KEPT: Final = 1_000
_FRESH: Final = 0.5
"""Of an interval: what is younger is not computed again for somebody who has just come."""


class NoSummary(ProblemError):  # noqa: N818 - named after what is missing
    """The tenant has too much for one answer."""

    kind = ProblemKind.LIMIT
    status = 422

    def __init__(self, error: QueryError) -> None:
        super().__init__(error.detail)


@dataclass(frozen=True, slots=True)
class Summary:
    """An answer, as JSON."""

    at_ms: int
    body: bytes


class SummarySource:
    """Of one area, for all tenants that somebody watches."""

    def __init__(self, area: str, summaries: Summaries, sink: Sink, interval_s: float, clock: Clock) -> None:
        self.name = f"{SOURCE}{area}"
        self._area, self._sink, self._interval_s, self._clock = area, sink, interval_s, clock
        self._ask: Callable[..., Awaitable[Ranged]] = getattr(summaries, area)
        self._tenants: set[TenantId] = set()
        self._known = TtlCache[Summary](clock, interval_s * _FRESH, _KEPT, max_running=_KEPT, name="summaries")
        self._computing = asyncio.Semaphore(CONCURRENT)
        self._stopped = asyncio.Event()

    async def follow(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._tenants.add(tenant)

    async def leave(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._tenants.discard(tenant)

    async def current(self, tenant: TenantId) -> Summary:
        """The summary, at most half an interval old. Raises ProblemError."""
        return await self._known.get(tenant, partial(self._compute, tenant))

    async def run(self) -> None:
        """Tell of every tenant's summary, tick after tick, until `stop`."""
        while not self._stopped.is_set():
            started = self._clock.monotonic()
            await asyncio.gather(*(self._tell(tenant) for tenant in tuple(self._tenants)))
            rest_s = max(0.0, self._interval_s - (self._clock.monotonic() - started))
            try:
                async with asyncio.timeout(rest_s):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def close(self) -> None:
        """End what is under way."""
        await self._known.close()

    async def _tell(self, tenant: TenantId) -> None:
        try:
            summary = await self.current(tenant)
        except ProblemError as e:
            log.warning("a summary could not be computed", area=self._area, tenant=tenant, reason=str(e))
            return
        self._sink.publish(self.name, tenant, summary)

    async def _compute(self, tenant: TenantId) -> Summary:
        async with self._computing:
            now_ms = self._clock.now_ms()
            try:
                answer = await self._ask(tenant, parse_range(None, None, None, PERIODS[self._area], now_ms))
            except QueryError as e:
                raise NoSummary(e) from None
            return Summary(now_ms, answer.model_dump_json().encode())
