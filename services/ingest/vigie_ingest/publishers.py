"""Samples and reports onto the bus, their request keys held meanwhile; a failure becomes an error for the sender.

The samples in a report are published before the report itself. A report is stored once by its id, and the samples of a
repeat are dropped by their key. Both are derived from what is repeated, so a repeat completes what a crash has cut in
half, and adds nothing to what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.trace import SpanContext
from vigie_contracts import telemetry as contract
from vigie_contracts.reports import record_key
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_ingest.errors import BufferFullError, BusAwayError, ItemError
from vigie_ingest.idempotency import InFlight
from vigie_ingest.samples import Sample
from vigie_ingest.series.key import derived_key
from vigie_ingest.series.resolver import Resolved, SeriesResolver
from vigie_ingest.telemetry import NodeReport


@dataclass(slots=True)
class KeyedPublisher:
    """Publishes samples whose series are in the catalogue; those of one request key one request at a time."""

    publisher: SamplePublisher
    in_flight: InFlight

    async def publish(self, columns: SampleColumns, span: SpanContext | None) -> None:
        """Return when Kafka has acknowledged all of them.

        Raises BufferFullError when none was taken, BusAwayError when that is unknown, InProgressError while another
        request publishes samples with one of the keys.
        """
        keys = columns.keys
        try:
            if keys is None:
                await self.publisher.publish(columns, span)
            else:
                async with self.in_flight.hold(keys):
                    await self.publisher.publish(columns, span)
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=keys is not None) from e


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
