"""How long logs are, and how far groups have told Kafka that they are. Blocks; raises Retryable when Kafka is away."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false, reportArgumentType=false
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from vigie_runtime.errors import Retryable, reason_of

TIMEOUT_S: Final = 5.0
MAX_GROUPS: Final = 100
"""Groups that are looked at, Vigie's own first; a Kafka that others use too may have more."""
_OWN: Final = "vigie"


@dataclass(frozen=True, slots=True)
class Log:
    """One partition: the offset of its oldest record, and of the next one."""

    begin: int
    end: int


def logs(admin: AdminClient, topics: Mapping[str, int]) -> dict[str, dict[int, Log]]:
    """Of every topic its partitions; `topics`: name -> number of partitions, as the brokers have them."""
    places = [(name, partition) for name, count in topics.items() for partition in range(count)]
    begins = _offsets(admin, places, OffsetSpec.earliest())
    ends = _offsets(admin, places, OffsetSpec.latest())
    found: dict[str, dict[int, Log]] = {name: {} for name in topics}
    for place in places:
        if place in begins and place in ends:
            found[place[0]][place[1]] = Log(begins[place][0], ends[place][0])
    return found


def newest_ms(admin: AdminClient, topics: Mapping[str, int]) -> dict[str, int]:
    """When the newest record of each topic was written, ms; without those that have none."""
    places = [(name, partition) for name, count in topics.items() for partition in range(count)]
    found: dict[str, int] = {}
    for (name, _), (_, at_ms) in _offsets(admin, places, OffsetSpec.max_timestamp()).items():
        if at_ms > 0:
            found[name] = max(found.get(name, 0), at_ms)
    return found


def groups(admin: AdminClient, topics: Sequence[str]) -> dict[tuple[str, str], dict[int, int]]:
    """(group, topic) -> partition -> the offset that it goes on from, of the groups that have told one."""
    wanted = set(topics)
    try:
        listed: Any = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S + 1)
        known: list[str] = [one.group_id for one in listed.valid]
        names = sorted(known, key=lambda name: (not name.startswith(_OWN), name))
        asked = [
            answer
            for name in names[:MAX_GROUPS]
            for answer in admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(name)], request_timeout=TIMEOUT_S
            ).values()
        ]
        answers: list[Any] = [answer.result(TIMEOUT_S + 1) for answer in asked]
    except (KafkaException, TimeoutError) as e:
        raise Retryable(reason_of(e)) from e
    found: dict[tuple[str, str], dict[int, int]] = {}
    for answer in answers:
        for one in answer.topic_partitions:
            if one.topic in wanted and one.offset >= 0 and one.error is None:
                found.setdefault((answer.group_id, one.topic), {})[one.partition] = one.offset
    return found


def _offsets(
    admin: AdminClient, places: Sequence[tuple[str, int]], spec: OffsetSpec
) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) -> (offset, timestamp). Without partitions that have no leader: nobody can say it of those."""
    if not places:
        return {}
    try:
        answers = admin.list_offsets({TopicPartition(*place): spec for place in places}, request_timeout=TIMEOUT_S)
    except KafkaException as e:
        raise Retryable(reason_of(e)) from e
    found: dict[tuple[str, int], tuple[int, int]] = {}
    failure: Exception | None = None
    for place, answer in answers.items():
        try:
            said: Any = answer.result(TIMEOUT_S + 1)
        except (KafkaException, TimeoutError) as e:
            failure = e
        else:
            found[place.topic, place.partition] = (said.offset, said.timestamp)
    if failure is not None and not found:
        raise Retryable(reason_of(failure)) from failure
    return found
