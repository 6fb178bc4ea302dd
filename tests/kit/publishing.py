"""Doubles of what `vigie_publishing` works with: the bus and the catalogue of series."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from vigie_contracts.samples import SampleColumns
from vigie_contracts.series import SeriesKey
from vigie_publishing.in_flight import InFlight
from vigie_publishing.publishers import KeyedPublisher, NamedPublisher, ReportPublisher
from vigie_publishing.series.cache import RefusedSeries, SeriesCache
from vigie_publishing.series.registrar import Registrar
from vigie_publishing.series.resolver import SeriesResolver
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Retryable
from vigie_storage.series.writer import RefusalReason, Refused, Registered


@dataclass
class FakePublisher:
    """Keeps what it is given; `fail` is raised instead; `gate`, when set, is waited for first."""

    sent: list[tuple[int, int, float, bytes | None]] = field(default_factory=list)
    spans: list[object] = field(default_factory=list)
    calls: int = 0
    called: asyncio.Event = field(default_factory=asyncio.Event)
    fail: Exception | None = None
    gate: asyncio.Event | None = None

    async def publish(self, columns: SampleColumns, span_context: object = None) -> None:
        self.calls += 1
        self.called.set()
        self.spans.append(span_context)
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        keys, key_index = columns.keys, columns.key_index
        index = [-1 if keys is None else 0] * len(columns) if key_index is None else np.asarray(key_index).tolist()
        given = (columns.fingerprints, columns.timestamps, columns.values)
        lists = (column.tolist() if isinstance(column, np.ndarray) else column for column in given)
        for fp, ts, value, i in zip(*lists, index, strict=True):
            self.sent.append((fp, ts, value, keys[i] if keys and i >= 0 else None))


@dataclass
class FakeCatalogue:
    """Takes every series up to `limit`; `away` makes it fail, `hang` makes it never answer."""

    series: dict[int, SeriesKey] = field(default_factory=dict)
    asked: list[SeriesKey] = field(default_factory=list)
    calls: int = 0
    limit: int = 1_000_000
    away: bool = False
    hang: bool = False
    business: list[int] = field(default_factory=list)

    async def mark_business(self, fingerprints: Collection[int]) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.away:
            raise Retryable("MongoDB is away")
        assert set(fingerprints) <= self.series.keys()
        self.business += fingerprints

    async def register(self, new: Sequence[SeriesKey]) -> list[Registered | Refused]:
        self.calls += 1
        self.asked += new
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        if self.away:
            raise Retryable("MongoDB is away")
        return [self._one(key) for key in new]

    def _one(self, key: SeriesKey) -> Registered | Refused:
        fp = key.fingerprint
        if fp not in self.series and len(self.series) >= self.limit:
            return Refused(fp, RefusalReason.LIMIT, f"the tenant has all its {self.limit} series, and this one is new")
        created = fp not in self.series
        self.series[fp] = key
        return Registered(fp, fp % 12, len(self.series), created)


@dataclass
class FakeRecords:
    """Keeps the records; `fail` is raised instead."""

    sent: list[tuple[bytes, dict[str, Any], str | None]] = field(default_factory=list)
    fail: Exception | None = None

    async def publish(self, key: bytes, value: bytes, *, id_: str | None = None, span_context: object = None) -> None:
        if self.fail is not None:
            raise self.fail
        self.sent.append((key, json.loads(value), id_))

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [report for _, report, _ in self.sent]


@dataclass
class FakeExplainer:
    """Says `text` of every metric."""

    text: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def explain(self, tenant: str, metric: str) -> str | None:
        self.asked.append((tenant, metric))
        return self.text


@dataclass
class FakeBus:
    """Everything that publishes, over doubles; needs a running loop. Close its registrar."""

    publisher: FakePublisher
    catalogue: FakeCatalogue
    records: FakeRecords
    explainer: FakeExplainer
    registrar: Registrar
    series: SeriesResolver
    keyed: KeyedPublisher
    named: NamedPublisher
    reports: ReportPublisher


def fake_bus(
    clock: Clock,
    publisher: Any = None,
    *,
    catalogue_wait_s: float = 0.3,
    known_series: int = 20_000,
    refusal_memory_s: float = 10.0,
) -> FakeBus:
    """One of these."""
    publisher, catalogue, records, explainer = (
        publisher or FakePublisher(),
        FakeCatalogue(),
        FakeRecords(),
        FakeExplainer(),
    )
    doubled: Any = catalogue
    registrar = Registrar(doubled, catalogue_wait_s)
    registrar.start()
    known, refused = SeriesCache(known_series), RefusedSeries(refusal_memory_s)
    series = SeriesResolver(known, refused, registrar, clock, explainer.explain)
    keyed = KeyedPublisher(publisher, InFlight(catalogue_wait_s))
    named = NamedPublisher(series, keyed)
    return FakeBus(
        publisher, catalogue, records, explainer, registrar, series, keyed, named, ReportPublisher(named, records)
    )
