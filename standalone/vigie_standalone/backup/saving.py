"""`vigie backup`: all documents of one moment, and the records that lie behind them in Kafka."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vigie_contracts import samples
from vigie_contracts.topics import SAMPLES
from vigie_runtime import clients, logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import AIOKafkaConsumer, Database, KafkaRecord, TopicPartition
from vigie_runtime.errors import Retryable
from vigie_runtime.tracing import runtime_version
from vigie_storage import restoring
from vigie_storage.dump import DumpError, dump
from vigie_storage.mongo import Session
from vigie_storage.partitions.checkpoint import Checkpoint, Log
from vigie_storage.partitions.document import FirstUse
from vigie_storage.unfinished import Unfinished, refuse_unfinished

from vigie_standalone.backup import log
from vigie_standalone.backup.connecting import FACTS, BackupSettings, database, settings
from vigie_standalone.backup.manifest import DATABASE, FORMAT, LOG, BackupError, LogTail, Manifest

Say = Callable[[str], None]


def save(variables: Mapping[str, str], directory: Path, say: Say) -> Manifest:
    """Write a backup into the directory, which is made or is empty. Raises StandaloneError."""
    logging.configure("vigie", "error")
    _make(directory)
    return asyncio.run(_save(settings(variables), directory, say))


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BackupError(f"{directory} is not empty: name a directory that is not there yet.")
        for part in (DATABASE, LOG):
            (directory / part).mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"{directory} cannot be written: {error.strerror}.") from None


async def _save(known: BackupSettings, directory: Path, say: Say) -> Manifest:
    identities = await _identities(known)
    samples_log = identities[SAMPLES.word]
    # Before the documents are read: what is stored after that lies in both, and storing it again changes nothing.
    positions: dict[TopicPartition, int] = {}
    for topic in FACTS:
        wanted = [TopicPartition(identities[topic.word].topic, number) for number in range(samples_log.partitions)]
        async with log.reading(known, known.group_of(topic)) as asked:
            positions |= await log.stored(asked, wanted)
    async with database(known) as db, log.reading(known) as consumer:
        try:
            await refuse_unfinished(db)
            async with db.client.start_session(snapshot=True) as session:
                collections = await dump(db, directory / DATABASE, session)
                say(f"{sum(one.documents for one in collections.values())} documents of {len(collections)} collections")
                tails = await _SamplesLog(db, session, consumer, samples_log).save(directory / LOG)
        except (DumpError, Unfinished) as error:
            raise BackupError(f"The backup was not made: {error}.") from None
        tails += await log.save(consumer, positions, await consumer.end_offsets(list(positions)), directory / LOG)
    say(f"{sum(tail.records for tail in tails)} records that they do not know of yet")
    for tail in tails:
        if tail.missing and tail.topic == samples_log.topic:
            say(f"{tail.missing} records of {tail.topic}/{tail.partition} had left the log before they were counted")
    manifest = Manifest(
        format=FORMAT,
        version=runtime_version(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        database=known.mongodb_database,
        partitions=samples_log.partitions,
        topics={word: one.topic for word, one in identities.items()},
        cluster_id=samples_log.cluster_id,
        topic_ids={one.topic: one.topic_id for one in identities.values()},
        encryption_key=known.encryption_key,
        collections=collections,
        log=tails,
    )
    manifest.write(directory)
    return manifest


async def _identities(known: BackupSettings) -> dict[str, TopicIdentity]:
    admin = clients.kafka_admin(known)
    found: dict[str, TopicIdentity] = {}
    for word, name in known.names().items():
        try:
            identity = await asyncio.to_thread(topics.identify, admin, name)
        except Retryable as error:
            raise BackupError(f"The backup was not made: {error}.") from None
        if identity is None:
            raise BackupError(f"This Kafka has no topic {name}: no Vigie has run on it, so there is nothing to save.")
        found[word] = identity
    return found


@dataclass(frozen=True)
class _SamplesLog:
    """The samples that are not counted: of each partition what follows the fine tier, of which the others are made."""

    db: Database
    session: Session
    consumer: AIOKafkaConsumer
    topic: TopicIdentity

    async def save(self, to: Path) -> list[LogTail]:
        """Write them. Raises KafkaError."""
        own = Log(self.topic.cluster_id, self.topic.topic_id)
        counted = await restoring.checkpoints(self.db, self.topic.topic, self.session)
        ends = await self.consumer.end_offsets([self._at(number) for number in range(self.topic.partitions)])
        tails: list[LogTail] = []
        for number in range(self.topic.partitions):
            checkpoint = counted.get(number)
            position, change = 0, log.untouched
            if checkpoint is not None and checkpoint.log == own:
                position, change = checkpoint.fine.offset, await self._cut(number, checkpoint)
            tails += await log.save(self.consumer, {self._at(number): position}, ends, to, change)
        return tails

    def _at(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic.topic, number)

    async def _cut(self, number: int, checkpoint: Checkpoint) -> log.Change:
        offset, counted = checkpoint.fine
        if counted == 0:
            return log.untouched
        record = await log.first(self.consumer, {self._at(number): offset})
        keys = samples.decode(record.value or b"").keys if record else ()
        known = await restoring.used_first(self.db, number, keys, FirstUse(checkpoint.epoch, offset), self.session)
        return _Cut(offset, counted, known)


class _Cut:
    """Of the record of which a part was counted, keeps the rest."""

    def __init__(self, offset: int, counted: int, known: set[bytes]) -> None:
        self._offset, self._counted, self._known = offset, counted, known

    def __call__(self, record: KafkaRecord) -> bytes | None:
        if record.offset != self._offset or record.value is None:
            return record.value
        return samples.encode(samples.rest(samples.decode(record.value), self._counted, self._known))
