"""Which series new watches select, asked of the catalogue for all watches together."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_query.promql.cells import VALUE
from vigie_query.promql.derived import EXPORTED_LE, LE
from vigie_query.promql.labels import NAME
from vigie_query.series import Series, too_many
from vigie_runtime.errors import ProblemError, StoreUnavailable, reason_of
from vigie_runtime.expressions import THINKING_S, ExpressionTooSlow
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_alerting.engine.watch import Selected, Watch, selected

NARROW: Final = 10
"""Label values of one name that are asked for by themselves; with more, all series of the name are read."""
_NOT_STORED: Final = frozenset({NAME, LE, EXPORTED_LE})
"""Labels of which a derived series has others than the stored one."""


@dataclass(slots=True)
class Chosen:
    """What watches select."""

    parts: list[Selected] = field(default_factory=list[Selected])
    failed: dict[int, str] = field(default_factory=dict[int, str])
    """By number of the watch, why its series cannot be had."""


class Chooser:
    """Finds the series of watches."""

    def __init__(self, catalogue: SeriesCatalogue, selectors: SelectorReader, limit: int) -> None:
        """`selectors` are for those that name no metric. `limit`: series that one watch may show."""
        self._catalogue, self._selectors, self._limit = catalogue, selectors, limit

    async def choose(self, watches: Iterable[Watch]) -> Chosen:
        """Raises StoreUnavailable."""
        chosen = Chosen()
        named: dict[TenantId, list[Watch]] = defaultdict(list)
        for watch in watches:
            if watch.selecting.names is None:
                await self._unnamed(watch, chosen)
            else:
                named[watch.tenant].append(watch)
        for tenant, own in named.items():
            await self._named(tenant, own, chosen)
        return chosen

    async def _unnamed(self, watch: Watch, chosen: Chosen) -> None:
        try:
            found = await self._selectors.select(watch.tenant, watch.key[1])
            chosen.parts += await asyncio.to_thread(_shown, watch, found.selection.series)
        except StoreUnavailable:
            raise
        except (QueryError, ProblemError) as e:  # too many series, or too slow an expression
            chosen.failed[watch.number] = reason_of(e)

    async def _named(self, tenant: TenantId, watches: Sequence[Watch], chosen: Chosen) -> None:
        sieve = _Sieve(watches, self._limit)
        async for series in self._catalogue.named(tenant, _entries(watches)):
            await asyncio.to_thread(sieve.take, series)
        chosen.parts += await asyncio.to_thread(sieve.taken)
        chosen.failed |= sieve.failed


class _Sieve:
    """Each series to the watches that select it, within what each of them may take of time and memory."""

    def __init__(self, watches: Sequence[Watch], limit: int) -> None:
        self._limit = limit
        self._of_name: dict[str, list[Watch]] = defaultdict(list)
        self._parts: dict[int, list[Selected]] = {watch.number: [] for watch in watches}
        self._left = {watch.number: THINKING_S for watch in watches}
        self.failed: dict[int, str] = {}
        for watch in watches:
            for name in watch.selecting.names or ():
                self._of_name[name].append(watch)

    def take(self, series: Iterable[Series]) -> None:
        of_name: dict[str, list[Series]] = defaultdict(list)
        for one in series:
            of_name[one.name].append(one)
        for name, own in of_name.items():
            for watch in self._of_name.get(name, ()):
                if watch.number not in self.failed:
                    self._offer(watch, own)

    def _offer(self, watch: Watch, series: Sequence[Series]) -> None:
        mine = self._parts[watch.number]
        if not any(one.is_regex for one in watch.key[1]):
            mine += [part for one in series for part in selected(watch, one)]
        elif not self._thought(watch, series):
            self._fail(watch, ExpressionTooSlow("query", THINKING_S))
        if len(mine) > self._limit:
            self._fail(watch, too_many(self._limit, "query: a selector"))

    def _thought(self, watch: Watch, series: Sequence[Series]) -> bool:
        """Whether the watch's expressions, which users write, came to an end in their time."""
        began = time.thread_time()
        for one in series:
            self._parts[watch.number] += selected(watch, one)
            if time.thread_time() - began > self._left[watch.number]:
                return False
        self._left[watch.number] -= time.thread_time() - began
        return True

    def _fail(self, watch: Watch, why: Exception) -> None:
        self.failed[watch.number] = reason_of(why)
        self._parts[watch.number] = []

    def taken(self) -> list[Selected]:
        """Of a series that was sent under a name and one of which that name is derived, the first is meant."""
        return [one for parts in self._parts.values() for one in _unambiguous(parts)]


def _shown(watch: Watch, series: Iterable[Series]) -> list[Selected]:
    return [part for one in series for part in selected(watch, one)]


def _unambiguous(parts: list[Selected]) -> list[Selected]:
    if len({one.name for _, one, _, _ in parts}) < 2:
        return parts
    exact = [part for part in parts if part[3] == VALUE and part[1].name == part[0].selecting.exact]
    return exact or parts


def _entries(watches: Iterable[Watch]) -> dict[str, Collection[str]]:
    """By name, what the store is asked for beside it: nothing where some watch takes any series, or there are many."""
    entries: dict[str, set[str]] = defaultdict(set)
    whole: set[str] = set()
    for watch in watches:
        equal = (one.stored_equality for one in watch.key[1] if one.label not in _NOT_STORED)
        own = next(filter(None, equal), None)
        for name in watch.selecting.names or ():
            if own is None:
                whole.add(name)
            else:
                entries[name].add(own)
    whole |= {name for name, own in entries.items() if len(own) > NARROW}
    return {name: () if name in whole else entries[name] for name in entries.keys() | whole}
