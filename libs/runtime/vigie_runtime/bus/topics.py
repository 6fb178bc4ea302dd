"""Makes the topics, and tells which topic bears a name. What is recorded of them: `vigie_storage.topics`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewPartitions, NewTopic
from vigie_contracts.topics import DEAD, TOPICS, Topic

from vigie_runtime import clients, logging
from vigie_runtime.errors import KafkaNotReady, PartitionCountError, Retryable, reason_of
from vigie_runtime.settings import Settings

log = logging.get(__name__)

DEFAULT_REPLICATION = 3
_CALL_TIMEOUT_S = 10.0
_IDENTIFY_TIMEOUT_S = 3.0
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Which topic this really is: offsets mean nothing in another cluster, or after it was deleted and made again."""

    topic: str
    cluster_id: str
    topic_id: str
    partitions: int


def specs(partitions: int, topics: Iterable[Topic] = TOPICS) -> list[Topic]:
    """The topics with `partitions` partitions each; dead letters keep their single one."""
    return [topic if topic is DEAD else replace(topic, partitions=partitions) for topic in topics]


def deployed(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[Topic]:
    """The topics as the settings want them: so many partitions, and another name where a setting gives one
    (`reports_topic` to `vigie.reports.v1`)."""
    return specs(settings.partitions, (_named(settings, topic) for topic in topics))


def _named(settings: Settings, topic: Topic) -> Topic:
    name: str = getattr(settings, f"{topic.word}_topic", topic.name)
    return topic if name == topic.name else replace(topic, name=name)


async def make(settings: Settings, specs: Sequence[Topic], *, deadline_s: float = 60.0) -> dict[str, TopicIdentity]:
    """Make the topics that do not exist, and tell which each one is; many services may do this at once.

    Waits up to `deadline_s` for brokers that start or register. Raises PartitionCountError when a topic has another
    number of partitions; KafkaNotReady when time is up.
    """
    admin = clients.kafka_admin(settings)
    identities = await asyncio.to_thread(_ensure_in_kafka, admin, specs, settings.kafka_replication_factor, deadline_s)
    for spec in specs:
        found = identities[spec.name].partitions
        if found != spec.partitions:
            raise PartitionCountError(spec.name, found, spec.partitions, "in Kafka")
    return identities


async def grow(settings: Settings, specs: Sequence[Topic], *, deadline_s: float = 60.0) -> None:
    """Give the topics that exist as many partitions as they are to have; one that has them stays as it is. Raises
    KafkaNotReady."""
    admin = clients.kafka_admin(settings)
    await asyncio.to_thread(_until_done, "adding partitions", deadline_s, lambda: _grown(admin, specs))


async def delete(settings: Settings, names: Sequence[str], *, deadline_s: float = 60.0) -> None:
    """Delete the topics, those that exist, and wait until they are gone. Raises KafkaNotReady."""
    admin = clients.kafka_admin(settings)
    await asyncio.to_thread(_until_done, "deleting topics", deadline_s, lambda: _deleted(admin, names))


def identify(admin: AdminClient, topic: str) -> TopicIdentity | None:
    """Which topic bears the name now; None when none does. Blocks. Raises Retryable when Kafka does not say."""
    try:
        cluster: Any = admin.describe_cluster(request_timeout=_IDENTIFY_TIMEOUT_S).result(_IDENTIFY_TIMEOUT_S + 1)
        found = _describe(admin, [topic], _IDENTIFY_TIMEOUT_S).get(topic)
    except (KafkaException, TimeoutError) as e:
        raise Retryable(f"asking Kafka which topic {topic} is: {reason_of(e)}") from e
    return None if found is None else _identity(found, str(cluster.cluster_id))


def _ensure_in_kafka(
    admin: AdminClient, specs: Sequence[Topic], replication: int | None, deadline_s: float
) -> dict[str, TopicIdentity]:
    end = time.monotonic() + deadline_s
    what, last = "first contact", "no answer"
    while True:
        try:
            what = "describing the cluster"
            cluster: Any = admin.describe_cluster(request_timeout=_CALL_TIMEOUT_S).result(_CALL_TIMEOUT_S + 1)
            replicas = replication or min(DEFAULT_REPLICATION, len(cluster.nodes))
            what = "describing the topics"
            found = _describe(admin, [spec.name for spec in specs])
            missing = [spec for spec in specs if spec.name not in found]
            if not missing:
                return {name: _identity(topic, str(cluster.cluster_id)) for name, topic in found.items()}
            what = f"making {', '.join(spec.name for spec in missing)} with {replicas} replicas"
            last = _create(admin, missing, replicas) or "the new topics are not visible yet"
        except (KafkaException, TimeoutError) as e:
            last = reason_of(e)
            if not _passing(e):
                raise KafkaNotReady(what, deadline_s, last) from e
        if time.monotonic() >= end:
            raise KafkaNotReady(what, deadline_s, last)
        time.sleep(_PAUSE_S)


def _until_done(what: str, deadline_s: float, attempt: Callable[[], str | None]) -> None:
    """Until an attempt has no reason why it has to be made again."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            last = attempt()
        except (KafkaException, TimeoutError) as e:
            last = reason_of(e)
            if not _passing(e):
                raise KafkaNotReady(what, deadline_s, last) from e
        if last is None:
            return
        if time.monotonic() >= end:
            raise KafkaNotReady(what, deadline_s, last)
        time.sleep(_PAUSE_S)


def _grown(admin: AdminClient, specs: Sequence[Topic]) -> str | None:
    wanted = {spec.name: spec.partitions for spec in specs}
    found = _describe(admin, list(wanted))
    short = [NewPartitions(name, wanted[name]) for name, one in found.items() if len(one.partitions) < wanted[name]]
    if not short:
        return None
    return _failure(admin.create_partitions(short, request_timeout=_CALL_TIMEOUT_S)) or "they are not visible yet"


def _deleted(admin: AdminClient, names: Sequence[str]) -> str | None:
    found = list(_describe(admin, names))
    if not found:
        return None
    return _failure(admin.delete_topics(found, request_timeout=_CALL_TIMEOUT_S)) or "they are not gone yet"


def _failure(futures: Mapping[str, Future[Any]]) -> str | None:
    """Why one of these could not be done yet. What time does not heal is raised."""
    for name, future in futures.items():
        error, _ = _outcome(future)
        if error is not None:
            if not _passing(KafkaException(error)):
                raise KafkaException(error)
            return f"{name}: {error.str()}"
    return None


def _describe(
    admin: AdminClient, names: Sequence[str], timeout_s: float = _CALL_TIMEOUT_S
) -> dict[str, TopicDescription]:
    futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout_s)
    found: dict[str, TopicDescription] = {}
    for name, future in futures.items():
        error, topic = _outcome(future)
        if error is None and topic is not None and topic.partitions:
            found[name] = topic
        elif error is not None and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(error)
    return found


def _create(admin: AdminClient, specs: Sequence[Topic], replicas: int) -> str | None:
    """Why a topic could not be made yet, or None. Errors that time does not heal are raised."""
    safety = {"min.insync.replicas": "2"} if replicas >= DEFAULT_REPLICATION else {}
    new = [
        NewTopic(
            spec.name, num_partitions=spec.partitions, replication_factor=replicas, config={**safety, **spec.config}
        )
        for spec in specs
    ]
    reason: str | None = None
    for name, future in admin.create_topics(new, request_timeout=_CALL_TIMEOUT_S).items():
        error, _ = _outcome(future)
        if error is None:
            log.info("topic made", topic=name, replicas=replicas)
        elif error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            reason = f"{name}: {error.str()}"
            if not _passing(KafkaException(error)):
                raise KafkaException(error)
    return reason


def _outcome(future: Future[Any]) -> tuple[KafkaError | None, Any]:
    try:
        return None, future.result(_CALL_TIMEOUT_S + 1)
    except KafkaException as e:
        return e.args[0], None


def _identity(topic: TopicDescription, cluster_id: str) -> TopicIdentity:
    return TopicIdentity(str(topic.name), cluster_id, str(topic.topic_id), len(topic.partitions))


_HEALS = {
    KafkaError.INVALID_REPLICATION_FACTOR,  # brokers are still registering
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_CONTROLLER,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._TIMED_OUT,  # noqa: SLF001 - how librdkafka names its local errors
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
}


def _passing(error: Exception) -> bool:
    if not isinstance(error, KafkaException):
        return True
    first = error.args[0] if error.args else None
    return not isinstance(first, KafkaError) or bool(first.retriable()) or first.code() in _HEALS
