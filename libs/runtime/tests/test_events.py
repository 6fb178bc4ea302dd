"""What becomes of a batch, without Kafka: read, stored, set aside, acknowledged or left to the next reader."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.topics import CHECKS, DEAD, REPORTS, SAMPLES
from vigie_runtime.bus import decoding, event_metrics, events, topics
from vigie_runtime.bus.unreadable import stub
from vigie_runtime.clients import ConsumerRecord
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import DeadReason, InvalidMessage, Retryable
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import ReportsSettings

from tests.kit import eventually

SERVERS: dict[str, Any] = {
    "kafka_bootstrap_servers": "nowhere:1",
    "mongodb_uri": "mongodb://nowhere",
    "redis_url": "redis://nowhere",
}


@dataclass
class Letters:
    """Dead letters in memory."""

    alive: int = 0
    dead: list[str] = field(default_factory=list[str])

    def good(self, messages: int = 1) -> None:
        self.alive += messages

    async def send(self, record: object, reason: str) -> None:
        self.dead.append(reason)


@dataclass
class Stage:
    """A consumer whose batches are handed over by hand. `failures` are raised by the next calls of its store."""

    failures: list[Exception] = field(default_factory=list[Exception])
    stored: list[list[str]] = field(default_factory=list[list[str]])
    letters: Letters = field(default_factory=Letters)
    acknowledged: int = 0

    def __post_init__(self) -> None:
        declared = events.batches(CHECKS, decoding.json(Check), self._store, divide=pairs)
        dead = event_metrics.dead_records("test")
        metrics = MetricSet([dead])
        letters: Any = self.letters
        self.dead = {reason: metrics.counter(dead, reason=reason) for reason in DeadReason}
        self.consumer = events.EventConsumer(
            declared, "test", self._no_kafka, topic="t", dead_letters=letters, dead=self.dead, clock=SystemClock()
        )

    async def hand_over(self, *values: bytes) -> None:
        await self.consumer._handle([record(value) for value in values], self._acknowledge)

    async def _store(self, checks: Sequence[Check]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.stored.append([check.id for check in checks])

    async def _acknowledge(self) -> None:
        self.acknowledged += 1

    def _no_kafka(self) -> Any:
        raise OSError("there is no Kafka")


def pairs(items: Sequence[Check]) -> Iterator[Sequence[Check]]:
    for at in range(0, len(items), 2):
        yield items[at : at + 2]


def record(value: bytes, partition: int = 0, offset: int = 0) -> Any:
    return ConsumerRecord("t", partition, offset, 0, 0, None, value, None, -1, len(value), ())


def check(id_: str) -> bytes:
    return msgspec.json.encode(Check(id_, "acme", "t", "http", 0, Verdict.UP, 1.0))


def value(metric: Any) -> float:
    return metric._value.get()


async def test_batch_is_stored_in_its_shares_then_acknowledged_and_poison_is_set_aside() -> None:
    stage = Stage()
    await stage.hand_over(check("a"), b"{", check("b"), check("c"))
    assert stage.stored == [["a", "b"], ["c"]]
    assert stage.acknowledged == 1
    assert stage.letters.alive == 3
    assert [reason.split(":")[0] for reason in stage.letters.dead] == ["undecodable"]
    assert value(stage.dead[DeadReason.UNDECODABLE]) == 1
    assert value(stage.consumer.metrics.records) == 4


async def test_share_that_cannot_be_stored_is_tried_again_alone() -> None:
    stage = Stage([Retryable("away"), Retryable("away")])
    await stage.hand_over(check("a"), check("b"), check("c"))
    assert stage.stored == [["a", "b"], ["c"]]
    assert (stage.acknowledged, value(stage.consumer.metrics.failures)) == (1, 2)


async def test_after_a_bug_nothing_is_acknowledged_any_more_and_the_consumer_ends_with_it() -> None:
    stage = Stage([ZeroDivisionError()])
    await stage.hand_over(check("a"))
    await stage.hand_over(check("b"))
    assert (stage.stored, stage.acknowledged, stage.consumer.ready) == ([], 0, False)
    with pytest.raises(ZeroDivisionError):
        await stage.consumer.run()


async def test_batch_that_ends_the_service_is_named() -> None:
    stage = Stage([ZeroDivisionError("a bug")])
    records = [record(check(id_), *place) for id_, place in {"a": (3, 7), "b": (3, 9), "c": (1, 2)}.items()]
    with capture_logs() as logs:
        await stage.consumer._handle(records, stage._acknowledge)
    [said] = [line for line in logs if line["log_level"] == "error"]
    assert (said["topic"], said["offsets"]) == ("t", {1: "2-2", 3: "7-9"})
    assert said["reason"] == "ZeroDivisionError: a bug"


async def test_batch_that_waits_at_the_stop_is_left_to_the_next_reader_with_all_behind_it() -> None:
    stage = Stage([Retryable("away")] * 1_000)
    waiting = asyncio.create_task(stage.hand_over(check("a")))
    await eventually(lambda: value(stage.consumer.metrics.failures))
    stage.consumer.stop()
    await waiting
    stage.failures.clear()
    await stage.hand_over(check("b"))
    assert (stage.stored, stage.acknowledged) == ([], 0)
    await stage.consumer.run()


@pytest.mark.parametrize("payload", payloads(CHECKS.name), ids=lambda payload: payload.name)
def test_every_message_ever_written_is_read_and_every_bad_one_is_undecodable(payload: Payload) -> None:
    read = decoding.json(Check)
    if payload.good:
        assert read(record(payload.data)).version == 1
        return
    with pytest.raises(InvalidMessage):
        read(record(payload.data))


@pytest.mark.parametrize(
    "unread", [record(b"\xff"), record(b""), record(check("a")[:-1] + b',"version":2}'), stub("t", 0, 7, "no UTF-8")]
)
def test_what_is_no_message_says_why(unread: Any) -> None:
    with pytest.raises(InvalidMessage) as error:
        decoding.json(Check)(unread)
    assert error.value.reason is DeadReason.UNDECODABLE
    assert str(error.value).startswith("undecodable: ")


def test_topics_are_named_and_divided_as_the_settings_say() -> None:
    settings = ReportsSettings(**SERVERS, partitions=3, reports_topic="mine")
    made = {topic.name: topic.partitions for topic in topics.deployed(settings, (SAMPLES, REPORTS, CHECKS, DEAD))}
    assert made == {SAMPLES.name: 3, "mine": 3, CHECKS.name: 3, DEAD.name: 1}


def test_metrics_are_named_after_service_and_topic() -> None:
    names = [metric.name for metric in event_metrics.names("aggregator", REPORTS)]
    assert names == [f"vigie_aggregator_report_{what}" for what in (
        "records_total", "lag_records", "commit_seconds", "failures_total",
    )]  # fmt: skip
