"""`vigie prepare` on real servers: all is there afterwards, also the second time; what is wrong is a sentence."""

import os
import subprocess
import sys
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.topics import TOPICS
from vigie_storage import collections

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


def prepare(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vigie_standalone", "prepare"],
        env={**os.environ, "REDIS_URL": "redis://127.0.0.1:1", **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


async def test_what_services_need_is_made_and_made_again(
    kafka: str, mongo_uri: str, database: AsyncDatabase[Any]
) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MONGODB_URI": mongo_uri,
        "VIGIE_MONGODB_DATABASE": database.name,
    }
    for _ in range(2):
        ran = prepare(**given)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(f"{len(TOPICS)} topics of 12 partitions, ")
    made = set(await database.list_collection_names())
    assert {one.name for one in collections.ALL if one.expiry is None} <= made
    indexes = await database["users"].index_information()
    assert any(index.get("unique") for name, index in indexes.items() if name != "_id_")
    assert await database["tenants"].find_one({"_id": "default"}) is not None
    assert {topic.name async for topic in _recorded(database)} == {topic.name for topic in TOPICS}


async def _recorded(database: AsyncDatabase[Any]) -> Any:
    async for document in database["topics"].find():
        yield next(topic for topic in TOPICS if topic.name == document["_id"])


async def test_another_number_of_partitions_is_refused_with_what_to_do(
    kafka: str, mongo_uri: str, database: AsyncDatabase[Any]
) -> None:
    await database["topics"].insert_one({"_id": "vigie.samples.v1", "partitions": 7, "cluster_id": "another"})
    ran = prepare(KAFKA_BOOTSTRAP_SERVERS=kafka, MONGODB_URI=mongo_uri, VIGIE_MONGODB_DATABASE=database.name)
    assert ran.returncode == 1
    assert "VIGIE_PARTITIONS=7" in ran.stderr


async def test_missing_servers_are_named() -> None:
    ran = prepare(KAFKA_BOOTSTRAP_SERVERS="", MONGODB_URI="")
    assert ran.returncode == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in ran.stderr
    assert "MONGODB_URI" in ran.stderr
