"""The stored past of what a rule looks at, a bounded stretch after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
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

from vigie_alerting.backtest import quiet
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
CALM: Final = 15
"""Windows of one stretch in which no condition holds: what was alarmed before is followed to its end."""
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

    busy: Sequence[tuple[int, int]] | None
    """When something may happen; None: at any time."""

    @property
    def windows(self) -> int:
        """Of each series."""
        return (self.end_ms - self.start_ms) // self.tier.width_ms

    async def stretches(self, idle: Callable[[], bool]) -> AsyncGenerator[Stretch]:
        """In their order; while the rule is `idle`, only when something may happen. The next one is read while the last
        one is worked on. Raises QueryError, StoreUnavailable."""
        ahead: tuple[int, asyncio.Task[Stretch]] | None = None
        at = self.start_ms
        try:
            while (at := self._next(at) if idle() else at) < self.end_ms:
                if ahead is None or ahead[0] != at:
                    if ahead is not None:
                        await tasks.end([ahead[1]])
                    ahead = at, asyncio.create_task(self._read(at))
                found = await ahead[1]
                at, ahead = found.end_ms, None
                if at < self.end_ms and self._next(at) == at:
                    ahead = at, asyncio.create_task(self._read(at))
                yield found
        finally:
            if ahead is not None:
                await tasks.end([ahead[1]])

    def _next(self, at_ms: int) -> int:
        """When something may happen next."""
        if self.busy is None:
            return at_ms
        begins = (max(at_ms, begin) for begin, end in self.busy if end > at_ms)
        return next(begins, self.end_ms)

    def _end(self, start_ms: int) -> int:
        """Of a stretch that begins then."""
        longest = start_ms + self.block * self.tier.width_ms
        if self.busy is not None:
            within = next((end for begin, end in self.busy if begin <= start_ms < end), None)
            calm = min(longest, start_ms + CALM * self.tier.width_ms, max(self._next(start_ms), start_ms + 1))
            longest = calm if within is None else min(longest, within)
        width_ms = self.tier.width_ms
        return min(-(-longest // width_ms) * width_ms, self.end_ms)

    async def _read(self, start_ms: int) -> Stretch:
        end_ms = self._end(start_ms)
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
    found = [await reader.selectors.select(tenant, one.wanted.selector.matchers) for one in needed]
    series = sum(len(one.shown.rows) for one in found)
    chunks = sum(len(one.selection.chunks) for one in found)
    back_ms = max((-one.wanted.first_ms for one in needed), default=0)
    fine = start_ms - back_ms >= now_ms - FINE.retention_ms + HOUR.width_ms
    cells = max(series, 1) * (end_ms - start_ms) // FINE.width_ms
    tier = FINE if fine and cells <= FINE_CELLS else MINUTE
    room = min(CELLS // max(series, 1), DOCUMENTS // max(chunks, 1)) - back_ms // tier.width_ms
    block = max(LEAST, min(MAX_BLOCK, room))
    known = quiet.knows(rule, needed, found[0], (end_ms - start_ms) // HOUR.width_ms) if found else False
    busy = await quiet.busy(reader, rule, needed[0], (start_ms, end_ms)) if known else None
    return Past(reader, tenant, rule.value, tier.floor(start_ms), tier.floor(end_ms), tier, block, series, busy)
