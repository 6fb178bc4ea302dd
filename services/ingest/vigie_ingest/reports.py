"""Reports onto the bus: the samples in them first, then the reports themselves, whole.

A report is stored once by its id, and the samples of a repeat are dropped by their key. Both are derived from what is
repeated, so a repeat completes what a crash has cut in half, and adds nothing to what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanContext
from vigie_contracts import telemetry as contract
from vigie_contracts.reports import Report, record_key
from vigie_contracts.samples import SampleColumns
from vigie_contracts.telemetry import Telemetry
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_ingest.errors import BufferFullError, BusAwayError, ItemError
from vigie_ingest.publishers import KeyedPublisher
from vigie_ingest.samples import Sample
from vigie_ingest.series.key import derived_key
from vigie_ingest.series.resolver import Resolved, SeriesResolver
from vigie_ingest.telemetry import samples_of


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node's telemetry that is to be taken. `key` are the 16 bytes that name it, also when it is sent again;
    `others_too` as for `samples_of`."""

    tenant: str
    at_ms: int
    key: bytes
    said: Telemetry
    others_too: bool

    @property
    def id(self) -> str:
        return str(UUID(bytes=self.key, version=5))

    def message(self) -> bytes:
        """The record on the bus."""
        body = self.said.body()
        return msgspec.json.encode(Report(self.id, self.tenant, contract.KIND, contract.SUBJECT, self.at_ms, body))

    def samples(self) -> list[Sample]:
        """What is in it as numbers."""
        return samples_of(self.said, self.others_too)


@dataclass(slots=True)
class ReportPublisher:
    """Publishes reports, and their samples, whose series it brings into the catalogue."""

    series: SeriesResolver
    publisher: KeyedPublisher
    records: RecordPublisher

    async def publish(
        self, reports: Sequence[NodeReport], derived: Sequence[list[Sample]], span: SpanContext | None
    ) -> tuple[int, list[ItemError]]:
        """Publish reports whose keys differ, and the samples derived from each. How many samples were published, and
        why others were not: the tenant may have no more series. A report is not lost for them.

        Raises a RequestError when nothing can be taken now, or when it is unknown whether it was.
        """
        columns, refused = _columns(reports, derived, await self._resolved(reports, derived))
        if columns.values:
            await self.publisher.publish(columns, span)
        # All are waited for: none is still on its way when the sender is told.
        ends = await asyncio.gather(*(self._record(report, span) for report in reports), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(columns), refused

    async def _resolved(self, reports: Sequence[NodeReport], derived: Sequence[list[Sample]]) -> dict[str, Resolved]:
        """By tenant."""
        wanted: dict[str, list[Sample]] = {}
        for report, samples in zip(reports, derived, strict=True):
            wanted.setdefault(report.tenant, []).extend(samples)
        found = await asyncio.gather(*(self.series.derived(*one) for one in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    async def _record(self, report: NodeReport, span: SpanContext | None) -> None:
        key = record_key(report.tenant, contract.SUBJECT)
        try:
            await self.records.publish(key, report.message(), id_=report.id, span_context=span)
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=True) from e


def _columns(
    reports: Sequence[NodeReport], derived: Sequence[list[Sample]], series: dict[str, Resolved]
) -> tuple[SampleColumns, list[ItemError]]:
    fingerprints, stamps, values = list[int](), list[int](), list[float]()
    key_index: list[int] = []
    refused: list[ItemError] = []
    for index, (report, samples) in enumerate(zip(reports, derived, strict=True)):
        for sample in samples:
            found = series[report.tenant][derived_key(report.tenant, sample)]
            if isinstance(found, ItemError):
                refused.append(found)
                continue
            fingerprints.append(found)
            stamps.append(report.at_ms)
            values.append(sample.value)
            key_index.append(index)
    return SampleColumns(fingerprints, stamps, values, [report.key for report in reports], key_index), refused
