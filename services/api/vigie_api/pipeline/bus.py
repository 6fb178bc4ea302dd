"""What Kafka says of the pipeline. It is asked when somebody looks, and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.topics import DEAD, SAMPLES, TOPICS
from vigie_runtime import clients, logging
from vigie_runtime.bus import dead_reading, inspection, positions, topics
from vigie_runtime.bus.dead_reading import DeadLetter
from vigie_runtime.bus.positions import Log
from vigie_runtime.clients import AdminClient, KafkaError
from vigie_runtime.errors import Retryable, reason_of
from vigie_runtime.settings import Settings

from vigie_api.pipeline.errors import BusAway

log = logging.get(__name__)

READ_TIMEOUT_S: Final = 10.0
_CLIENT: Final = "vigie-api-pipeline"


@dataclass(frozen=True, slots=True)
class BusFacts:
    """One look. `logs`: topic -> partition -> its log; `newest_ms`: of the samples and of the dead letters;
    `groups`: (group, topic) -> partition -> offset."""

    cluster: inspection.ClusterFacts
    logs: Mapping[str, Mapping[int, Log]]
    newest_ms: Mapping[str, int] = field(default_factory=dict[str, int])
    groups: Mapping[tuple[str, str], Mapping[int, int]] = field(default_factory=dict[tuple[str, str], dict[int, int]])


class Bus:
    """Kafka, looked at."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        deployed = topics.deployed(settings, (topic for topic in TOPICS if topic.written_by))
        self._topics = [topic.name for topic in deployed]
        self.samples = topics.deployed(settings, [SAMPLES])[0].name
        self.dead = topics.deployed(settings, [DEAD])[0].name
        self._admin: AdminClient | None = None

    async def look(self) -> BusFacts:
        """All of it. Raises Retryable, with the reason, when Kafka is away."""
        return await asyncio.to_thread(self._look)

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The newest, oldest first, without what was in them. Raises BusAway."""
        consumer = clients.kafka_consumer(self._settings, client_id=_CLIENT)
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await consumer.start()
                return await dead_reading.newest(consumer, limit, stories_only=True)
        except (KafkaError, TimeoutError, OSError) as e:
            log.warning("dead letters cannot be read", reason=reason_of(e))
            raise BusAway from e
        finally:
            await consumer.stop()

    def _look(self) -> BusFacts:
        if self._admin is None:
            self._admin = clients.kafka_admin(self._settings)
        admin = self._admin
        cluster = inspection.inspect(admin, self._topics)
        there = {name: facts.partitions for name, facts in cluster.topics.items()}
        newest = {name: there[name] for name in (self.samples, self.dead) if name in there}
        return BusFacts(
            cluster, positions.logs(admin, there), positions.newest_ms(admin, newest), positions.groups(admin, [*there])
        )


__all__ = ["Bus", "BusFacts", "DeadLetter", "Retryable"]
