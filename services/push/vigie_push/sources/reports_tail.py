"""The newest records, reports unless said otherwise, from the end of a log: each process reads for itself, without a
group."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from vigie_contracts.commands import Command
from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.clients import AIOKafkaConsumer, KafkaError, KafkaRecord, TopicPartition
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of

from vigie_push.sources.base import Sink
from vigie_push.sources.recent_reports import REMEMBERED_MS, RecentReports, read

log = logging.get(__name__)

NAME: Final = "reports"
MAX_RECORDS: Final = 500
"""Handed over at once; others wait meanwhile."""
POLL_MS: Final = 200
CONNECT_S: Final = 15.0
SILENT_S: Final = 15.0
"""A log that does not answer for so long is away."""
_BACKOFF: Final = Backoff(0.2, 5.0)


class ReportsTail:
    """A source: its records are `Report`s, or what else `read` gives."""

    def __init__(
        self,
        consumer: Callable[[], AIOKafkaConsumer],
        topic: str,
        partitions: int,
        *,
        sink: Sink,
        clock: Clock,
        recent: RecentReports | None = None,
        name: str = NAME,
        read: Callable[[KafkaRecord], Report | Command | None] = read,
    ) -> None:
        """`consumer` makes one without topics and group, with `clients.kafka_consumer`. `recent` is told of every
        record. `name` is the source's; `read` gives None for what nobody can read."""
        self._consumer, self._recent, self._sink, self._clock = consumer, recent, sink, clock
        self.name, self._read = name, read
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._followed: set[str] = set()
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
            if self._recent is not None:
                self._recent.forget(self._clock.now_ms())

    def _take(self, record: KafkaRecord) -> None:
        if self._recent is not None:
            self._recent.add(record)
        tenant = (record.key or b"").partition(b"/")[0].decode(errors="replace")
        if tenant in self._followed and (found := self._read(record)) is not None and found.tenant == tenant:
            self._sink.publish(self.name, TenantId(tenant), found)

    def _there(self) -> None:
        self._known.set()
        if self._away:
            self._away = False
            log.info("a log is read again", source=self.name)
            self._sink.restored(self.name)

    def _lost(self, error: Exception) -> None:
        self._known.set()
        if not self._away:
            self._away = True
            log.warning("a log cannot be read", source=self.name, reason=reason_of(error))
            self._sink.degraded(self.name)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
