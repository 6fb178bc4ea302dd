"""The embedded servers themselves: start, keep data over restarts and kills, obey the environment."""

from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient
from redis import Redis as RedisClient
from vigie_standalone.embedded.kafka import Kafka, Node, login, random_kafka_id, server_properties
from vigie_standalone.embedded.kafka_probe import brokers_registered, parse_broker_count
from vigie_standalone.embedded.mongo_probe import hello, is_primary
from vigie_standalone.embedded.mongod import Mongo
from vigie_standalone.embedded.redis import Redis, configuration
from vigie_standalone.embedded.servers import Server, Servers

from tests.kit import aiokafka_login, eventually_sync, kafka_login

MINUTES = pytest.mark.timeout(300)


async def create_topic(bootstrap: str, name: str, replication: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **aiokafka_login())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, replication)])
    finally:
        await admin.close()


async def send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, **aiokafka_login(), acks="all", enable_idempotence=True
    ) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def read_all(bootstrap: str, topic: str) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, **aiokafka_login()) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while len(values) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                values += [record.value or b"" for record in records]
        return values


async def cluster_id(bootstrap: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **aiokafka_login())
    await admin.start()
    try:
        return (await admin.describe_cluster())["cluster_id"]
    finally:
        await admin.close()


@MINUTES
async def test_kafka_keeps_records_address_and_cluster_id_over_restart_and_kill(own_servers: Servers) -> None:
    bootstrap = own_servers.start([Server.KAFKA])[Server.KAFKA].url
    first_id = await cluster_id(bootstrap)
    await create_topic(bootstrap, "kept")
    await send(bootstrap, "kept", [b"one", b"two"])

    own_servers.kafka.brokers[0].restart()
    await send(bootstrap, "kept", [b"three"])
    own_servers.kafka.brokers[0].kill()
    own_servers.kafka.start()

    assert own_servers.kafka.bootstrap == bootstrap
    assert await cluster_id(bootstrap) == first_id
    assert await read_all(bootstrap, "kept") == [b"one", b"two", b"three"]


@MINUTES
@pytest.mark.connected
async def test_kafka_started_by_a_later_process_finds_its_data_even_on_another_port(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path / "kafka", password=kafka_login.PASSWORD)
    try:
        kafka.start()
        await create_topic(kafka.bootstrap, "kept")
        await send(kafka.bootstrap, "kept", [b"one"])
        kafka.stop()
        (tmp_path / "kafka" / "ports.json").unlink()  # as if the remembered ports were taken
        later = Kafka(tmp_path / "kafka", password=kafka_login.PASSWORD)
        try:
            later.start()
            assert later.bootstrap != kafka.bootstrap
            assert await read_all(later.bootstrap, "kept") == [b"one"]
        finally:
            later.kill()
    finally:
        kafka.kill()


@MINUTES
def test_mongod_that_does_not_answer_is_no_primary() -> None:
    assert hello("127.0.0.1", 1) is None
    assert not is_primary(None)
    assert not is_primary(b"\x08isWritablePrimary\x00\x00")
    assert is_primary(b"\x08isWritablePrimary\x00\x01")


@pytest.mark.connected
def test_mongod_keeps_documents_over_restart_kill_and_a_changed_port(tmp_path: Path) -> None:
    def count(uri: str) -> int:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=20_000) as client:
            return client.test.things.count_documents({})

    mongo = Mongo(tmp_path / "mongo", database="test")
    later = Mongo(tmp_path / "mongo", database="test")
    try:
        mongo.start()
        with MongoClient[dict[str, Any]](mongo.uri, w="majority", journal=True) as client:
            client.test.things.insert_one({"kept": True})
        mongo.members[0].kill()
        mongo.start()
        assert count(mongo.uri) == 1
        mongo.stop()
        (tmp_path / "mongo" / "ports.json").unlink()
        later.start()
        assert later.uri != mongo.uri
        assert count(later.uri) == 1
    finally:
        mongo.kill()
        later.kill()


def test_redis_restarts_on_its_port_and_forgets(own_servers: Servers) -> None:
    url = own_servers.start([Server.REDIS])[Server.REDIS].url
    process = own_servers.redis.process
    assert process is not None
    with RedisClient.from_url(url) as client:
        client.set("a", 1)
    process.kill()
    process.start()
    with RedisClient.from_url(url) as client:
        assert client.get("a") is None


