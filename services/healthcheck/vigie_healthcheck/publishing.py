"""Checks onto the bus: their samples, then their records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from vigie_contracts.checks import Check, record_key
from vigie_publishing.publishers import NamedPublisher, NamedSamples, Outcome
from vigie_runtime.bus.records import RecordPublisher


@dataclass(frozen=True, slots=True)
class CheckPublisher:
    """To the logs of samples and checks."""

    samples: NamedPublisher
    records: RecordPublisher

    async def publish(self, checks: Sequence[tuple[Check, NamedSamples]]) -> list[Outcome]:
        """Return when Kafka has all of them, which differ by their ids; what became of the samples of each. Publishing
        some once more adds nothing: samples carry keys, records their ids.

        Raises PublishingError, BusUnavailable, BufferFull: then nobody knows which of them it has."""
        outcomes = await self.samples.each([samples for _, samples in checks])
        # All are waited for: none is still on its way when they are published again.
        ends = await asyncio.gather(*(self._record(check) for check, _ in checks), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return outcomes

    async def say(self, samples: Sequence[NamedSamples]) -> None:
        """Samples that belong to no check. Raises as `publish` does."""
        await self.samples.each(samples)

    async def _record(self, check: Check) -> None:
        key = record_key(check.tenant, check.target)
        await self.records.publish(key, msgspec.json.encode(check), id_=check.id)
