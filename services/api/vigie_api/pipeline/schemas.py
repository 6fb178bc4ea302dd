"""GET /admin/global/pipeline and /admin/global/dead-letters."""

from __future__ import annotations

from pydantic import Field

from vigie_api.pipeline.proofs import Name, State
from vigie_api.schemas import Model, Time


class Kafka(Model):
    """The brokers, as the api reaches them."""

    reached: bool
    reason: str = Field(description="why not; empty when it is")
    brokers: int | None
    cluster_id: str | None


class TopicState(Model):
    """A log."""

    topic: str
    partitions: int
    replicas: int = Field(description="of the partition that has the fewest")
    leaderless: int = Field(description="partitions that nobody can write to")
    behind: int = Field(description="partitions of which a replica is not in sync")
    written: int = Field(description="records that were ever written: the difference of two answers is a rate")
    kept: int = Field(description="records that are in it, as far as offsets say it: compaction leaves fewer")


class PartitionLag(Model):
    partition: int
    position: int | None = Field(description="offset that is read on from; null: nothing was read of it")
    end: int
    lag: int


class Reader(Model):
    """Who reads a log, and how far it is behind. `by`: `store` where the offset is that of the transaction which
    counted the records, `group` where it is what a consumer group told Kafka."""

    group: str
    topic: str
    by: str
    lag: int = Field(description="records that are not read yet")
    partitions: list[PartitionLag]


class Today(Model):
    """What all tenants used since midnight, UTC, without the last seconds."""

    samples: int
    requests: int
    rejected: int
    throttled: int


class Promise(Model):
    name: Name
    state: State
    proven: Time | None = Field(description="when what it rests on last happened; null: never, or nobody knows")
    numbers: dict[str, int]


class PipelineAnswer(Model):
    """The state of the pipeline, of all tenants together."""

    timestamp: Time
    kafka: Kafka
    topics: list[TopicState]
    readers: list[Reader]
    today: Today
    promises: list[Promise]


class Letter(Model):
    """A record that no consumer could process: where it was and why, never what was in it."""

    at: Time
    topic: str
    partition: int
    offset: int
    service: str
    reason: str
    bytes: int


class DeadLettersAnswer(Model):
    """The newest dead letters of all tenants, newest first."""

    timestamp: Time
    letters: list[Letter]