@MINUTES
@pytest.mark.fault
async def test_three_brokers_keep_every_record_while_one_is_killed(kafka_cluster: Kafka) -> None:
    await create_topic(kafka_cluster.bootstrap, "replicated", replication=3)
    await send(kafka_cluster.bootstrap, "replicated", [b"before"])
    kafka_cluster.brokers[1].kill()
    await send(kafka_cluster.bootstrap, "replicated", [b"without one"])
    assert await read_all(kafka_cluster.bootstrap, "replicated") == [b"before", b"without one"]


@MINUTES
@pytest.mark.fault
def test_killed_primary_is_replaced(mongo_cluster: Mongo) -> None:
    first = mongo_cluster.wait_primary()
    mongo_cluster.members[first].kill()
    second = mongo_cluster.wait_primary()
    assert second != first
    with MongoClient[dict[str, Any]](mongo_cluster.uri, serverSelectionTimeoutMS=20_000) as client:
        client.test.things.with_options().insert_one({"written": "with two of three"})


def test_failpoints_are_allowed_in_tests(mongo_uri: str) -> None:
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        off = {"configureFailPoint": "failCommand", "mode": "off"}
        assert client.admin.command(off)["ok"] == 1


def test_named_servers_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "MONGODB_URI": "mongodb://mongo.example/?replicaSet=rs0",
        "REDIS_URL": "redis://redis.example",
    }
    servers = Servers(tmp_path, environment=given)
    servers.start()
    assert servers.variables() == given
    assert {address.source for address in servers.addresses.values()} == set(given)
    assert servers.processes() == []
    assert list(tmp_path.iterdir()) == []


def test_probe_counts_brokers_and_takes_silence_for_none() -> None:
    answer = bytes.fromhex("000000010000000000000003") + b"rest"
    assert parse_broker_count(answer) == 3
    assert parse_broker_count(b"\x00\x00\x00\x01") == 0
    assert brokers_registered("127.0.0.1", 1) == 0


def test_one_node_needs_no_replicas_and_three_need_two_in_sync() -> None:
    nodes = [Node(i, Path("/data"), 9000 + i, 9100 + i, random_kafka_id()) for i in (1, 2, 3)]
    alone = server_properties(nodes[0], nodes[:1])
    cluster = server_properties(nodes[0], nodes)
    assert (alone["default.replication.factor"], alone["min.insync.replicas"]) == (1, 1)
    assert (cluster["default.replication.factor"], cluster["min.insync.replicas"]) == (3, 2)
    assert alone["group.min.session.timeout.ms"] == 1000
    assert "message.max.bytes" not in alone


def test_kafka_with_a_password_has_no_listener_that_asks_nobody() -> None:
    node = Node(1, Path("/data"), 9001, 9101, random_kafka_id())
    settings = server_properties(node, [node], "s3cret")
    assert settings["listener.security.protocol.map"] == "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    assert not [value for value in settings.values() if str(value).startswith("PLAINTEXT")]
    for listener in ("sasl_plaintext", "controller"):
        assert 'user_vigie="s3cret"' in str(settings[f"listener.name.{listener}.plain.sasl.jaas.config"])
    assert "sasl.enabled.mechanisms" not in server_properties(node, [node], "")
    assert login("") == {}


def test_redis_knows_one_user_by_the_hash_of_the_password(tmp_path: Path) -> None:
    text = configuration(tmp_path / 'a "b', 6379, "s3cret")
    assert "s3cret" not in text
    users = [line.split()[1:3] for line in text.splitlines() if line.startswith("user ")]
    assert users == [["default", "off"], ["vigie", "on"]]
    assert '/a \\"b"\n' in text


@pytest.mark.connected
def test_redis_starts_in_a_directory_with_blanks_and_quotes(tmp_path: Path) -> None:
    redis = Redis(tmp_path / 'my "data" é')
    try:
        redis.start()
        with RedisClient.from_url(redis.url) as client:
            assert client.ping()
    finally:
        redis.kill()


def test_random_kafka_ids_are_valid_ids() -> None:
    ids = {random_kafka_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(i) == 22 and not i.startswith("-") for i in ids)


def test_eventually_sync_says_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match="last seen: 0"):
        eventually_sync(lambda: 0, 0.1)
