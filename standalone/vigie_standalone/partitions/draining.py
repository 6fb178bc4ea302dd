"""What lies in Kafka and is not counted yet, and an aggregator that counts it while no other service runs."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from vigie_contracts.topics import CHECKS, COMMANDS, REPORTS, SAMPLES
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import AIOKafkaConsumer, Database, TopicPartition
from vigie_storage import restoring
from vigie_storage.partitions.checkpoint import Checkpoint, Log

from vigie_standalone.backup import log
from vigie_standalone.backup.connecting import BackupSettings
from vigie_standalone.backup.saving import Say
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import StandaloneError
from vigie_standalone.probes import http_ready

FACTS: Final = (REPORTS, CHECKS, COMMANDS)
READY_S: Final = 60.0
STALLED_S: Final = 120.0
"""An aggregator that counts nothing for so long will not."""
STOP_S: Final = 60.0
_LOOK_S: Final = 1.0


class NotCountedError(StandaloneError):
    """Records wait, and nobody could count them."""

    def __init__(self, waiting: Mapping[str, int], log_tail: str) -> None:
        counted = ", ".join(f"{count} of {name}" for name, count in waiting.items() if count)
        tail = f"\nThe end of the aggregator's log:\n{log_tail}" if log_tail else ""
        super().__init__(
            f"Nothing was changed: records are not counted yet ({counted}). Start an aggregator until it has none "
            f"left, stop it, and try again.{tail}"
        )


async def waiting(known: BackupSettings, db: Database, topics: Mapping[str, TopicIdentity]) -> dict[str, int]:
    """By topic, how many records are not counted and stored whole. `topics`: those that exist, by their words."""
    found: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        if samples := topics.get(SAMPLES.word):
            asked = await stack.enter_async_context(log.reading(known))
            counted = await restoring.checkpoints(db, samples.topic)
            own = Log(samples.cluster_id, samples.topic_id)
            at = {_place(samples, number): _first(counted.get(number), own) for number in range(samples.partitions)}
            found[samples.topic] = await _behind(asked, at)
        for topic in FACTS:
            if facts := topics.get(topic.word):
                asked = await stack.enter_async_context(log.reading(known, known.group_of(topic)))
                at = await log.stored(asked, [_place(facts, number) for number in range(facts.partitions)])
                found[facts.topic] = await _behind(asked, at)
    return found


def _place(topic: TopicIdentity, number: int) -> TopicPartition:
    return TopicPartition(topic.topic, number)


def _first(checkpoint: Checkpoint | None, own: Log) -> int:
    """From where on some tier lacks something."""
    return 0 if checkpoint is None or checkpoint.log != own else checkpoint.first.offset


async def _behind(consumer: AIOKafkaConsumer, at: Mapping[TopicPartition, int]) -> int:
    begins, ends = await consumer.beginning_offsets(list(at)), await consumer.end_offsets(list(at))
    return sum(max(0, ends[one] - max(position, begins[one])) for one, position in at.items())


async def drain(
    known: BackupSettings, variables: Mapping[str, str], db: Database, topics: Mapping[str, TopicIdentity], say: Say
) -> None:
    """Have an aggregator count what waits. Raises NotCountedError, ProcessError."""
    left = await waiting(known, db, topics)
    if not sum(left.values()):
        return
    say(f"{sum(left.values())} records are not counted yet: an aggregator does it now")
    with tempfile.TemporaryDirectory(prefix="vigie-") as directory:
        process = _aggregator(variables, Path(directory))
        try:
            await asyncio.to_thread(process.start, READY_S)
            progress = time.monotonic()
            while sum(left.values()):
                await asyncio.sleep(_LOOK_S)
                before, left = left, await waiting(known, db, topics)
                if sum(left.values()) < sum(before.values()):
                    progress = time.monotonic()
                elif time.monotonic() > progress + STALLED_S or not process.alive:
                    raise NotCountedError(left, process.log_tail())
        finally:
            await asyncio.to_thread(process.stop, STOP_S)


def _aggregator(variables: Mapping[str, str], directory: Path) -> Process:
    port = free_port()
    own = {
        "VIGIE_AGGREGATOR_HOST": "127.0.0.1",
        "VIGIE_AGGREGATOR_PORT": str(port),
        "VIGIE_COARSE_INTERVAL_S": "1",  # no tier is to be waited for
    }
    return Process(
        "aggregator",
        [sys.executable, "-m", "vigie_aggregator"],
        log_path=directory / "aggregator.log",
        ready=http_ready(f"http://127.0.0.1:{port}/health/ready"),
        env={**os.environ, **variables, **own},
    )
