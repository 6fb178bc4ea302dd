"""One usable Kafka producer at a time: connected in the background, thrown away after any failure, connected again.

An idempotent producer numbers its batches. When one batch is given up, the broker refuses all later ones of that
partition (out of order sequence), so the producer is never used again after its first failure.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.clients import AIOKafkaProducer, KafkaError
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 12.0
_BACKOFF = Backoff(0.1, 3.0, jitter=0.5)

ProducerFactory = Callable[[], AIOKafkaProducer]


class ProducerHolder:
    """Keeps a started producer for one topic. All methods are for one event loop."""

    def __init__(self, factory: ProducerFactory, topic: str, partitions: int) -> None:
        self._factory = factory
        self._topic = topic
        self._partitions = partitions
        self._current: AIOKafkaProducer | None = None
        self._available = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a producer that has not failed."""
        return self._current is not None

    def connect(self) -> None:
        """Begin to connect, unless that is under way or done."""
        if self._current is None and self._connecting is None:
            self._connecting = self._spawn(self._connect())

    async def get(self) -> AIOKafkaProducer:
        """The producer; waits until there is one."""
        while self._current is None:
            self.connect()
            await self._available.wait()
        return self._current

    def discard(self, reason: str) -> None:
        """Never use the current producer again; connect another one."""
        old, self._current = self._current, None
        self._available.clear()
        if old is not None:
            log.warning("the Kafka producer is replaced", topic=self._topic, reason=reason)
            self._spawn(_abandon(old))
        self.connect()

    async def close(self) -> None:
        """Stop connecting; stop the producer after what it still holds was sent, within STOP_TIMEOUT_S."""
        if self._connecting is not None:
            self._connecting.cancel()
        old, self._current = self._current, None
        if old is not None:
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await old.stop()
            except (TimeoutError, KafkaError) as e:
                log.warning("the Kafka producer did not stop in time", reason=reason_of(e))
                await _abandon(old)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if (error := tasks.retrieve(task)) is not None:
            log.warning("a Kafka producer did not end cleanly", topic=self._topic, reason=reason_of(error))

    async def _connect(self) -> None:
        try:
            async for _ in _BACKOFF.attempts(asyncio.sleep):
                if await self._try_once():
                    return
        finally:
            self._connecting = None

    async def _try_once(self) -> bool:
        producer = self._factory()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await producer.start()
                found = await producer.partitions_for(self._topic)
        except Exception as e:  # noqa: BLE001 - aiokafka also fails with KeyError or AssertionError when a broker goes away
            log.warning("Kafka is not reachable, trying again", topic=self._topic, reason=reason_of(e))
            await _abandon(producer)
            return False
        except BaseException:
            await _abandon(producer)
            raise
        if len(found) != self._partitions:
            log.error("the topic has another number of partitions", found=len(found), expected=self._partitions)
            await _abandon(producer)
            return False
        self._current = producer
        self._available.set()
        return True


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without delivering what it holds. aiokafka has no public way: its `stop` delivers first, however
    long that takes, and a producer that goes on retrying would write what its callers were told has failed."""
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is not None and not sender.done():
        sender.cancel()
        await asyncio.wait([sender], timeout=STOP_TIMEOUT_S)
    held = producer._message_accumulator  # noqa: SLF001
    held._batches.clear()  # noqa: SLF001
    held._pending_batches.clear()  # noqa: SLF001
    with suppress(Exception):  # of whatever kind: it is not used again, and who abandons it has to go on
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()
