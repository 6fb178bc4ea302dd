"""What a Kafka looks like to whoever has to say what is wrong with it. Blocks; raises Retryable when Kafka is away."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from vigie_runtime.errors import Retryable, reason_of

TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the brokers have it."""

    partitions: int
    replicas: int
    """Of the partition that has the fewest."""
    leaderless: int
    """Partitions that nobody can write to."""
    behind: int
    """Partitions of which a replica is not in sync."""
    config: dict[str, str] = field(default_factory=dict[str, str])
    """What was set, and the defaults."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The brokers."""

    cluster_id: str
    brokers: int
    topics: dict[str, TopicFacts]
    """Of those that were asked for and exist."""


def inspect(admin: AdminClient, names: Sequence[str]) -> ClusterFacts:
    """The cluster, and those of the topics that exist."""
    try:
        cluster: Any = admin.describe_cluster(request_timeout=TIMEOUT_S).result(TIMEOUT_S + 1)
        known: Any = admin.list_topics(timeout=TIMEOUT_S).topics
        found = {name: known[name] for name in names if name in known and known[name].error is None}
        configs = _configs(admin, list(found))
    except (KafkaException, TimeoutError) as e:
        raise Retryable(reason_of(e)) from e
    topics = {name: _facts(topic, configs[name]) for name, topic in found.items()}
    return ClusterFacts(str(cluster.cluster_id), len(cluster.nodes), topics)


def _configs(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=TIMEOUT_S
    )
    return {
        one.name: {key: str(entry.value) for key, entry in answer.result(TIMEOUT_S + 1).items()}
        for one, answer in answers.items()
    }


def _facts(topic: Any, config: dict[str, str]) -> TopicFacts:
    partitions = topic.partitions.values()
    return TopicFacts(
        len(topic.partitions),
        min((len(one.replicas) for one in partitions), default=0),
        sum(one.leader < 0 for one in partitions),
        sum(len(one.isrs) < len(one.replicas) for one in partitions),
        config,
    )
