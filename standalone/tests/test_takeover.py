"""A data directory of a version that asked nobody for a password: its data is kept, and closed from then on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from vigie_standalone.embedded.kafka import Kafka
from vigie_standalone.embedded.kafka_probe import brokers_registered
from vigie_standalone.embedded.mongod import REPLICA_SET, Mongo, find_mongod
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process

from tests.kit import eventually_sync, port_open

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]


def open_mongod(directory: Path) -> tuple[Process, str]:
    """As it was started before there were users."""
    port = Ports(directory).get(["mongod-1"])["mongod-1"]
    data = directory / "mongod-1" / "data"
    data.mkdir(parents=True)
    command = [find_mongod()[0], "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet"]
    process = Process("mongod", [*command, REPLICA_SET], log_path=directory / "mongod.log", ready=port_open(port))
    return process, f"mongodb://127.0.0.1:{port}/?directConnection=true"


def test_documents_from_before_there_were_users_are_kept_and_closed(tmp_path: Path) -> None:
    before, open_uri = open_mongod(tmp_path)
    now = Mongo(tmp_path)
    try:
        before.start()
        with MongoClient[dict[str, Any]](open_uri) as client:
            host = open_uri.split("/")[2]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
            eventually_sync(lambda: client.admin.command("hello")["isWritablePrimary"], 30)
            client.vigie.things.insert_one({"_id": "kept"})
        before.stop()

        for _ in range(2):  # the second start finds the user
            now.start()
            with MongoClient[dict[str, Any]](now.uri) as client:
                assert client.vigie.things.find_one() == {"_id": "kept"}
            now.stop()
        now.start()
        with MongoClient[dict[str, Any]](open_uri) as client, pytest.raises(OperationFailure, match="authentication"):
            client.vigie.things.find_one()
    finally:
        before.kill()
        now.kill()


async def test_records_from_before_there_was_a_login_are_kept_and_closed(tmp_path: Path) -> None:
    before = Kafka(tmp_path, password="")
    now = Kafka(tmp_path)
    place = TopicPartition("kept", 0)
    try:
        await asyncio.to_thread(before.start)
        admin = AIOKafkaAdminClient(bootstrap_servers=before.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=before.bootstrap) as producer:
            await producer.send_and_wait("kept", b"one", partition=0)
        await asyncio.to_thread(before.stop)

        await asyncio.to_thread(now.start)
        port = int(now.bootstrap.rpartition(":")[2])
        login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_plain_username": "vigie"}
        async with AIOKafkaConsumer(
            bootstrap_servers=now.bootstrap, **login, sasl_plain_password=now.password, auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign([place])
            assert (await consumer.getone(place)).value == b"one"
        assert brokers_registered("127.0.0.1", port) == 0
        assert brokers_registered("127.0.0.1", port, ("vigie", "wrong")) == 0
    finally:
        before.kill()
        now.kill()
