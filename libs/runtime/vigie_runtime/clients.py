"""Clients of Kafka, MongoDB and Redis, with time-outs that fit a service: neither for ever nor giving up at once.

Each is made inside a running loop, belongs to it, and is not connected yet.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
from __future__ import annotations

import ssl
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import ConsumerRecord, TopicPartition
from confluent_kafka.admin import AdminClient
from vigie_contracts.limits import MAX_RECORD_BYTES

from vigie_runtime import logging
from vigie_runtime.absent import absent, installed
from vigie_runtime.bus.consumer import Consumer
from vigie_runtime.settings import Settings

# PyMongo loads all of X.509 before it looks for PyOpenSSL, and Redis the measurements of OpenTelemetry, to be ready.
with absent("opentelemetry.sdk.metrics", *(() if installed("OpenSSL") else ("pymongo.pyopenssl_context",))):
    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.driver_info import DriverInfo
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff, NoBackoff

log = logging.get(__name__)

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Document]
MongoClient: TypeAlias = AsyncMongoClient[Document]
KafkaRecord: TypeAlias = ConsumerRecord[bytes, bytes]
"""A record as it was read; key and value are bytes or None."""

MAX_BATCH_BYTES = 1_040_000
"""Below the default `message.max.bytes` (1,048,588), which counts a batch with its framing and headers."""
REQUEST_TIMEOUT_MS = 5_000
METADATA_MAX_AGE_MS = 30_000
SERVER_SELECTION_MS = 5_000
DRIVER = "Vigie"
"""What the driver of MongoDB calls itself, behind its own name."""
FETCH_PARTITION_BYTES = 2 * MAX_RECORD_BYTES
FETCH_BYTES = 16 * MAX_RECORD_BYTES
FETCH_WAIT_MS = 500
"""A fetch that finds nothing costs both sides a millisecond: a quiet topic is asked seldom. A record waits for none."""
POOL_WAIT_S = 0.2
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def kafka_producer(settings: Settings, *, client_id: str) -> AIOKafkaProducer:
    """An idempotent producer (acks=all) without linger: whoever gathers records does it before calling it."""
    return AIOKafkaProducer(
        **_kafka(settings, client_id),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_BATCH_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )


def kafka_consumer(
    settings: Settings,
    *topics: str,
    client_id: str,
    group_id: str | None = None,
    min_bytes: int = 1,
    max_wait_ms: int = FETCH_WAIT_MS,
    auto_offset_reset: str = "earliest",
    kind: type[Consumer] = Consumer,
    instance_id: str | None = None,
) -> AIOKafkaConsumer:
    """A consumer that never commits by itself. With `group_id` it joins the group; without, it is to be assigned. With
    `instance_id`, which no other member may have at the same time, it gets back the partitions that it had.

    A broker answers a fetch when it has `min_bytes`, or after `max_wait_ms` with what there is."""
    session_ms = settings.kafka_session_timeout_ms
    return kind(
        *topics,
        **_kafka(settings, client_id),
        group_id=group_id,
        group_instance_id=instance_id,
        enable_auto_commit=False,
        auto_offset_reset=auto_offset_reset,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=max(300, session_ms // 4),
        rebalance_timeout_ms=max(30_000, session_ms),
        request_timeout_ms=max(REQUEST_TIMEOUT_MS, max_wait_ms * 2),
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        fetch_min_bytes=min_bytes,
        fetch_max_wait_ms=max_wait_ms,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=FETCH_PARTITION_BYTES,
    )


def kafka_admin(settings: Settings) -> AdminClient:
    """The admin client of librdkafka, whose calls block: use it in a thread."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "socket.timeout.ms": REQUEST_TIMEOUT_MS,
        "log_level": 0,  # its own lines on stderr; what fails is raised and said by the caller
    }
    if settings.kafka_ssl_ca_file:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_file
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username or ""
        config["sasl.password"] = _password(settings)
    return AdminClient(config)


def mongo(settings: Settings, *, appname: str = "vigie", answer_s: float | None = 30.0) -> MongoClient:
    """Majority, journalled writes and majority reads; 5 s to find a primary, `answer_s` for any one answer.

    The server is told whose database it is for: see `vigie_storage.inspection.connected`."""
    return AsyncMongoClient(
        settings.mongodb_uri,
        appname=appname,
        driver=DriverInfo(DRIVER, platform=settings.mongodb_database),
        w="majority",
        journal=True,
        readConcernLevel="majority",
        retryWrites=True,
        retryReads=True,
        serverSelectionTimeoutMS=SERVER_SELECTION_MS,
        connectTimeoutMS=SERVER_SELECTION_MS,
        socketTimeoutMS=None if answer_s is None else round(answer_s * 1000),
        waitQueueTimeoutMS=10_000,
        maxPoolSize=50,
        tz_aware=True,
    )


def database(client: MongoClient, settings: Settings) -> Database:
    """The database that the settings name."""
    return client[settings.mongodb_database]


def redis(settings: Settings) -> Redis:
    """Bytes in, bytes out; 2 s for an answer, one more try. Not for blocking commands: those need a longer time-out.

    A burst waits a moment for a connection: an error at once would look like a Redis that is away."""
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        timeout=POOL_WAIT_S,
        socket_timeout=2.0,
        socket_connect_timeout=2.0,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 1),
        max_connections=64,
        client_name="vigie",
    )
    return Redis.from_pool(pool)


def redis_pubsub(settings: Settings) -> Redis:
    """A client for one long connection of pub/sub, which fails at once: whoever listens has to know of every gap."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=2.0,
        socket_connect_timeout=2.0,
        retry=Retry(NoBackoff(), 0),
        client_name="vigie",
    )


def is_authorization_error(error: BaseException) -> bool:
    """Whether Kafka refuses us: an operator has to act, trying again does not help."""
    refused = (
        ClusterAuthorizationFailedError,
        GroupAuthorizationFailedError,
        SaslAuthenticationFailed,
        TopicAuthorizationFailedError,
    )
    return isinstance(error, refused)


def _kafka(settings: Settings, client_id: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": client_id,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        _warn_of_clear_password(settings)
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = _password(settings)
    return options


def _warn_of_clear_password(settings: Settings) -> None:
    """aiokafka says it at every connection, also to this machine itself."""
    clear = (settings.kafka_security_protocol, settings.kafka_sasl_mechanism) == ("SASL_PLAINTEXT", "PLAIN")
    hosts = (broker.strip().rpartition(":")[0] for broker in settings.kafka_bootstrap_servers.split(","))
    if clear and not all(host in _LOOPBACK for host in hosts):
        log.warning(
            "the password for Kafka is sent in the clear: set VIGIE_KAFKA_SECURITY_PROTOCOL to SASL_SSL, or "
            "VIGIE_KAFKA_SASL_MECHANISM to one of SCRAM"
        )


def _password(settings: Settings) -> str:
    return settings.kafka_sasl_password.get_secret_value() if settings.kafka_sasl_password else ""


__all__ = [
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "AdminClient",
    "Consumer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "CorruptRecordException",
    "Database",
    "Document",
    "IllegalStateError",
    "KafkaError",
    "KafkaRecord",
    "KafkaTimeoutError",
    "MessageSizeTooLargeError",
    "MongoClient",
    "NoOffsetForPartitionError",
    "OffsetOutOfRangeError",
    "Redis",
    "TopicPartition",
    "database",
    "is_authorization_error",
    "kafka_admin",
    "kafka_consumer",
    "kafka_producer",
    "mongo",
    "redis",
    "redis_pubsub",
]
