"""Which series a selector of PromQL shows, derived ones included.

A histogram `x` is also `x_bucket`, `x_sum` and `x_count`, a counter of increments also `x_total`: under the names that
`/metrics` shows them, unless a series that was sent under that name matches too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_query.matchers import Matcher, predicate
from vigie_query.promql.cells import BUCKET, VALUE, Shown
from vigie_query.promql.derived import BOUNDS, BUCKETS, DERIVED, LE, bases_of, derives, exact_name, labels_of
from vigie_query.promql.label_sets import LabelSets
from vigie_query.promql.labels import NAME
from vigie_query.series import Selection, Series
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions

from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter
from vigie_storage.series.selections import Selections

_REMEMBERED: Final = 2
"""As much as so many stored series, of about 1 kB: a series that is shown, with what is remembered of its labels."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The stored series of a selector, and what it shows of them, in the order of their rows."""

    selection: Selection
    shown: Shown

    @property
    def weight(self) -> int:
        """As much as so many stored series, with what its labels may come to remember (`LabelSets`)."""
        return _REMEMBERED * len(self.shown.rows)


@dataclass(frozen=True, slots=True)
class _Names:
    """Names to look for; `stored` is None for any, `derived` has by ending the names without it."""

    stored: tuple[str, ...] | None
    derived: Mapping[str, tuple[str, ...]]


class SelectorReader:
    """Finds the series of selectors. Matchers are about labels and names: the tenant is whoever asks."""

    def __init__(self, catalogue: SeriesCatalogue, expressions: Expressions, clock: Clock, limit: int) -> None:
        """`limit`: series that one selector may show."""
        self._catalogue, self._expressions, self._limit = catalogue, expressions, limit
        self._selected = Selections[Selected](catalogue, clock, lambda found: found.weight)

    async def select(self, tenant: TenantId, matchers: tuple[Matcher, ...]) -> Selected:
        """Raises QueryLimitExceeded, and ExpressionTooSlow for patterns."""
        return await self._selected.get(tenant, matchers, lambda: self._select(tenant, matchers))

    async def candidates(self, tenant: TenantId, matchers: tuple[Matcher, ...], limit: int) -> int:
        """How many stored series must be looked at to know what a selector selects, up to `limit` + 1: the store counts
        them, and none is read. Raises QueryLimitExceeded, and ExpressionTooSlow for patterns of names."""
        names = await self._names(tenant, [one for one in matchers if one.label == NAME])
        bases = {base for some in names.derived.values() for base in some}
        every = None if names.stored is None else tuple(sorted({*names.stored, *bases}))
        if every == ():
            return 0
        # Of a bound of buckets the stored series know nothing.
        decided = tuple(one for one in matchers if one.in_store and one.label not in (NAME, LE))
        return await self._catalogue.count(tenant, Filter(every, matchers=decided), limit) or 0

    async def _select(self, tenant: TenantId, matchers: tuple[Matcher, ...]) -> Selected:
        of_names = [one for one in matchers if one.label == NAME]
        others = tuple(one for one in matchers if one.label != NAME)
        names = await self._names(tenant, of_names)
        found: list[tuple[Series, str, int]] = []
        if names.stored != ():
            stored = await self._find(tenant, Filter(names.stored, matchers=others))
            found += [(one, one.name, VALUE) for one in stored]
        hidden = {name for _, name, _ in found}
        for ending, bases in names.derived.items():
            found += await self._derived(tenant, ending, [one for one in bases if one + ending not in hidden], others)
        if len(found) > self._limit:
            raise self._too_many()
        # In a thread: of very many series it takes long.
        return await asyncio.to_thread(_selected, found)

    async def _names(self, tenant: TenantId, matchers: Sequence[Matcher]) -> _Names:
        if not matchers:
            return _Names(None, {})
        exact = exact_name(matchers)
        if exact is not None:
            stored = [exact]
            derived = bases_of(exact)
        else:
            families = await self._catalogue.families(tenant)
            stored = sorted({name for name, _ in families})
            derived = [
                (name, ending)
                for name, kind in families
                for ending, (of, _) in DERIVED.items()
                if kind is of and derives(name, ending)
            ]
        accepted = await self._accepted(tenant, matchers, [*stored, *(base + ending for base, ending in derived)])
        by_ending = {
            ending: tuple(base for base, own in derived if own == ending and base + ending in accepted)
            for ending in DERIVED
        }
        return _Names(
            tuple(name for name in stored if name in accepted),
            {ending: bases for ending, bases in by_ending.items() if bases},
        )

    async def _derived(
        self, tenant: TenantId, ending: str, bases: Sequence[str], matchers: tuple[Matcher, ...]
    ) -> list[tuple[Series, str, int]]:
        kind, part = DERIVED[ending]
        parts = [part]
        if ending == BUCKETS:
            bounds = tuple(one for one in matchers if one.label == LE)
            accepted = await self._accepted(tenant, bounds, BOUNDS, LE)
            parts = [BUCKET + place for place, bound in enumerate(BOUNDS) if bound in accepted]
            matchers = tuple(one for one in matchers if one.label != LE)
        if not bases or not parts:
            return []
        series = await self._find(tenant, Filter(tuple(bases), matchers=matchers, kinds=frozenset({kind})))
        if len(series) * len(parts) > self._limit:
            raise self._too_many()
        return [(one, one.name + ending, part) for one in series for part in parts]

    async def _accepted(
        self, tenant: TenantId, matchers: Sequence[Matcher], texts: Iterable[str], label: str = NAME
    ) -> frozenset[str]:
        """Those of the values of a label that satisfy all matchers of it."""

        def work(check: Callable[[], None]) -> frozenset[str]:
            accepts = predicate(matchers, check)
            return frozenset(text for text in texts if accepts({label: text}))

        if not any(one.is_regex for one in matchers):
            return work(lambda: None)
        return await self._expressions.question("query", tenant).run(work)

    async def _find(self, tenant: TenantId, wanted: Filter) -> list[Series]:
        return await self._catalogue.find(tenant, wanted, self._limit, "query: a selector")

    def _too_many(self) -> QueryLimitExceeded:
        return QueryLimitExceeded(
            f"query: a selector selects more than {self._limit} series: narrow it down with label matchers", "query"
        )


def _selected(found: Sequence[tuple[Series, str, int]]) -> Selected:
    stored = list({one.fingerprint: one for one, _, _ in found}.values())
    selection = Selection(stored)
    row_of = dict(zip((one.fingerprint for one in stored), selection.rows.tolist(), strict=True))
    rows = np.array([row_of[one.fingerprint] for one, _, _ in found], np.int64)
    order = np.argsort(rows, kind="stable")
    kinds = np.array([int(one.kind) for one, _, _ in found], np.uint8)
    parts = np.array([part for _, _, part in found], np.int64)
    places: list[int] = order.tolist()
    labels = LabelSets(labels_of(*found[place]) for place in places)
    return Selected(selection, Shown(labels, rows[order], kinds[order], parts[order]))
