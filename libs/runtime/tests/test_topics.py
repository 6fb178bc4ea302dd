"""Topics on a real Kafka: made once by whoever comes first, and never with another number of partitions."""

import asyncio
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from vigie_contracts.topics import DEAD, SAMPLES, Topic
from vigie_runtime import lifespan
from vigie_runtime.bus import topics
from vigie_runtime.errors import KafkaNotReady, PartitionCountError, Retryable
from vigie_runtime.settings import Settings
from vigie_storage import topics as recorded_topics

from tests.kit import unique


async def test_many_services_starting_at_once_agree_on_the_topics(settings: Settings, database: Any) -> None:
    specs = [Topic(unique("topic"), 3, "test", {"retention.ms": "60000"}) for _ in range(3)]
    answers = await asyncio.gather(*(recorded_topics.ensure(settings, specs, database) for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    identity = answers[0][specs[0].name]
    assert identity.partitions == 3
    assert identity.cluster_id
    assert identity.topic_id
    recorded = await database.topics.find_one({"_id": specs[0].name})
    assert recorded == {"_id": specs[0].name, "partitions": 3, "cluster_id": identity.cluster_id}


async def test_another_number_of_partitions_is_refused_with_what_to_do(settings: Settings, database: Any) -> None:
    name = unique("topic")
    await recorded_topics.ensure(settings, [Topic(name, 3, "test")], database)
    with pytest.raises(PartitionCountError, match=r"VIGIE_PARTITIONS=3.*`vigie partitions"):
        await recorded_topics.ensure(settings, [Topic(name, 4, "test")], database)
    await database.topics.delete_many({})
    with pytest.raises(PartitionCountError, match="in Kafka"):
        await recorded_topics.ensure(settings, [Topic(name, 4, "test")], database)


async def test_a_wrong_number_leaves_no_topic_behind(settings: Settings, database: Any) -> None:
    name = unique("topic")
    await database.topics.insert_one({"_id": name, "partitions": 12, "cluster_id": "gone"})
    with pytest.raises(PartitionCountError, match="recorded in MongoDB"):
        await recorded_topics.ensure(settings, [Topic(name, 3, "test")], database)
    # With the right one it is made, and the new cluster is remembered.
    identity = (await recorded_topics.ensure(settings, [Topic(name, 12, "test")], database))[name]
    assert (await database.topics.find_one({"_id": name}))["cluster_id"] == identity.cluster_id


async def test_a_recreated_topic_has_another_identity(settings: Settings, database: Any) -> None:
    from vigie_runtime import clients

    name = unique("topic")
    first = (await recorded_topics.ensure(settings, [Topic(name, 1, "test")], database))[name]
    admin = clients.kafka_admin(settings)
    await asyncio.to_thread(admin.delete_topics([name])[name].result, 20)
    second = (await recorded_topics.ensure(settings, [Topic(name, 1, "test")], database))[name]
    assert (first.cluster_id, first.partitions) == (second.cluster_id, second.partitions)
    assert first.topic_id != second.topic_id


async def test_without_brokers_the_wait_is_bounded(
    settings: Settings, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "_CALL_TIMEOUT_S", 0.5)  # of one question; more than one must fit
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KafkaNotReady, match="KAFKA_BOOTSTRAP_SERVERS"):
        await recorded_topics.ensure(away, [Topic(unique("topic"), 1, "test")], database, deadline_s=1)


@pytest.mark.parametrize(
    ("step", "mode"),
    [("find", "alwaysOn"), ("insert", "alwaysOn"), ("find", {"skip": 1}), ("update", "alwaysOn")],
    ids=["first read", "recording", "reading what is recorded", "recording another cluster"],
)
async def test_mongodb_that_goes_away_at_any_step_is_waited_for(  # noqa: PLR0917
    settings: Settings, database: Any, mongo_client: Any, step: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asyncio.Event()
    monkeypatch.setattr(lifespan, "log", Log(waiting))
    name = unique("topic")
    if step == "update":
        await database.topics.insert_one({"_id": name, "partitions": 3, "cluster_id": "gone"})
    failpoint = {"configureFailPoint": "failCommand", "mode": mode}
    # A code that passes by itself, but after which the driver does not look for another primary: that takes 10 s.
    away = {"failCommands": [step], "errorCode": 262, "namespace": f"{database.name}.topics"}
    try:
        await mongo_client.admin.command({**failpoint, "data": away})
        starting = asyncio.create_task(recorded_topics.ensure(settings, [Topic(name, 3, "test")], database))
        await asyncio.wait([asyncio.create_task(waiting.wait()), starting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    identity = (await starting)[name]
    assert waiting.is_set(), "nothing failed"
    recorded = await database.topics.find_one({"_id": name})
    assert recorded == {"_id": name, "partitions": 3, "cluster_id": identity.cluster_id}


class Log:
    """Says that somebody waits for MongoDB."""

    def __init__(self, waiting: asyncio.Event) -> None:
        self._waiting = waiting

    def info(self, text: str, **where: Any) -> None: ...

    def warning(self, text: str, **where: Any) -> None:
        if text == "waiting for MongoDB":
            self._waiting.set()


async def test_without_mongodb_the_wait_is_bounded(settings: Settings) -> None:
    async with AsyncMongoClient("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100") as client:
        with pytest.raises(Retryable, match="reading the recorded topics: MongoDB is not available"):
            await recorded_topics.ensure(settings, [Topic(unique("topic"), 1, "test")], client["away"], deadline_s=0.3)


def test_specs_give_every_topic_the_same_number_but_the_dead_letters() -> None:
    found = {spec.name: spec.partitions for spec in topics.specs(30)}
    assert found[SAMPLES.name] == 30
    assert found[DEAD.name] == DEAD.partitions
