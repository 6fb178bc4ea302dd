"""Samples and reports onto the bus, their keys held meanwhile; a failure becomes an error for the sender.

The samples in a report are published before the report itself. A report is stored once by its id, and the samples of a
repeat are dropped by their key. Both are derived from what is repeated, so a repeat completes what a crash has cut in
half, and adds nothing to what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from opentelemetry.trace import SpanContext
from vigie_contracts.reports import Report, record_key
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_publishing.errors import BufferFullError, BusAwayError, ItemError
from vigie_publishing.in_flight import InFlight
from vigie_publishing.keys import report_id
from vigie_publishing.metric import Sample
from vigie_publishing.series.key import derived_key
from vigie_publishing.series.resolver import Resolved, SeriesResolver


class NamedSamples(msgspec.Struct, kw_only=True):
    """Samples of one tenant and time (ms). `key`: the 16 bytes that name them, also when they are published again."""

    tenant: str
    at_ms: int
    key: bytes
    samples: Sequence[Sample]


class KeyedReport(NamedSamples, kw_only=True):
    """A report, judged and ready to publish, and the samples that are derived from it."""

    kind: str
    subject: str
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """Of the report, from its key."""
        return report_id(self.key)

    def message(self) -> bytes:
        """The record on the bus."""
        report = Report(self.id, self.tenant, self.kind, self.subject, self.at_ms, self.body)
        return msgspec.json.encode(report)


@dataclass(slots=True)
class KeyedPublisher:
    """Publishes samples whose series are in the catalogue; those of one key one call at a time."""

    publisher: SamplePublisher
    in_flight: InFlight

    async def publish(self, columns: SampleColumns, span: SpanContext | None) -> None:
        """Return when Kafka has acknowledged all of them.

        Raises BufferFullError when none was taken, BusAwayError when that is unknown, InProgressError while another
        call publishes samples with one of the keys.
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


class Outcome(NamedTuple):
    """What became of a group's samples."""

    written: int
    refused: list[ItemError]
    """Why others were not: their names or labels break a rule, or the tenant may have no more series."""


@dataclass(slots=True)
class NamedPublisher:
    """Publishes samples by their names, whose series it brings into the catalogue."""

    series: SeriesResolver
    publisher: KeyedPublisher

    async def publish(
        self, groups: Sequence[NamedSamples], span: SpanContext | None = None
    ) -> tuple[int, list[ItemError]]:
        """Publish groups whose keys differ. How many samples Kafka acknowledged in all, and why others were refused.

        Raises a PublishingError when nothing can be taken now, or when it is unknown whether it was.
        """
        outcomes = await self.each(groups, span)
        return sum(one.written for one in outcomes), [error for one in outcomes for error in one.refused]

    async def each(self, groups: Sequence[NamedSamples], span: SpanContext | None = None) -> list[Outcome]:
        """`publish`; what became of each group."""
        columns, outcomes = _columns(groups, await self._resolved(groups))
        if columns.values:
            await self.publisher.publish(columns, span)
        return outcomes

    async def _resolved(self, groups: Sequence[NamedSamples]) -> dict[str, Resolved]:
        """By tenant."""
        wanted: dict[str, list[Sample]] = {}
        for group in groups:
            wanted.setdefault(group.tenant, []).extend(group.samples)
        found = await asyncio.gather(*(self.series.derived(*one) for one in wanted.items()))
        return dict(zip(wanted, found, strict=True))


@dataclass(slots=True)
class ReportPublisher:
    """Publishes reports, and their samples before them."""

    samples: NamedPublisher
    records: RecordPublisher

    async def publish(self, reports: Sequence[KeyedReport], span: SpanContext | None = None) -> list[Outcome]:
        """Publish reports whose keys differ, in order; what became of the samples of each. A report is not lost for
        samples that are refused.

        Raises a PublishingError when nothing can be taken now, or when it is unknown whether it was.
        """
        outcomes = await self.samples.each(reports, span)
        # All are waited for: none is still on its way when the sender is told.
        ends = await asyncio.gather(*(self._record(report, span) for report in reports), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return outcomes

    async def _record(self, report: KeyedReport, span: SpanContext | None) -> None:
        key = record_key(report.tenant, report.subject)
        try:
            await self.records.publish(key, report.message(), id_=report.id, span_context=span)
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=True) from e


def _columns(groups: Sequence[NamedSamples], series: dict[str, Resolved]) -> tuple[SampleColumns, list[Outcome]]:
    fingerprints, stamps, values = list[int](), list[int](), list[float]()
    key_index: list[int] = []
    outcomes: list[Outcome] = []
    for index, group in enumerate(groups):
        refused: list[ItemError] = []
        for sample in group.samples:
            found = series[group.tenant][derived_key(group.tenant, sample)]
            if isinstance(found, ItemError):
                refused.append(found)
                continue
            fingerprints.append(found)
            stamps.append(group.at_ms)
            values.append(sample.value)
            key_index.append(index)
        outcomes.append(Outcome(len(group.samples) - len(refused), refused))
    return SampleColumns(fingerprints, stamps, values, [group.key for group in groups], key_index), outcomes
