"""The pipeline over HTTP: what real Kafka and MongoDB say, and what is said when one of them is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from vigie_api.settings import ApiSettings
from vigie_contracts.days import to_datetime
from vigie_contracts.topics import DEAD
from vigie_identity.permissions import Role
from vigie_runtime.settings import Settings
from vigie_storage.partitions import document as documents
from vigie_storage.partitions.checkpoint import Log, beginning
from vigie_storage.usage import Tally, midnight

from tests.kit import unique
from tests.kit.kafka_login import aiokafka_login

from .conftest import Office, opened

pytestmark = pytest.mark.connected

STATE = "/admin/global/pipeline"
LETTERS = "/admin/global/dead-letters"


@pytest_asyncio.fixture(loop_scope="session")
async def real(office_settings: ApiSettings, kafka: str) -> AsyncIterator[Office]:
    """On a real Kafka, with a log of samples of its own."""
    topic = unique("vigie.samples.test")
    kafkas = Settings(kafka_bootstrap_servers=kafka, mongodb_uri="mongodb://unused", redis_url="redis://unused")
    login = {name: value for name, value in kafkas.model_dump().items() if name.startswith("kafka_")}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka, **aiokafka_login())
    await admin.start()
    for name, partitions in ((topic, 2), (DEAD.name, 1)):
        with suppress(TopicAlreadyExistsError):
            await admin.create_topics([NewTopic(name, partitions, 1)])
    await admin.close()
    async with opened(office_settings.model_copy(update={**login, "samples_topic": topic})) as made:
        yield made


def samples_of(office: Office) -> str:
    return office.app.state.service.settings.samples_topic


async def test_what_is_behind_is_what_the_log_has_and_the_store_has_not(real: Office) -> None:
    topic, resources = samples_of(real), real.app.state.service.resources
    kafka = real.app.state.service.settings.kafka_bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=kafka, **aiokafka_login()) as producer:
        for _ in range(5):
            await producer.send_and_wait(topic, b"x", partition=0)
    now = real.clock.now_ms()
    first = await real.call("GET", STATE, real.root)
    assert first["kafka"]["reached"]
    checkpoint = beginning(Log(first["kafka"]["clusterId"], "topic"))
    fields = {**documents.fields(checkpoint), "updated": to_datetime(now)}
    fields["next"]["10s"] = 3
    await resources.database["partitions"].insert_one({"_id": documents.partition_id(topic, 0), **fields})
    await resources.usage.add({(one, midnight(now)): Tally(samples=7, rejected=1) for one in ("default", "other")})
    real.clock.advance(3)

    state = await real.call("GET", STATE, real.root)
    [reader] = [one for one in state["readers"] if one["topic"] == topic]
    assert (reader["by"], reader["lag"]) == ("store", 2)
    assert [one["lag"] for one in reader["partitions"]] == [2, 0]
    [log] = [one for one in state["topics"] if one["topic"] == topic]
    assert (log["partitions"], log["written"], log["leaderless"]) == (2, 5, 0)
    assert state["today"] == {"samples": 14, "requests": 0, "rejected": 2, "throttled": 0}
    promises = {one["name"]: one for one in state["promises"]}
    assert set(promises) == {"durable", "counted", "alerts", "set-aside"}
    assert promises["durable"]["proven"]
    assert promises["counted"]["numbers"] == {"partitions": 1, "lag": 2, "lost": 0, "still": 0}
    assert promises["alerts"]["state"] == "unknown", "no canary has flown here"


async def test_dead_letters_tell_their_story_and_not_their_content(real: Office) -> None:
    kafka = real.app.state.service.settings.kafka_bootstrap_servers
    mark = unique("reason")
    story = [
        (f"vigie_{name}", value.encode())
        for name, value in {
            "topic": "vigie.samples.v1", "partition": "1", "offset": "42", "reason": mark, "service": "aggregator",
            "version": "1",
        }.items()
    ]  # fmt: skip
    async with AIOKafkaProducer(bootstrap_servers=kafka, **aiokafka_login()) as producer:
        for _ in range(2):
            await producer.send_and_wait(DEAD.name, b"secret of a tenant", key=b"k", headers=story)
    answer = await real.call("GET", f"{LETTERS}?limit=2", real.root)
    assert [one["reason"] for one in answer["letters"]] == [mark, mark]
    assert answer["letters"][0] | {"at": ""} == {
        "at": "", "topic": "vigie.samples.v1", "partition": 1, "offset": 42, "service": "aggregator 1", "reason": mark,
        "bytes": len(b"secret of a tenant"),
    }  # fmt: skip
    assert "secret" not in str(answer)
    for wrong in ("0", "101", "x"):
        await real.call("GET", f"{LETTERS}?limit={wrong}", real.root, 422)


async def test_who_looks_after_one_tenant_sees_neither(real: Office) -> None:
    admin = await real.user("default", Role.ADMIN)
    for path in (STATE, LETTERS):
        await real.call("GET", path, admin, 403)
        await real.call("GET", path, None, 401)


async def test_a_kafka_that_is_away_is_said_and_what_the_store_knows_is_shown(office: Office) -> None:
    state = await office.call("GET", STATE, office.root)
    assert (state["kafka"]["reached"], state["topics"], state["readers"]) == (False, [], [])
    assert state["kafka"]["reason"]
    assert {one["state"] for one in state["promises"]} == {"unknown"}
    answer = await office.http.get(LETTERS, headers=office.root)
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/bus-unavailable"
    assert answer.headers["retry-after"]
