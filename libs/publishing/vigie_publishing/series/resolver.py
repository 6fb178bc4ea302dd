"""From what senders wrote to fingerprints: the cache, the refusals of late, then the catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from vigie_contracts import limits
from vigie_contracts.series import SeriesKey
from vigie_runtime.clock import Clock

from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import Metric, Sample
from vigie_publishing.series.cache import RefusedSeries, SeriesCache
from vigie_publishing.series.key import RawSeriesKey, derived_key, key_of, key_of_derived, raw_key
from vigie_publishing.series.registrar import Registrar

Resolved = dict[RawSeriesKey, int | ItemError]
"""The fingerprint of each series, or why it is refused."""
Explain = Callable[[str, str], Awaitable[object | None]]
_EXPLAINED_NAMES: Final = 3
"""Metrics of one request whose refusal is explained: each may have to be looked into."""

_REMEMBERED_BUSINESS: Final = 50_000

MAX_RAW_LABELS_BYTES: Final = 6 * limits.MAX_LABELS_BYTES
"""Labels as they were written, where every character may be six, as in \\u0041. Longer ones are not even parsed."""
_LONG: Final = ItemError(Reason.SERIES, "labels", f"are longer than {MAX_RAW_LABELS_BYTES} bytes as they were written")


class SeriesResolver:
    """Finds the series of metrics and samples, in memory or in the catalogue.

    Every method but `at_once` raises CatalogueAwayError when series are new and the catalogue does not answer."""

    def __init__(
        self, known: SeriesCache, refused: RefusedSeries, registrar: Registrar, clock: Clock, explain: Explain
    ) -> None:
        """`explain(tenant, name)` says why a tenant has so many series, for a refusal; None when it cannot."""
        self._explain = explain
        self._business: set[int] = set()
        self._known = known
        self._refused = refused
        self._registrar = registrar
        self._clock = clock

    def at_once(self, tenant: str, metric: Metric) -> int | None:
        """The series of a single metric if it is in memory, as nearly always; None: ask `one`."""
        return self._known.young.get((tenant, metric.name, metric.type, metric.temporality, bytes(metric.labels)))

    async def one(self, tenant: str, metric: Metric) -> int | ItemError:
        """The series of a single metric."""
        if len(metric.labels) > MAX_RAW_LABELS_BYTES:
            return _LONG
        key = raw_key(tenant, metric)
        return (await self._find({key: metric}, tenant))[key]

    def mark_business(self, fingerprint: int) -> None:
        """Have the series noted in the catalogue as a business metric, once."""
        if fingerprint in self._business or not self._registrar.mark_business(fingerprint):
            return
        if len(self._business) >= _REMEMBERED_BUSINESS:
            self._business.clear()  # to note it once more does no harm
        self._business.add(fingerprint)

    async def many(self, tenant: str, metrics: Sequence[Metric], wrong: dict[int, ItemError]) -> npt.NDArray[np.uint64]:
        """The series of all items. Positions in `wrong` are not worth finding and may stay 0; those that are refused
        are added to it."""
        find = self._known.young.get
        found = [find((tenant, m.name, m.type, m.temporality, bytes(m.labels))) for m in metrics]
        try:
            return np.array(found, np.uint64)
        except TypeError:  # None: series that are new, or were long unused
            return await self._complete(tenant, metrics, found, wrong)

    async def derived(self, tenant: str, samples: Sequence[Sample]) -> Resolved:
        """The series of derived samples, by `derived_key`; of one whose name or labels break a rule, which."""
        wanted = {derived_key(tenant, sample): sample for sample in samples}
        resolved, missing = self._remembered(wanted)
        return resolved | await self._introduce({one: key_of_derived(tenant, wanted[one]) for one in missing})

    async def _complete(
        self, tenant: str, metrics: Sequence[Metric], found: list[int | None], wrong: dict[int, ItemError]
    ) -> npt.NDArray[np.uint64]:
        # Here and not for all: what is known was short enough.
        new = (i for i, fp in enumerate(found) if fp is None and i not in wrong)
        wrong.update({i: _LONG for i in new if len(metrics[i].labels) > MAX_RAW_LABELS_BYTES})
        holes = {i: raw_key(tenant, metrics[i]) for i, fp in enumerate(found) if fp is None and i not in wrong}
        resolved = await self._find({key: metrics[i] for i, key in holes.items()}, tenant)
        for i, key in holes.items():
            fingerprint = resolved[key]
            if isinstance(fingerprint, ItemError):
                wrong[i] = fingerprint
            else:
                found[i] = fingerprint
        return np.array([fp or 0 for fp in found], np.uint64)

    async def _find(self, metrics: Mapping[RawSeriesKey, Metric], tenant: str) -> Resolved:
        resolved, missing = self._remembered(metrics)
        return resolved | await self._introduce({one: key_of(tenant, metrics[one]) for one in missing})

    def _remembered(self, wanted: Mapping[RawSeriesKey, object]) -> tuple[Resolved, list[RawSeriesKey]]:
        resolved: Resolved = {}
        missing: list[RawSeriesKey] = []
        now = self._clock.monotonic()
        for key in wanted:
            found = self._known.get(key)
            if found is None and (found := self._refused.get(key, now)) is None:
                missing.append(key)
            else:
                resolved[key] = found
        return resolved, missing

    async def _introduce(self, new: Mapping[RawSeriesKey, SeriesKey | ItemError]) -> Resolved:
        """Register series that are in no cache; both outcomes are remembered."""
        resolved: Resolved = {one: key for one, key in new.items() if isinstance(key, ItemError)}
        keys = {one: key for one, key in new.items() if isinstance(key, SeriesKey)}
        if not keys:
            return resolved
        registered = dict(zip(keys, await self._registrar.register(list(keys.values())), strict=True))
        resolved |= await self._explained(registered, keys)
        for one in keys:
            found = resolved[one]
            if isinstance(found, ItemError):
                self._refused.add(one, found, self._clock.monotonic())
            else:
                self._known.add(one, found)
        return resolved

    async def _explained(self, resolved: Resolved, keys: Mapping[RawSeriesKey, SeriesKey]) -> Resolved:
        """The same; a refusal for the tenant's limit also says which label makes its series so many."""
        over = [one for one, found in resolved.items() if isinstance(found, ItemError) and found.reason is Reason.LIMIT]
        why: dict[tuple[str, str], object | None] = dict.fromkeys((keys[one].tenant, keys[one].name) for one in over)
        for tenant, name in list(why)[:_EXPLAINED_NAMES]:
            why[tenant, name] = await self._explain(tenant, name)
        for one in over:
            found, text = resolved[one], why[keys[one].tenant, keys[one].name]
            if text is not None and isinstance(found, ItemError):
                resolved[one] = replace(found, detail=f"{found.detail}; {text}")
        return resolved
