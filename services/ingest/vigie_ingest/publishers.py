"""Samples onto the bus, their request keys held meanwhile; what the bus says becomes an error for the sender."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.trace import SpanContext
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_ingest.errors import BufferFullError, BusAwayError
from vigie_ingest.idempotency import InFlight


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
