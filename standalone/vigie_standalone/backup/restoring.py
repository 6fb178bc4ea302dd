"""`vigie restore`: documents back into an empty database, and the records behind them into Kafka."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vigie_contracts.tiers import FINE
from vigie_contracts.topics import SAMPLES
from vigie_runtime import logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import Database, TopicPartition
from vigie_runtime.errors import KafkaNotReady, PartitionCountError
from vigie_storage import restoring
from vigie_storage.dump import DumpError, load
from vigie_storage.restoring import NotEmpty

from vigie_standalone.backup import log, manifest
from vigie_standalone.backup.connecting import FACTS, SAVED, BackupSettings, database, settings
from vigie_standalone.backup.manifest import DATABASE, LOG, BackupError, Manifest
from vigie_standalone.backup.records import DamagedRecordsError
from vigie_standalone.backup.saving import Say


def checked(directory: Path) -> Manifest:
    """The manifest of a backup whose files are all what was written. Raises BackupError."""
    saved = manifest.read(directory)
    if damaged := saved.damaged(directory):
        raise BackupError(
            f"{directory} is damaged: {', '.join(damaged[:5])} of {len(damaged)} files that are not whole."
        )
    return saved


def restore(variables: Mapping[str, str], directory: Path, saved: Manifest, say: Say, *, replace: bool) -> None:
    """Bring a backup back. `replace`: what the database has is given up. Raises StandaloneError."""
    logging.configure("vigie", "error")
    names = {f"VIGIE_{word.upper()}_TOPIC": name for word, name in saved.topics.items()}
    known = settings({**variables, **names, "VIGIE_PARTITIONS": str(saved.partitions)})
    asyncio.run(_restore(known, directory, saved, say, replace=replace))


async def _restore(known: BackupSettings, directory: Path, saved: Manifest, say: Say, *, replace: bool) -> None:
    new = await _new_topics(known, saved)
    async with database(known) as db:
        try:
            await restoring.begin(db, datetime.now(UTC), replace=replace)
            await load(db, directory / DATABASE, saved.collections)
        except NotEmpty as error:
            raise BackupError(f"Nothing was restored: {error}. Give --replace to give up what is there.") from None
        except DumpError as error:
            raise BackupError(f"The restore is not done: {error}. Begin anew with --replace.") from None
        documents = sum(one.documents for one in saved.collections.values())
        say(f"{documents} documents of {len(saved.collections)} collections")
        try:
            tails = [tail for tail in saved.log if tail.topic in new]
            say(f"{await log.replay(known, tails, directory / LOG)} records for services to read on")
        except DamagedRecordsError as error:
            raise BackupError(f"The restore is not done: {error}. Begin anew with another backup.") from None
        for topic in FACTS:
            if (name := saved.topics[topic.word]) not in new:
                begins = {TopicPartition(name, one.partition): one.first for one in saved.log if one.topic == name}
                await log.rewind(known, known.group_of(topic), begins)
        await _publish_again(known, db, saved)
        await restoring.finish(db)
    if saved.topics[SAMPLES.word] not in new:
        say("Kafka is the one of the backup: what came after the backup is read from it again")
    age = datetime.now(UTC) - datetime.fromisoformat(saved.created)
    if saved.topics[SAMPLES.word] in new and age > timedelta(milliseconds=FINE.retention_ms):
        say(
            "WARNING: the finest windows of the backup have expired: those of 1 min and 1 h may lack their last samples"
        )
    if saved.encryption_key and saved.encryption_key not in known.known_keys:
        say(
            f"WARNING: secrets of channels and targets are encrypted with a key ({saved.encryption_key}) that is not "
            "among VIGIE_ENCRYPTION_KEYS here: nobody is told by those channels until it is"
        )


async def _new_topics(known: BackupSettings, saved: Manifest) -> set[str]:
    """Make the topics; those that are not the ones of the backup. Raises BackupError when one of them has records."""
    try:
        identities = await topics.make(known, topics.deployed(known, SAVED))
    except (KafkaNotReady, PartitionCountError) as error:
        raise BackupError(f"Nothing was restored: {error}.") from None
    new = {name: one.partitions for name, one in identities.items() if not _is_saved(one, saved)}
    for topic, empty in (await log.is_empty(known, new)).items():
        if not empty:
            raise BackupError(
                f"Nothing was restored: {topic} of this Kafka holds records, and is not the topic of the backup: they "
                "would be counted too. Delete the topic, or name another Kafka."
            )
    return set(new)


def _is_saved(topic: TopicIdentity, saved: Manifest) -> bool:
    return topic.cluster_id == saved.cluster_id and saved.topic_ids.get(topic.topic) == topic.topic_id


async def _publish_again(known: BackupSettings, db: Database, saved: Manifest) -> None:
    for word in restoring.PUBLISHED:
        kept = await restoring.publish_again(db, word, datetime.now(UTC))
        await log.renew(known, saved.topics[word], saved.partitions, kept)
