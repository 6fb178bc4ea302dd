"""One look at the pipeline: Kafka, what is counted, the outbox, and what was used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vigie_contracts.tenants import PLATFORM
from vigie_query.times import iso
from vigie_runtime.bus.positions import Log
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts import document as outbox_documents
from vigie_storage.alerts.outbox import Outbox
from vigie_storage.partitions import reading
from vigie_storage.partitions.reading import Counted
from vigie_storage.usage import UsageStore

from vigie_api.pipeline import proofs, schemas
from vigie_api.pipeline.bus import Bus, BusFacts, Retryable
from vigie_api.pipeline.proofs import Proof

KEPT_S: Final = 2.0
"""However many look, Kafka is asked so seldom."""
MAX_LETTERS: Final = 100
COUNTED_BY: Final = "vigie-aggregator"


@dataclass(frozen=True, slots=True)
class _Stored:
    counted: Mapping[int, Counted]
    due_ms: int | None
    told_ms: int | None
    pending: int
    today: schemas.Today


class PipelineState:
    """Answers of the last seconds are shared by all who ask."""

    def __init__(self, bus: Bus, database: Database, usage: UsageStore, clock: Clock) -> None:
        self._bus, self._database, self._usage, self._clock = bus, database, usage, clock
        self._outbox = Outbox(database, clock, timedelta(0))  # it is read only
        self._answers = TtlCache[schemas.PipelineAnswer](clock, KEPT_S, 1)
        self._letters = TtlCache[schemas.DeadLettersAnswer](clock, KEPT_S, 4, max_running=2, name="dead letters")

    async def now(self) -> schemas.PipelineAnswer:
        """The state; also while Kafka is away, which it says. Raises StoreUnavailable."""
        return await self._answers.get("now", self._look)

    async def dead_letters(self, limit: int) -> schemas.DeadLettersAnswer:
        """The newest `limit`. Raises BusAway; Busy when other limits are being read."""
        return await self._letters.get(limit, lambda: self._read(limit))

    async def close(self) -> None:
        """End what is under way."""
        await self._answers.close()
        await self._letters.close()

    async def _look(self) -> schemas.PipelineAnswer:
        found, stored = await asyncio.gather(self._facts(), self._stored())
        facts, reason = found
        now_ms = self._clock.now_ms()
        logs = {} if facts is None else facts.logs
        cluster = None if facts is None else facts.cluster
        newest = {} if facts is None else facts.newest_ms
        letters = next(iter(logs.get(self._bus.dead, {}).values()), None)
        proven = (
            proofs.durable(cluster, newest.get(self._bus.samples)),
            proofs.counted(cluster, logs.get(self._bus.samples, {}), stored.counted, now_ms),
            proofs.alerts(stored.due_ms, stored.told_ms, stored.pending, now_ms),
            proofs.set_aside(letters, newest.get(self._bus.dead)),
        )
        return schemas.PipelineAnswer(
            timestamp=iso(now_ms),
            kafka=schemas.Kafka(
                reached=cluster is not None,
                reason=reason,
                brokers=None if cluster is None else cluster.brokers,
                cluster_id=None if cluster is None else cluster.cluster_id,
            ),
            topics=[] if facts is None else _topics(facts),
            readers=[] if facts is None else [*_readers(facts, self._bus.samples, stored.counted)],
            today=stored.today,
            promises=[_promise(one) for one in proven],
        )

    async def _facts(self) -> tuple[BusFacts | None, str]:
        try:
            return await self._bus.look(), ""
        except Retryable as e:
            return None, str(e)

    async def _stored(self) -> _Stored:
        canaries, pending, today, counted = await asyncio.gather(
            self._outbox.listed(PLATFORM, outbox_documents.State.SENT, 1),
            self._outbox.pending(),
            self._usage.everybody(),
            reading.counted(self._database, self._bus.samples),
        )
        due = told = None
        if canaries and canaries[0].settled is not None:
            last = canaries[0]
            due = last.transitions[-1].starts_at
            told = None if last.settled is None else round(last.settled.timestamp() * 1000)
        used = schemas.Today(
            samples=today.samples, requests=today.requests, rejected=today.rejected, throttled=today.throttled
        )
        return _Stored(counted, due, told, pending, used)

    async def _read(self, limit: int) -> schemas.DeadLettersAnswer:
        found = await self._bus.dead_letters(limit)
        return schemas.DeadLettersAnswer(
            timestamp=iso(self._clock.now_ms()),
            letters=[
                schemas.Letter(
                    at=iso(one.died_ms), topic=one.topic, partition=one.partition, offset=one.offset,
                    service=one.service, reason=one.reason, bytes=one.size,
                )
                for one in reversed(found)
            ],
        )  # fmt: skip


def _promise(proof: Proof) -> schemas.Promise:
    proven = None if proof.proven_ms is None else iso(proof.proven_ms)
    return schemas.Promise(name=proof.name, state=proof.state, proven=proven, numbers=dict(proof.numbers))


def _topics(facts: BusFacts) -> list[schemas.TopicState]:
    return [
        schemas.TopicState(
            topic=name,
            partitions=about.partitions,
            replicas=about.replicas,
            leaderless=about.leaderless,
            behind=about.behind,
            written=sum(one.end for one in facts.logs[name].values()),
            kept=sum(one.end - one.begin for one in facts.logs[name].values()),
        )
        for name, about in facts.cluster.topics.items()
    ]


def _readers(facts: BusFacts, samples: str, counted: Mapping[int, Counted]) -> Iterator[schemas.Reader]:
    """Who counts the samples by what is committed, everybody else by what they told Kafka."""
    logs = facts.logs.get(samples, {})
    stored = {partition: one.checkpoint.fine.offset for partition, one in counted.items()}
    if logs:
        yield _reader(COUNTED_BY, samples, "store", logs, stored)
    for (group, topic), offsets in sorted(facts.groups.items()):
        if topic != samples:
            yield _reader(group, topic, "group", facts.logs[topic], offsets)


def _reader(group: str, topic: str, by: str, logs: Mapping[int, Log], offsets: Mapping[int, int]) -> schemas.Reader:
    partitions = [
        schemas.PartitionLag(
            partition=partition,
            position=offsets.get(partition),
            end=log.end,
            lag=max(0, log.end - max(log.begin, offsets.get(partition, log.begin))),
        )
        for partition, log in sorted(logs.items())
    ]
    return schemas.Reader(
        group=group, topic=topic, by=by, lag=sum(one.lag for one in partitions), partitions=partitions
    )
