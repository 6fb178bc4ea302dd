"""The newest reports, from the end of the log: each process reads for itself, without a group.

What was read in the last minute is remembered: the store has a report only some time after the log does.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from vigie_contracts.reports import Report, record_key
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus import decoding
from vigie_runtime.clients import AIOKafkaConsumer, KafkaError, KafkaRecord, TopicPartition
from vigie_runtime.clock import Clock
from vigie_runtime.errors import InvalidMessage, reason_of

from vigie_push.sources.base import Sink

log = logging.get(__name__)

NAME: Final = "reports"
REMEMBERED_MS: Final = 60_000
MAX_REMEMBERED: Final = 5_000
MAX_REMEMBERED_BYTES: Final = 32 * 1024 * 1024
MAX_RECORDS: Final = 500
"""Handed over at once; others wait meanwhile."""
POLL_MS: Final = 200
CONNECT_S: Final = 15.0
SILENT_S: Final = 15.0
"""A log that does not answer for so long is away."""
_BACKOFF: Final = Backoff(0.2, 5.0)
_read: Final = decoding.json(Report)


class _Kept(NamedTuple):
    key: bytes
    at_ms: int
    record: KafkaRecord


class ReportsTail:
    """A source: its records are `Report`s."""

    name: Final = NAME

    def __init__(
        self, consumer: Callable[[], AIOKafkaConsumer], topic: str, partitions: int, sink: Sink, clock: Clock
    ) -> None:
        """`consumer` makes one without topics and group, with `clients.kafka_consumer`."""
        self._consumer, self._clock, self._sink = consumer, clock, sink
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._followed: set[str] = set()
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        self._next: dict[TopicPartition, int] = {}
        """Offsets to go on from with another consumer."""
        self._known = asyncio.Event()
        self._stopped = asyncio.Event()
        self._away = False

    async def follow(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._followed.add(tenant)
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self._known.wait()

    async def leave(self, tenant: TenantId) -> None:
        """See `Source`."""
        self._followed.discard(tenant)

    def recent(self, tenant: TenantId, kind: str, subject: str) -> list[Report]:
        """What was read of a subject in the last minute, in the order of the log."""
        key = record_key(tenant, subject)
        return [
            report
            for kept in self._kept
            if kept.key == key and (report := _report(kept.record)) is not None and report.kind == kind
        ]

    def stop(self) -> None:
        """See `Source`."""
        self._stopped.set()

    async def run(self) -> None:
        """See `Source`."""
        failures = 0
        while not self._stopped.is_set():
            consumer = self._consumer()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await consumer.start()
                    await self._seek(consumer)
                self._there()
                failures = 0
                await self._follow(consumer)
            except (KafkaError, OSError, TimeoutError) as e:
                failures += 1
                self._lost(e)
            finally:
                with suppress(KafkaError, OSError, TimeoutError):
                    async with asyncio.timeout(CONNECT_S):
                        await consumer.stop()
            if not self._stopped.is_set():
                await self._pause(_BACKOFF.pause_s(failures or 1))

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Where another consumer stopped, or a minute ago; at the end where nothing is that new."""
        consumer.assign(self._partitions)
        ends = await consumer.end_offsets(self._partitions)
        since = self._clock.now_ms() - REMEMBERED_MS
        found = await consumer.offsets_for_times(dict.fromkeys(self._partitions, since))
        for partition in self._partitions:
            recent = found.get(partition)
            begin = ends[partition] if recent is None else recent.offset
            known = self._next.get(partition, 0)
            consumer.seek(partition, known if begin <= known <= ends[partition] else begin)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while not self._stopped.is_set():
            async with asyncio.timeout(SILENT_S):
                batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            for partition, records in batches.items():
                self._next[partition] = records[-1].offset + 1
                for record in records:
                    self._take(record)
            self._forget()

    def _take(self, record: KafkaRecord) -> None:
        key = record.key or b""
        self._kept.append(_Kept(key, record.timestamp, record))
        self._kept_bytes += len(record.value or b"")
        tenant = key.partition(b"/")[0].decode(errors="replace")
        if tenant not in self._followed:
            return
        report = _report(record)
        if report is not None and report.tenant == tenant:
            self._sink.publish(NAME, TenantId(tenant), report)

    def _forget(self) -> None:
        since = self._clock.now_ms() - REMEMBERED_MS
        while self._kept and (
            self._kept[0].at_ms < since or len(self._kept) > MAX_REMEMBERED or self._kept_bytes > MAX_REMEMBERED_BYTES
        ):
            self._kept_bytes -= len(self._kept.popleft().record.value or b"")

    def _there(self) -> None:
        self._known.set()
        if self._away:
            self._away = False
            log.info("the log of reports is read again")
            self._sink.restored(NAME)

    def _lost(self, error: Exception) -> None:
        self._known.set()
        if not self._away:
            self._away = True
            log.warning("the log of reports cannot be read", reason=reason_of(error))
            self._sink.degraded(NAME)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


def _report(record: KafkaRecord) -> Report | None:
    """None for what nobody can read: the aggregator sets it aside."""
    try:
        return _read(record)
    except InvalidMessage:
        return None
