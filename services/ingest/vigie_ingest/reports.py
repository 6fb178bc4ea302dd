"""Reports onto the bus: the samples in them first, then the reports themselves, whole.

A report is stored once by its id, and the samples of a repeat are dropped by their key. Both are derived from what is
repeated, so a repeat completes what a crash has cut in half, and adds nothing to what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanContext
from vigie_contracts import telemetry as contract
from vigie_contracts.reports import Report, record_key
from vigie_contracts.telemetry import Telemetry
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_ingest.errors import BufferFullError, BusAwayError, ItemError
from vigie_ingest.intake import Caller, Intake, Load
from vigie_ingest.samples import Sample
from vigie_ingest.series.resolver import Answers, derived_identity
from vigie_ingest.telemetry import samples_of


class RecordPublisher(Protocol):
    """What is needed of `vigie_runtime.bus.records.RecordPublisher`."""

    async def publish(
        self, key: bytes, value: bytes, *, id_: str | None = None, span_context: SpanContext | None = None
    ) -> None: ...


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


@dataclass(slots=True)
class Reports:
    """Takes reports. Knows nothing of HTTP."""

    intake: Intake
    records: RecordPublisher

    async def take(self, caller: Caller, reports: Sequence[NodeReport]) -> list[ItemError]:
        """Publish reports, whose keys differ, and their samples. All reports are taken; what is given back are samples
        that were not, because the tenant may have no more series: a report is not lost for them.

        Raises a RequestError when nothing can be taken now, or when it is unknown whether it was.
        """
        derived = [samples_of(report.said, report.others_too) for report in reports]
        await caller.quota.samples(sum(map(len, derived)))
        load, refused = _load(reports, derived, await self._series(reports, derived))
        if load.values:
            await self.intake.publish_load(caller, load)
        # All are waited for: none is still on its way when the sender is told.
        ends = await asyncio.gather(*(self._publish(caller, report) for report in reports), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return refused

    async def _series(self, reports: Sequence[NodeReport], derived: Sequence[list[Sample]]) -> dict[str, Answers]:
        """By tenant."""
        wanted: dict[str, list[Sample]] = {}
        for report, samples in zip(reports, derived, strict=True):
            wanted.setdefault(report.tenant, []).extend(samples)
        found = await asyncio.gather(*(self.intake.series.derived(*one) for one in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    async def _publish(self, caller: Caller, report: NodeReport) -> None:
        key = record_key(report.tenant, contract.SUBJECT)
        try:
            await self.records.publish(key, report.message(), id_=report.id, span_context=caller.span)
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=True) from e


def _load(
    reports: Sequence[NodeReport], derived: Sequence[list[Sample]], series: dict[str, Answers]
) -> tuple[Load, list[ItemError]]:
    load = Load()
    refused: list[ItemError] = []
    for report, samples in zip(reports, derived, strict=True):
        load.keys.append(report.key)
        for sample in samples:
            answer = series[report.tenant][derived_identity(report.tenant, sample)]
            if isinstance(answer, ItemError):
                refused.append(answer)
            else:
                load.add(answer, report.at_ms, sample.value)
    return load, refused
