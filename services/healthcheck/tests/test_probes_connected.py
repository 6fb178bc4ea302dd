"""kafka, mongodb and redis, against the real ones: with the right login, a wrong one, and none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_runtime.egress import Egress
from vigie_standalone.embedded.mongod import Mongo

from tests.kit.kafka_login import PASSWORD, aiokafka_login
from tests.kit.wait import eventually, patience

WRONG = "the user name or the password is wrong"


async def outcome(kind: str, url: str, login: tuple[str, str] = ("", ""), **options: str) -> Outcome:
    question = Question(url, username=login[0], password=login[1], options=options)
    got = await ask(PROBES[kind], question, 5.0 * patience(), Way(Egress(None)))
    assert not login[1] or login[1] not in got.reason
    return got


def first(addresses: str) -> str:
    return addresses.partition(",")[0]


def kafka_login() -> tuple[str, str]:
    known = aiokafka_login()
    return known.get("sasl_plain_username", ""), known.get("sasl_plain_password", "")


@pytest_asyncio.fixture(loop_scope="session")
async def topic(kafka: str, unique: Callable[[str], str]) -> AsyncIterator[str]:
    name = unique("probed")
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka, **aiokafka_login())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 3, 1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def test_kafka_is_up_and_tells_of_a_topic(kafka: str, topic: str) -> None:
    got = await outcome("kafka", f"kafka://{first(kafka)}", kafka_login())
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts["probe_kafka_brokers"] >= 1.0

    async def described() -> None:
        got = await outcome("kafka", f"kafka://{first(kafka)}", kafka_login(), topic=topic)
        assert (got.verdict, got.reason) == (Verdict.UP, "")
        assert got.facts["probe_kafka_partitions"] == 3.0
        assert got.facts["probe_kafka_partitions_without_leader"] == 0.0

    await eventually(lambda: _true(described))


async def test_kafka_topic_that_does_not_exist_is_not_created(kafka: str, unique: Callable[[str], str]) -> None:
    for _ in range(2):
        got = await outcome("kafka", f"kafka://{first(kafka)}", kafka_login(), topic=unique("missing"))
        assert (got.verdict, got.reason) == (Verdict.DOWN, "the topic does not exist")


@pytest.mark.skipif(not PASSWORD, reason="the given Kafka asks for no login")
async def test_kafka_logins(kafka: str) -> None:
    url, user = f"kafka://{first(kafka)}", kafka_login()[0]
    got = await outcome("kafka", url, (user, "wr0ng"))
    assert (got.verdict, got.reason) == (Verdict.DOWN, WRONG)
    got = await outcome("kafka", url)
    assert (got.verdict, got.reason, got.facts) == (Verdict.UP, "", {})
    got = await outcome("kafka", url, topic="any")
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the broker wants a login before it tells of topics")
    got = await outcome("kafka", url, kafka_login(), saslMechanism="scram-sha-512")
    assert (got.verdict, got.reason) == (Verdict.DOWN, "the broker does not take logins by SCRAM-SHA-512")


def mongo_url(uri: str) -> tuple[str, tuple[str, str]]:
    """One member of the replica set, and the login."""
    parts = urlsplit(uri)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return f"mongodb://{first(hosts)}/?authSource=admin", (unquote(user), unquote(password))


async def test_mongodb(mongo_uri: str) -> None:
    url, login = mongo_url(mongo_uri)
    for known in (login, ("", "")):  # whoever has not logged in may say hello too
        got = await outcome("mongodb", url, known)
        assert (got.verdict, got.reason) == (Verdict.UP, "")
        assert got.facts["probe_mongodb_primary"] == 1.0
    got = await outcome("mongodb", url, ("nobody", "wr0ng"))
    assert (got.verdict, got.reason) == (Verdict.DOWN, WRONG)
    if login[1]:
        got = await outcome("mongodb", url, (login[0], "wr0ng"))
        assert (got.verdict, got.reason) == (Verdict.DOWN, WRONG)


async def test_mongodb_without_a_primary_is_degraded(mongo_cluster: Mongo) -> None:
    url, login = mongo_url(mongo_cluster.uri)
    hosts = urlsplit(mongo_cluster.uri).netloc.rpartition("@")[2].split(",")
    urls = [url.replace(first(mongo_url(mongo_cluster.uri)[0].split("/")[2]), host) for host in hosts]
    facts = [(await outcome("mongodb", one, login)).facts["probe_mongodb_primary"] for one in urls]
    assert sorted(facts) == [0.0, 0.0, 1.0]
    for member in mongo_cluster.members[1:]:
        await asyncio.to_thread(member.kill)

    async def alone() -> None:
        got = await outcome("mongodb", urls[0], login)
        assert (got.verdict, got.reason) == (Verdict.DEGRADED, "the replica set has no primary")

    await eventually(lambda: _true(alone), 30 * patience())
    assert (await outcome("mongodb", urls[1], login)).reason == "the connection was refused"


async def test_redis(redis_url: str) -> None:
    parts = urlsplit(redis_url)
    url, login = f"redis://{parts.hostname}:{parts.port}", (parts.username or "", parts.password or "")
    for known in (login, ("", "")):
        got = await outcome("redis", url, known)
        assert (got.verdict, got.reason) == (Verdict.UP, "")
    got = await outcome("redis", url, ("nobody", "wr0ng"))
    assert (got.verdict, got.reason) == (Verdict.DOWN, WRONG)


async def _true(check: Callable[[], Any]) -> bool:
    await check()
    return True
