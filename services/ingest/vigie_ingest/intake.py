"""The heart of the gateway: judged items become samples on the bus, after their series are in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from opentelemetry.trace import SpanContext
from vigie_contracts.events import CloudEvent
from vigie_runtime.clock import Clock
from vigie_runtime.errors import BufferFull, BusUnavailable

from vigie_ingest import samples, timestamps
from vigie_ingest.cloudevents import Meaning, meaning
from vigie_ingest.decoding import Decoded, Metric
from vigie_ingest.errors import BufferFullError, BusAwayError, ItemError, RejectedItem
from vigie_ingest.idempotency import InFlight, event_key
from vigie_ingest.series.resolver import Answers, SeriesResolver, derived_identity


class Publisher(Protocol):
    """What the intake needs of `vigie_runtime.bus.publisher.SamplePublisher`."""

    async def publish(  # noqa: PLR0917  # as it is there
        self,
        fingerprints: Sequence[int] | npt.NDArray[np.uint64],
        timestamps: Sequence[int] | npt.NDArray[np.int64],
        values: Sequence[float] | npt.NDArray[np.float64],
        keys: Sequence[bytes] | None = None,
        key_index: Sequence[int] | npt.NDArray[np.int32] | None = None,
        span_context: SpanContext | None = None,
    ) -> None: ...


class RequestQuota(Protocol):
    """What the intake needs of `vigie_limits.quotas.RequestQuota`."""

    async def samples(self, count: int) -> None: ...

    def took(self, samples: int, rejected: int = 0) -> None: ...


@dataclass(slots=True)  # not frozen, nor is Taken: that would cost a microsecond per object, one per request
class Caller:
    """Whose request it is, and what travels with its samples."""

    tenant: str
    quota: RequestQuota
    """What the request is charged with."""
    key: bytes | None = None
    """The request key, when the request has an Idempotency-Key."""
    span: SpanContext | None = None


@dataclass(slots=True)
class Taken:
    """A single metric that is on the bus."""

    fingerprint: int
    timestamp: int


@dataclass(slots=True)
class Verdicts:
    """What became of the items of a request."""

    accepted: int
    rejected: list[RejectedItem] = field(default_factory=list[RejectedItem])


@dataclass(slots=True)
class Load:
    """Columns for the publisher, as they grow sample by sample."""

    fingerprints: list[int] = field(default_factory=list[int])
    timestamps: list[int] = field(default_factory=list[int])
    values: list[float] = field(default_factory=list[float])
    keys: list[bytes] = field(default_factory=list[bytes])
    key_index: list[int] = field(default_factory=list[int])

    def add(self, fingerprint: int, timestamp: int, value: float) -> None:
        """One sample of the newest key."""
        self.fingerprints.append(fingerprint)
        self.timestamps.append(timestamp)
        self.values.append(value)
        self.key_index.append(len(self.keys) - 1)


@dataclass(slots=True)
class Intake:
    """Takes decoded requests. Knows nothing of HTTP. Every method raises a RequestError when nothing can be taken
    now, or when it is unknown whether it was; Throttled when the tenant has sent more than it may."""

    publisher: Publisher
    series: SeriesResolver
    in_flight: InFlight
    clock: Clock

    async def take_one(self, caller: Caller, metric: Metric) -> Taken | ItemError:
        """One metric."""
        now = self.clock.now_ms()
        ms = timestamps.to_ms(metric.timestamp, now)
        if error := samples.fault(metric, ms, now):
            return error
        await caller.quota.samples(1)
        fingerprint = await self.series.one(caller.tenant, metric)
        if isinstance(fingerprint, ItemError):
            return fingerprint
        await self._publish(caller, [fingerprint], [ms], [metric.value])
        return Taken(fingerprint, ms)

    async def take_many(self, caller: Caller, decoded: Decoded[Metric]) -> Verdicts:
        """A batch: what is good is taken, what is not gets a verdict."""
        metrics, rejected = decoded.items, decoded.rejected
        if not metrics:
            return Verdicts(0, rejected)
        await caller.quota.samples(len(metrics))
        now = self.clock.now_ms()
        columns = samples.columns(metrics, now)
        wrong = samples.faults(metrics, columns, now)
        fingerprints = await self.series.many(caller.tenant, metrics, wrong)
        stamps, values = columns.timestamps, columns.values
        if wrong:
            good = np.ones(len(metrics), np.bool_)
            good[list(wrong)] = False
            fingerprints, stamps, values = fingerprints[good], stamps[good], values[good]
            rejected = rejected + [RejectedItem(decoded.index(i), error) for i, error in wrong.items()]
        # Freed while the CPU's cache still holds them: after the wait for Kafka that takes as long as decoding did.
        del metrics, decoded, columns
        if len(values):
            await self._publish(caller, fingerprints, stamps, values)
        return Verdicts(len(values), rejected)

    async def take_events(self, caller: Caller, decoded: Decoded[CloudEvent]) -> Verdicts:
        """CloudEvents; each is taken or refused as a whole. A repeat within the request shares the verdict of the
        first, and adds nothing."""
        now = self.clock.now_ms()
        rejected = list(decoded.rejected)
        meanings: dict[bytes, Meaning] = {}
        places: dict[bytes, list[int]] = {}
        for i, event in enumerate(decoded.items):
            what = meaning(event, now)
            if isinstance(what, ItemError):
                rejected.append(RejectedItem(decoded.index(i), what))
                continue
            key = event_key(caller.tenant, event.source, event.id)
            meanings.setdefault(key, what)
            places.setdefault(key, []).append(decoded.index(i))
        derived = [sample for what in meanings.values() for sample in what.samples]
        await caller.quota.samples(len(derived))
        series = await self.series.derived(caller.tenant, derived)
        load = Load()
        for key, what in meanings.items():
            if error := _add(load, key, caller.tenant, what, series):
                rejected += [RejectedItem(index, error) for index in places[key]]
        if load.keys:
            await self.publish_load(caller, load)
        return Verdicts(len(decoded.items) + len(decoded.rejected) - len(rejected), rejected)

    async def _publish(
        self,
        caller: Caller,
        fingerprints: Sequence[int] | npt.NDArray[np.uint64],
        stamps: Sequence[int] | npt.NDArray[np.int64],
        values: Sequence[float] | npt.NDArray[np.float64],
    ) -> None:
        try:
            if caller.key is None:
                await self.publisher.publish(fingerprints, stamps, values, None, None, caller.span)
            else:
                async with self.in_flight.hold([caller.key]):
                    await self.publisher.publish(fingerprints, stamps, values, [caller.key], None, caller.span)
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=caller.key is not None) from e
        caller.quota.took(len(values))

    async def publish_load(self, caller: Caller, load: Load) -> None:
        """Samples whose series are known, with their keys. Raises as the others."""
        try:
            async with self.in_flight.hold(load.keys):
                await self.publisher.publish(
                    np.array(load.fingerprints, np.uint64),
                    np.array(load.timestamps, np.int64),
                    np.array(load.values, np.float64),
                    load.keys,
                    np.array(load.key_index, np.int32),
                    caller.span,
                )
        except BufferFull as e:
            raise BufferFullError from e
        except BusUnavailable as e:
            raise BusAwayError(keyed=True) from e
        caller.quota.took(len(load.values))


def _add(load: Load, key: bytes, tenant: str, what: Meaning, series: Answers) -> ItemError | None:
    """Add an event's samples; nothing of it, and the error, when one of its series is refused."""
    fingerprints: list[int] = []
    for sample in what.samples:
        answer = series[derived_identity(tenant, sample)]
        if isinstance(answer, ItemError):
            return answer
        fingerprints.append(answer)
    load.keys.append(key)
    for fingerprint, sample in zip(fingerprints, what.samples, strict=True):
        load.add(fingerprint, what.timestamp, sample.value)
    return None
