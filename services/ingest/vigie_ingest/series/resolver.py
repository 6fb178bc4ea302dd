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

from vigie_ingest.decoding import Metric
from vigie_ingest.errors import ItemError, Reason
from vigie_ingest.samples import Sample
from vigie_ingest.series.cache import Identity, RefusedSeries, SeriesCache
from vigie_ingest.series.key import build, key_of
from vigie_ingest.series.registrar import Registrar

Answers = dict[Identity, int | ItemError]
Explain = Callable[[str, str], Awaitable[object | None]]
_EXPLAINED_NAMES: Final = 3
"""Metrics of one request whose refusal is explained: each may have to be looked into."""

MAX_RAW_LABELS_BYTES: Final = 6 * limits.MAX_LABELS_BYTES
"""Labels as they were written, where every character may be six, as in \\u0041. Longer ones are not even parsed."""
_LONG: Final = ItemError(Reason.SERIES, "labels", f"are longer than {MAX_RAW_LABELS_BYTES} bytes as they were written")


def identity_of(tenant: str, metric: Metric) -> Identity:
    """The metric's series as its sender wrote it."""
    return (tenant, metric.name, metric.type, metric.temporality, bytes(metric.labels))


def derived_identity(tenant: str, sample: Sample) -> Identity:
    """The same for a sample that Vigie derived; four parts, so never equal to the five of `identity_of`."""
    return (tenant, sample.name, sample.kind, sample.labels)


class SeriesResolver:
    """Raises CatalogueAwayError when series are new and the catalogue does not answer."""

    def __init__(
        self, known: SeriesCache, refused: RefusedSeries, registrar: Registrar, clock: Clock, explain: Explain
    ) -> None:
        """`explain(tenant, name)` says why a tenant has so many series, for a refusal; None when it cannot."""
        self._explain = explain
        self._known = known
        self._refused = refused
        self._registrar = registrar
        self._clock = clock

    async def one(self, tenant: str, metric: Metric) -> int | ItemError:
        """The series of a single metric."""
        if len(metric.labels) > MAX_RAW_LABELS_BYTES:
            return _LONG
        identity = identity_of(tenant, metric)
        if (fingerprint := self._known.young.get(identity)) is not None:
            return fingerprint
        return (await self._find({identity: metric}, tenant))[identity]

    async def many(self, tenant: str, metrics: Sequence[Metric], wrong: dict[int, ItemError]) -> npt.NDArray[np.uint64]:
        """The series of all items. Positions in `wrong` are not worth finding and may stay 0; those that are refused
        are added to it."""
        find = self._known.young.get
        found = [find((tenant, m.name, m.type, m.temporality, bytes(m.labels))) for m in metrics]
        try:
            return np.array(found, np.uint64)
        except TypeError:  # None: series that are new, or were long unused
            return await self._complete(tenant, metrics, found, wrong)

    async def derived(self, tenant: str, samples: Sequence[Sample]) -> Answers:
        """The series of derived samples, by `derived_identity`."""
        wanted = {derived_identity(tenant, sample): sample for sample in samples}
        answers, missing = self._remembered(wanted)
        keys = {one: build(tenant, wanted[one].name, wanted[one].kind, dict(wanted[one].labels)) for one in missing}
        return answers | await self._introduce(keys)

    async def _complete(
        self, tenant: str, metrics: Sequence[Metric], found: list[int | None], wrong: dict[int, ItemError]
    ) -> npt.NDArray[np.uint64]:
        # Here and not for all: what is known was short enough.
        new = (i for i, fp in enumerate(found) if fp is None and i not in wrong)
        wrong.update({i: _LONG for i in new if len(metrics[i].labels) > MAX_RAW_LABELS_BYTES})
        holes = {i: identity_of(tenant, metrics[i]) for i, fp in enumerate(found) if fp is None and i not in wrong}
        answers = await self._find({identity: metrics[i] for i, identity in holes.items()}, tenant)
        for i, identity in holes.items():
            answer = answers[identity]
            if isinstance(answer, ItemError):
                wrong[i] = answer
            else:
                found[i] = answer
        return np.array([fp or 0 for fp in found], np.uint64)

    async def _find(self, metrics: Mapping[Identity, Metric], tenant: str) -> Answers:
        answers, missing = self._remembered(metrics)
        return answers | await self._introduce({one: key_of(tenant, metrics[one]) for one in missing})

    def _remembered(self, wanted: Mapping[Identity, object]) -> tuple[Answers, list[Identity]]:
        answers: Answers = {}
        missing: list[Identity] = []
        now = self._clock.monotonic()
        for identity in wanted:
            answer = self._known.get(identity)
            if answer is None and (answer := self._refused.get(identity, now)) is None:
                missing.append(identity)
            else:
                answers[identity] = answer
        return answers, missing

    async def _introduce(self, new: Mapping[Identity, SeriesKey | ItemError]) -> Answers:
        """Register series that are in no cache; both outcomes are remembered."""
        answers: Answers = {one: key for one, key in new.items() if isinstance(key, ItemError)}
        keys = {one: key for one, key in new.items() if isinstance(key, SeriesKey)}
        if not keys:
            return answers
        registered = dict(zip(keys, await self._registrar.register(list(keys.values())), strict=True))
        answers |= await self._explained(registered, keys)
        for one in keys:
            answer = answers[one]
            if isinstance(answer, ItemError):
                self._refused.add(one, answer, self._clock.monotonic())
            else:
                self._known.add(one, answer)
        return answers

    async def _explained(self, answers: Answers, keys: Mapping[Identity, SeriesKey]) -> Answers:
        """The same answers; a refusal for the tenant's limit also says which label makes its series so many."""
        over = [
            one for one, answer in answers.items() if isinstance(answer, ItemError) and answer.reason is Reason.LIMIT
        ]
        why: dict[tuple[str, str], object | None] = dict.fromkeys((keys[one].tenant, keys[one].name) for one in over)
        for tenant, name in list(why)[:_EXPLAINED_NAMES]:
            why[tenant, name] = await self._explain(tenant, name)
        for one in over:
            answer, text = answers[one], why[keys[one].tenant, keys[one].name]
            if text is not None and isinstance(answer, ItemError):
                answers[one] = replace(answer, detail=f"{answer.detail}; {text}")
        return answers
