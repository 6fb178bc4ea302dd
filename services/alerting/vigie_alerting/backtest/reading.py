"""The stored past of what a rule looks at, a bounded stretch after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import FINE, HOUR, MINUTE, Tier
from vigie_query.errors import RetentionExceeded
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.plan import Node, Selector
from vigie_query.promql.reading import Read, wanted
from vigie_query.promql.samples import Samples
from vigie_query.times import iso
from vigie_runtime import tasks
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting.engine.horizon import horizons
from vigie_alerting.rules.compiling import CompiledRule

MAX_BLOCK: Final = 1_440
"""Windows of one stretch: a day of those of a minute."""
CELLS: Final = 1_500_000
"""Windows of single series that are held for one stretch, about: 50 MB. The next one is read meanwhile."""
DOCUMENTS: Final = 18_000
"""Of one stretch."""
FINE_CELLS: Final = 5 * CELLS
"""Windows of 10 s are read where they are kept, and all of them are no more than this."""
LEAST: Final = 10
"""Windows of one stretch, however many series there are."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was read, for evaluations after `start_ms` up to and with `end_ms`."""

    data: Mapping[Selector, Samples]
    start_ms: int
    end_ms: int
    infos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """How the past of one rule is read."""

    reader: PromqlReader
    tenant: TenantId
    node: Node
    start_ms: int
    end_ms: int
    tier: Tier
    """The windows that are read, at least as fine."""
    block: int
    """Windows of one stretch."""
    series: int
    """That the rule looks at."""

    @property
    def blocks(self) -> int:
        """How many stretches there are."""
        return -(-(self.end_ms - self.start_ms) // (self.block * self.tier.width_ms))

    async def stretches(self) -> AsyncGenerator[Stretch]:
        """In their order; the next one is read while the last one is worked on. Raises QueryError, StoreUnavailable."""
        step = self.block * self.tier.width_ms
        starts = list(range(self.start_ms, self.end_ms, step))
        reading = asyncio.create_task(self._read(starts[0])) if starts else None
        try:
            for following in [*starts[1:], None]:
                if reading is None:
                    return
                found = await reading
                reading = None if following is None else asyncio.create_task(self._read(following))
                yield found
        finally:
            if reading is not None:
                await tasks.end([reading])

    async def _read(self, start_ms: int) -> Stretch:
        end_ms = min(start_ms + self.block * self.tier.width_ms, self.end_ms)
        asked = wanted(self.node, Evaluation({}, start_ms, end_ms), self.tier.width_ms)
        found: Read = await self.reader.of(self.tenant).read(asked)
        return Stretch(found.samples, start_ms, end_ms, (*found.warnings, *found.infos))


def first_kept_ms(now_ms: int) -> int:
    """From then on windows of a minute are read."""
    return -(-(now_ms - MINUTE.retention_ms) // HOUR.width_ms) * HOUR.width_ms


async def past(reader: PromqlReader, rule: CompiledRule, times: tuple[int, int], now_ms: int) -> Past:
    """How to read what a rule looked at between these times, which are rounded down to windows. Raises
    RetentionExceeded, HorizonError, QueryError, StoreUnavailable."""
    (start_ms, end_ms), tenant = times, TenantId(rule.rule.tenant)
    if start_ms < first_kept_ms(now_ms):
        raise RetentionExceeded(f"from: windows of a minute are kept since {iso(first_kept_ms(now_ms))} only", "from")
    needed = horizons(rule.value)
    series = chunks = 0
    for one in needed:
        selected = await reader.selectors.select(tenant, one.wanted.selector.matchers)
        series += len(selected.shown.rows)
        chunks += len(selected.selection.chunks)
    back_ms = max((-one.wanted.first_ms for one in needed), default=0)
    fine = start_ms - back_ms >= now_ms - FINE.retention_ms + HOUR.width_ms
    cells = max(series, 1) * (end_ms - start_ms) // FINE.width_ms
    tier = FINE if fine and cells <= FINE_CELLS else MINUTE
    room = min(CELLS // max(series, 1), DOCUMENTS // max(chunks, 1)) - back_ms // tier.width_ms
    block = max(LEAST, min(MAX_BLOCK, room))
    return Past(reader, tenant, rule.value, tier.floor(start_ms), tier.floor(end_ms), tier, block, series)
