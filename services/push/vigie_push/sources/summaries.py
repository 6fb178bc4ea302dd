"""The source of the summaries: each is computed once per tenant and tick, however many look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, TypeAlias

from vigie_contracts.problems import ProblemKind
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_query.ranges import TimeRange, parse_range
from vigie_runtime import logging
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database, Redis
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_runtime.expressions import Expressions
from vigie_runtime.metrics import MetricSet
from vigie_storage.latest import LatestReader
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.windows.reader import WindowReader
from vigie_summaries.families.catalogue import FamilyCatalogue
from vigie_summaries.schemas.base import Ranged
from vigie_summaries.summaries import Summaries

from vigie_push.settings import PushSettings
from vigie_push.sources.base import Sink

log = logging.get(__name__)

PERIODS: Final = {"system": "1h", "application": "1h", "business": "24h", "summary": "1h"}
"""Area -> the stretch of time that `GET /api/metrics/<area>` is about by default."""
CONCURRENT: Final = 4
"""Summaries that are computed at a time."""
LIMITS: Final = Limits(20_000, 20_000, 5_000)
"""Of one summary: what the api has by default, and so have the next two."""
_MAX_FAMILIES: Final = 500_000
_STALE_AFTER_S: Final = 300.0
_KEPT_BYTES: Final = 16 * 1024 * 1024
_WAITING: Final = 1_000
_FRESH: Final = 0.5
"""Of an interval: what is younger is not computed again for somebody who has just come."""

_Ask: TypeAlias = Callable[[TenantId, TimeRange], Awaitable[Ranged]]


class NoSummary(ProblemError):  # noqa: N818 - named after what is missing
    """The tenant has too much for one answer."""

    kind = ProblemKind.LIMIT

    def __init__(self, error: QueryError) -> None:
        super().__init__(error.detail)


@dataclass(frozen=True, slots=True)
class Summary:
    """An answer, as JSON."""

    at_ms: int
    body: bytes


class SummaryBoard:
    """The newest summaries of all tenants that somebody watches."""

    def __init__(self, make: Callable[[], Summaries], interval_s: float, clock: Clock) -> None:
        """`make` is called when the first summary is asked for: most processes are never asked."""
        self.interval_s, self.clock = interval_s, clock
        self._make = cache(make)
        self._known = TtlCache[Summary](
            clock, interval_s * _FRESH, _KEPT_BYTES, lambda one: len(one.body), max_running=_WAITING, name="summaries"
        )
        self._computing = asyncio.Semaphore(CONCURRENT)

    async def current(self, area: str, tenant: TenantId) -> Summary:
        """The summary, at most half an interval old. Raises ProblemError."""
        return await self._known.get((area, tenant), partial(self._compute, area, tenant))

    async def close(self) -> None:
        """End what is under way."""
        await self._known.close()

    async def _compute(self, area: str, tenant: TenantId) -> Summary:
        async with self._computing:
            now_ms = self.clock.now_ms()
            time_range = parse_range(None, None, None, PERIODS[area], now_ms)
            try:
                ask: _Ask = getattr(self._make(), area)
                answer = await ask(tenant, time_range)
            except QueryError as e:
                raise NoSummary(e) from None
            return Summary(now_ms, answer.model_dump_json().encode())


class SummarySource:
    """Tells of one area, tick after tick."""

    def __init__(self, area: str, board: SummaryBoard, sink: Sink) -> None:
        self.name = source_of(area)
        self._area, self._board, self._sink = area, board, sink
        self._tenants: set[TenantId] = set()
        self._stopped = asyncio.Event()

    async def follow(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._tenants.add(tenant)

    async def leave(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._tenants.discard(tenant)

    async def run(self) -> None:
        """See `Source`. A tick that took longer than the interval is followed by the next one at once."""
        clock, interval_s = self._board.clock, self._board.interval_s
        while not self._stopped.is_set():
            began = clock.monotonic()
            await asyncio.gather(*(self._tell(tenant) for tenant in tuple(self._tenants)))
            try:
                async with asyncio.timeout(max(0.0, interval_s - (clock.monotonic() - began))):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """See `Source`."""
        self._stopped.set()

    async def _tell(self, tenant: TenantId) -> None:
        try:
            summary = await self._board.current(self._area, tenant)
        except ProblemError as e:
            log.warning("a summary could not be computed", area=self._area, tenant=tenant, reason=str(e))
            return
        except Exception:  # a bug with one tenant is not the end of the others
            log.exception("a summary could not be computed", area=self._area, tenant=tenant)
            return
        self._sink.publish(self.name, tenant, summary)


def summaries_of(
    settings: PushSettings, database: Database, redis: Redis, clock: Clock, metrics: MetricSet
) -> Summaries:
    """Of what is stored."""
    patterns = Expressions()
    catalogue = SeriesCatalogue(database, patterns)
    windows = WindowReader(database, clock, settings.samples_topic, concurrent_reads=CONCURRENT)
    return Summaries(
        SeriesReader(catalogue, windows, clock, LIMITS),
        catalogue,
        FamilyCatalogue(catalogue, clock, _MAX_FAMILIES),
        LatestReader(database, redis, clock, metrics),
        clock,
        _STALE_AFTER_S,
    )


def source_of(area: str) -> str:
    """The name of the source of an area."""
    return f"{area} summaries"
