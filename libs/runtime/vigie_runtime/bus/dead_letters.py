"""Records that cannot be read go to the dead-letter topic, untouched, with their story in headers. Within a limit."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from vigie_contracts.topics import DEAD

from vigie_runtime import clients, logging, tracing
from vigie_runtime.bus.producer_holder import ProducerFactory, ProducerHolder
from vigie_runtime.clients import KafkaError, KafkaRecord, MessageSizeTooLargeError
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import Retryable, TooManyDeadLetters, reason_of
from vigie_runtime.settings import Settings

log = logging.get(__name__)

SEND_TIMEOUT_S: Final = 15.0
MAX_REASON_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `ratio` of the messages of the last `window_s` seconds may be dead, judged from `least` dead ones on."""

    ratio: float = 0.5
    least: int = 20
    window_s: float = 60.0


class Ratio:
    """Dead and good messages of the last window, in ten slots."""

    _SLOTS: Final = 10

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._slots: dict[int, list[int]] = {}

    def good(self, messages: int = 1) -> None:
        """So many messages could be read."""
        self._slot()[1] += messages

    def dead(self) -> None:
        """One could not. Raises TooManyDeadLetters when the limit is crossed."""
        self._slot()[0] += 1
        dead = sum(slot[0] for slot in self._slots.values())
        seen = dead + sum(slot[1] for slot in self._slots.values())
        if dead >= self._limit.least and dead > self._limit.ratio * seen:
            raise TooManyDeadLetters(dead, seen, self._limit.ratio)

    def _slot(self) -> list[int]:
        now = int(self._clock.monotonic() / (self._limit.window_s / self._SLOTS))
        if now not in self._slots:
            self._slots = {slot: counts for slot, counts in self._slots.items() if slot > now - self._SLOTS}
            self._slots[now] = [0, 0]
        return self._slots[now]


class DeadLetters:
    """Sends to `vigie.dead.v1`. Tell it the good messages too (`good`), or everything looks dead."""

    def __init__(
        self,
        producer_factory: ProducerFactory,
        service: str,
        version: str,
        limit: Limit | None = None,
        *,
        topic: str = DEAD.name,
        partitions: int = DEAD.partitions,
        clock: Clock | None = None,
    ) -> None:
        """`producer_factory` makes a producer with `clients.kafka_producer`; it starts at the first dead letter."""
        self._producer = ProducerHolder(producer_factory, topic, partitions)
        self._service = service
        self._version = version
        self._topic = topic
        self._ratio = Ratio(limit or Limit(), clock or SystemClock())

    @classmethod
    def of(cls, settings: Settings, service: str) -> DeadLetters:
        """A consumer's own, because each judges for itself whether too much of what it reads is dead."""
        return cls(
            lambda: clients.kafka_producer(settings, client_id=f"vigie-{service}-dead"),
            service,
            tracing.runtime_version(),
        )

    def good(self, messages: int = 1) -> None:
        """So many messages could be read: what the limit is measured against."""
        self._ratio.good(messages)

    async def send(self, record: KafkaRecord, reason: str) -> None:
        """Return when the record is safe in the dead-letter topic; its place and story only, if Kafka does not take it
        whole (the story makes it longer than it was).

        Raises TooManyDeadLetters, nothing being sent, when too much is dead; Retryable when Kafka does not take it:
        the record must not be passed over then.
        """
        self._ratio.dead()
        log.error(
            "dead letter",
            topic=record.topic, partition=record.partition, offset=record.offset, reason=reason[:MAX_REASON_CHARS],
        )  # fmt: skip
        story = self._story(record, reason)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                producer = await self._producer.get()
                try:
                    headers = [*record.headers, *story]
                    await producer.send_and_wait(self._topic, record.value or b"", record.key, headers=headers)
                except MessageSizeTooLargeError:
                    log.warning("the dead letter is too large for Kafka: sent without key, value and its own headers")
                    story.append(("vigie_left_out", f"{len(record.value or b'')} bytes of value".encode()))
                    await producer.send_and_wait(self._topic, b"", headers=story)
        except (KafkaError, TimeoutError) as e:
            self._producer.discard(reason_of(e))
            raise Retryable(f"a dead letter could not be stored: {reason_of(e)}") from e

    async def close(self) -> None:
        """Stop the producer."""
        await self._producer.close()

    def _story(self, record: KafkaRecord, reason: str) -> list[tuple[str, bytes]]:
        return [
            ("vigie_topic", record.topic.encode()),
            ("vigie_partition", str(record.partition).encode()),
            ("vigie_offset", str(record.offset).encode()),
            ("vigie_reason", reason[:MAX_REASON_CHARS].encode(errors="replace")),
            ("vigie_service", self._service.encode()),
            ("vigie_version", self._version.encode()),
        ]
