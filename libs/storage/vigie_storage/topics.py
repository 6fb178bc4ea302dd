"""Holds the topics to the number of partitions that is recorded: it changes by `vigie_storage.dividing` only.

topics  {_id: name, partitions, cluster_id}
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from pymongo.errors import DuplicateKeyError
from vigie_contracts.topics import SAMPLES, Topic
from vigie_runtime import logging
from vigie_runtime.bus import topics
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import Database, Document
from vigie_runtime.errors import PartitionCountError
from vigie_runtime.settings import Settings

from vigie_storage import collections, mongo
from vigie_storage.tenancy import shared
from vigie_storage.unfinished import refuse_unfinished

log = logging.get(__name__)


async def ensure(
    settings: Settings, specs: Sequence[Topic], mongo_db: Database, *, deadline_s: float = 60.0
) -> dict[str, TopicIdentity]:
    """Make the topics that do not exist, and tell which each one is.

    Many services may do this at once. Waits up to `deadline_s` for brokers that start or register, and each time
    MongoDB is asked as long for MongoDB. Raises PartitionCountError when a topic has, or is recorded with, another
    number, Unfinished; KafkaNotReady or, of MongoDB, Retryable when time is up.
    """
    await mongo.patiently("reading the recorded topics", lambda: _refuse_recorded(specs, mongo_db), deadline_s)
    identities = await topics.make(settings, specs, deadline_s=deadline_s)
    for identity in identities.values():
        await mongo.patiently("recording the topics", partial(_record, identity, mongo_db), deadline_s)
    return identities


async def recorded_partitions(mongo_db: Database) -> int | None:
    """The number of partitions that the topics were made with, None when none is recorded."""
    found = await shared(mongo_db, collections.TOPICS).find_one({"_id": SAMPLES.name})
    return None if found is None else int(found["partitions"])


async def _refuse_recorded(specs: Sequence[Topic], db: Database) -> None:
    # Before anything is made: a wrong setting must not leave a wrong topic behind.
    await refuse_unfinished(db)
    wanted = {spec.name: spec.partitions for spec in specs}
    async for known in shared(db, collections.TOPICS).find({"_id": {"$in": list(wanted)}}):
        if known["partitions"] != wanted[known["_id"]]:
            raise PartitionCountError(known["_id"], known["partitions"], wanted[known["_id"]], "recorded in MongoDB")


async def _record(identity: TopicIdentity, db: Database) -> None:
    known = await _recorded(identity, db)
    if known["partitions"] != identity.partitions:
        raise PartitionCountError(identity.topic, known["partitions"], identity.partitions, "recorded in MongoDB")
    if known["cluster_id"] != identity.cluster_id:
        log.warning(
            "the topic is in another Kafka cluster than before: it is read from its earliest record",
            topic=identity.topic,
            cluster_id=identity.cluster_id,
            previous_cluster_id=known["cluster_id"],
        )
        await shared(db, collections.TOPICS).update_one(
            {"_id": identity.topic}, {"$set": {"cluster_id": identity.cluster_id}}
        )


async def _recorded(identity: TopicIdentity, db: Database) -> Document:
    made: Document = {"_id": identity.topic, "partitions": identity.partitions, "cluster_id": identity.cluster_id}
    with suppress(DuplicateKeyError):
        await shared(db, collections.TOPICS).insert_one(made)
    return await shared(db, collections.TOPICS).find_one({"_id": identity.topic}) or made
