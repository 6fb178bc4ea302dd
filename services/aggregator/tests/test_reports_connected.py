"""Reports through the real Kafka into the real MongoDB: whatever happens on the way, each one counts once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError
from vigie_aggregator.reports.consumer import MAX_SHARE_BYTES
from vigie_aggregator.reports.reading import Incoming, read
from vigie_contracts.days import to_datetime
from vigie_contracts.reports import Report
from vigie_contracts.topics import DEAD
from vigie_runtime import clients
from vigie_runtime.bus.batch_reader import MAX_RECORDS
from vigie_runtime.bus.dead_letters import Limit
from vigie_runtime.bus.poison_skipping import PoisonSkippingConsumer
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import DeadReason, Retryable, TooManyDeadLetters
from vigie_storage.partitions.owners import Owners

from services.aggregator.tests.report_stage import (
    CHANGE_MS,
    HOUR_MS,
    PARTITIONS,
    ZONES,
    Stage,
    put_unreadable,
    record,
    reports,
    value,
)
from tests.chaos import stored
from tests.integration import bus
from tests.kit import Process, Spawner, eventually, free_port, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]


class Forgets:
    """A store as far as partitions go."""

    async def prepare(self) -> None:
        pass

    def forget_partitions(self) -> None:
        pass


async def test_repeated_and_unordered_reports_count_once_also_on_the_day_clocks_change(stage: Stage) -> None:
    some = reports(400)
    await stage.send(some[:250])
    async with stage.reading() as (consumer, metrics):
        await eventually(lambda: consumer.ready)
        await stage.send(random.Random(2).sample(some, 400))  # those of before are among them
        await stage.send(some[100:300])
        await stage.exact()
        await eventually(lambda: value(metrics.reports) + value(metrics.repeated) == 850)
        assert value(metrics.reports) == 400


async def test_reports_of_hosts_are_kept_as_long_as_their_tenant_says_and_the_newest_is_at_hand(stage: Stage) -> None:
    def said(id_: str, host: str, at: int) -> Report:
        agent = {"instance": "01234567", "version": "1"}
        return Report(id_, "acme", "host", host, at, {"host": host, "timestamp": at, "interval": 30, "agent": agent})

    await stage.db.monitoring_config.insert_one(
        {
            "_id": "acme/web-2", "tenant": "acme", "host": "web-2", "version": 1, "changed": None, "by": "",
            "value": {"retentionHours": 2},
        }
    )  # fmt: skip
    now = int(time.time() * 1000)
    sent = [said("a", "web-1", now), said("b", "web-1", now - 60_000), said("c", "web-2", now), said("a", "web-1", now)]
    await stage.send(sent)
    async with stage.reading() as (_, metrics):
        await eventually(lambda: value(metrics.reports) + value(metrics.repeated) == 4)
        assert value(metrics.reports) == 3
        await stage.send([said("d", "web-1", now - 30_000)])  # late: the newest stays
        await eventually(lambda: value(metrics.reports) == 4)
    stored = {one["_id"]: one async for one in stage.db.host_reports.find()}
    life = {id_: (one["expires"] - one["at"]).total_seconds() / 3600 for id_, one in stored.items()}
    assert life == {"a": 24, "b": 24, "c": 2, "d": 24}
    latest = {one["_id"]: (one["report"], one["body"]["timestamp"]) async for one in stage.db.host_latest.find()}
    assert latest == {"acme/web-1": ("a", now), "acme/web-2": ("c", now)}
    assert await stage.db.reports.count_documents({}) == 0


async def test_reports_of_other_kinds_are_kept_and_not_counted(stage: Stage) -> None:
    await stage.send([Report("h1", "acme", "thing", "web-1", CHANGE_MS, {"load": [0.5, {"$inc": 1}], "": None})])
    async with stage.reading():
        await stage.exact()
    kept = await stage.db.reports.find_one({"_id": "h1"})
    assert (kept["kind"], kept["subject"], kept["at"]) == ("thing", "web-1", to_datetime(CHANGE_MS))
    assert kept["received"] > to_datetime(CHANGE_MS - 400 * 24 * HOUR_MS)


async def test_owners_that_store_the_same_at_the_same_time_count_it_once(stage: Stage) -> None:
    """Members that were thought dead wake up and go on with what another one has taken over."""
    some = reports(120, tenants=2)
    stage.partitions = dict.fromkeys((report.tenant for report in some), 0)
    stage.sent = some
    incoming = [read(record(report)) for report in some]

    async def owner(seed: int) -> int:
        chance = random.Random(seed)
        store = stage.store()
        starts = chance.sample(range(0, 120, 10), 12)
        new = 0
        while starts:
            try:
                new += await store.store(incoming[starts[-1] : starts[-1] + 10])
                starts.pop()
            except Retryable:
                await asyncio.sleep(chance.uniform(0, 0.05))
        return new

    assert sum(await asyncio.gather(*map(owner, range(4)))) == 120
    await stage.exact()


async def test_transaction_that_a_killed_owner_left_open_holds_nobody_up(stage: Stage) -> None:
    some = reports(20)
    await stage.send(some)
    dead = stage.db.client.start_session()
    owners = Owners(stage.db, stage.topic, SystemClock())
    for partition in range(PARTITIONS):
        await owners.take_over(partition, dead)
    await dead.start_transaction()
    await stage.db.reports.insert_many([{"_id": report.id} for report in some], session=dead)
    async with stage.reading():
        await stage.exact(20)  # MongoDB itself would end it after a minute


async def test_members_that_come_and_go_count_every_report_once(stage: Stage) -> None:
    some = reports(900)
    async with stage.reading() as (first, _):
        await stage.send(some[:300])
        await eventually(lambda: first.ready)
        async with stage.reading() as (second, _):
            await stage.send(some[300:600])
            await eventually(lambda: first.ready and second.ready)
            await stage.send(some[:100])
        await stage.send(some[600:])
        await stage.exact()


async def test_batch_that_was_stored_and_not_acknowledged_is_read_again_and_counts_once(stage: Stage) -> None:
    real = stage.store()

    class Dies(Forgets):
        async def store(self, batch: Sequence[Incoming]) -> int:
            await real.store(batch)
            raise ZeroDivisionError("the process ends between the write and the acknowledgement")

    await stage.send(reports(50))
    dying, _ = stage.consumer(Dies())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(dying.run(), 60)
    assert not dying.ready
    assert await stage.db.reports.count_documents({}) > 0
    async with stage.reading() as (_, metrics):
        await stage.exact()
        await eventually(lambda: value(metrics.reports) + value(metrics.repeated) == 50)
        assert value(metrics.repeated) > 0


async def test_acknowledgement_that_fails_does_no_harm(stage: Stage) -> None:
    class Forgetful(PoisonSkippingConsumer):
        async def commit(self, offsets: Any = None) -> None:
            raise CommitFailedError("somebody else owns the partitions")

    await stage.send(reports(40))
    async with stage.reading(kind=Forgetful):
        await stage.exact()
        await stage.send(reports(40, seed=2))
        await stage.exact()
    async with stage.reading() as (_, metrics):
        await eventually(lambda: value(metrics.repeated) == 80)
    await stage.exact()


async def test_poison_is_set_aside_and_its_neighbours_are_stored(stage: Stage) -> None:
    before = await stored.ends(stage.settings.kafka_bootstrap_servers, DEAD.name)
    some = reports(30)
    await stage.send(some[:10])
    bad_header = [("x", b"\xff\xfe"), ("reply_to", b"elsewhere")]
    for partition in range(PARTITIONS):
        await stage.producer.send_and_wait(stage.topic, b"{", partition=partition, headers=bad_header)
        await put_unreadable(stage, partition)
    await stage.send(some[10:])
    async with stage.reading() as (_, metrics):
        await stage.exact()
        await eventually(lambda: value(metrics.dead[DeadReason.UNDECODABLE]) == 2 * PARTITIONS)
    letters = [
        dict(record.headers)
        for record in await bus.records(stage.settings.kafka_bootstrap_servers, DEAD.name, before)
        if ("vigie_topic", stage.topic.encode()) in record.headers
    ]
    places = sorted((letter["vigie_partition"], letter["vigie_reason"][:11]) for letter in letters)
    assert places == sorted((str(p).encode(), b"undecodable") for p in range(PARTITIONS) for _ in range(2))
    async with stage.reading() as (_, again):
        await stage.send(reports(5, seed=9))
        await stage.exact()
        assert value(again.dead[DeadReason.UNDECODABLE]) == 0, "the poison was acknowledged"


async def test_reader_that_understands_next_to_nothing_stops_loudly_and_loses_nothing(stage: Stage) -> None:
    for n in range(30):
        await stage.producer.send_and_wait(stage.topic, b"from the future", partition=n % PARTITIONS)
    consumer, _ = stage.consumer(dead=stage.dead_letters(Limit(least=5)))
    with pytest.raises(TooManyDeadLetters):
        await asyncio.wait_for(consumer.run(), 60)
    async with stage.reading(dead=stage.dead_letters(Limit(least=1_000))) as (_, metrics):
        await eventually(lambda: value(metrics.dead[DeadReason.UNDECODABLE]) == 30)


async def test_reports_wait_while_mongodb_is_away_and_are_stored_when_it_is_back(
    stage: Stage, mongo_client: clients.MongoClient
) -> None:
    async with stage.reading() as (consumer, _):
        await eventually(lambda: consumer.ready)
        data = {"failCommands": ["find", "insert", "commitTransaction"], "errorCode": 91, "appName": "vigie"}
        try:
            fail = {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data}
            await mongo_client.admin.command(fail)
            await stage.send(reports(60))
            await eventually(lambda: not consumer.ready)
            await eventually(lambda: value(consumer.metrics.lag) > 0)
        finally:
            await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        await stage.exact()
        await eventually(lambda: consumer.ready and not value(consumer.metrics.lag))


async def test_commit_whose_outcome_nobody_knows_counts_once(stage: Stage, mongo_client: clients.MongoClient) -> None:
    """The transaction is committed, and its answer is lost."""
    data = {
        "failCommands": ["commitTransaction"],
        "writeConcernError": {"code": 64, "errmsg": "waiting timed out"},
        "appName": "vigie",
    }
    try:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 3}, "data": data})
        await stage.send(reports(40))
        async with stage.reading() as (consumer, _):
            await stage.exact()
            await eventually(lambda: value(consumer.metrics.failures) > 0)
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    await stage.exact()


async def test_stop_leaves_a_batch_that_cannot_be_stored_to_the_next_reader(stage: Stage) -> None:
    class Away(Forgets):
        calls = 0

        async def store(self, batch: Sequence[Incoming]) -> int:
            self.calls += 1
            raise Retryable("away")

    await stage.send(reports(10))
    away = Away()
    begun = time.monotonic()
    async with stage.reading(away):
        await eventually(lambda: away.calls > 1)
        begun = time.monotonic()
    assert time.monotonic() - begun < 8, "the stop waited for MongoDB"
    async with stage.reading():
        await stage.exact()


async def test_stop_while_the_store_refuses_loses_nothing_of_the_batches_behind(stage: Stage) -> None:
    """The stop comes as a batch is refused, with more batches to come and a store that takes them."""
    real = stage.store()

    class Conflict(Forgets):
        calls = 0

        async def store(self, batch: Sequence[Incoming]) -> int:
            self.calls += 1
            if self.calls == 1:
                consumer.stop()
                raise Retryable("write conflict")
            return await real.store(batch)

    await stage.send(reports(3 * MAX_RECORDS))
    consumer, _ = stage.consumer(Conflict())
    await asyncio.wait_for(consumer.run(), 60)
    async with stage.reading():
        await stage.exact()


async def test_batch_of_many_bytes_is_stored_in_several_transactions(stage: Stage) -> None:
    """Zeros take two bytes each as JSON, and about ten as MongoDB keeps them."""
    numbers = {"uptime": 1, "activeUsers": 1, "exercisesCompletedToday": 1}
    large = {**numbers, "additionalData": {"x": [0] * 30_000}}
    await stage.send([Report(f"big-{n}", f"t{n % 7}", "node", "node", CHANGE_MS + n, large) for n in range(150)])
    real = stage.store()
    transactions: list[int] = []

    class Watched(Forgets):
        async def store(self, batch: Sequence[Incoming]) -> int:
            transactions.append(sum(len(report.document.raw) for report in batch))
            return await real.store(batch)

    async with stage.reading(Watched()):
        await stage.exact()
    assert sum(transactions) > 4 * MAX_SHARE_BYTES
    assert max(transactions) <= MAX_SHARE_BYTES
    async with stage.reading() as (consumer, metrics):
        await stage.send(reports(5))
        await stage.exact()
        assert consumer.ready
        assert value(metrics.repeated) == 0, "every batch was acknowledged"


async def test_retention_of_reports_may_change(stage: Stage) -> None:
    async def kept() -> float:
        indexes = await stage.db.reports.index_information()
        return indexes["at_1"]["expireAfterSeconds"] / 86_400

    assert await kept() == 90 + 7, "as long as its record may be read again"
    await stage.store(days=30).prepare()
    assert await kept() == 30 + 7
    assert (await stage.db.telemetry_hours.index_information())["hour_1"]["expireAfterSeconds"] == 400 * 86_400


@pytest.mark.fault
async def test_aggregators_that_are_killed_count_every_report_once(
    stage: Stage, spawn: Spawner, redis_url: str
) -> None:
    some = reports(3_000, tenants=40)

    def aggregator() -> Process:
        port = free_port()
        return spawn.module(
            "vigie_aggregator",
            env={
                "KAFKA_BOOTSTRAP_SERVERS": stage.settings.kafka_bootstrap_servers,
                "MONGODB_URI": stage.settings.mongodb_uri,
                "REDIS_URL": redis_url,
                "VIGIE_MONGODB_DATABASE": stage.db.name,
                "VIGIE_SAMPLES_TOPIC": f"{stage.topic}-samples",
                "VIGIE_REPORTS_TOPIC": stage.topic,
                "VIGIE_CHECKS_TOPIC": f"{stage.topic}-checks",
                "VIGIE_COMMANDS_TOPIC": f"{stage.topic}-commands",
                "VIGIE_AGGREGATOR_GROUP": stage.group,
                "VIGIE_AGGREGATOR_PORT": str(port),
                "VIGIE_PARTITIONS": str(PARTITIONS),
                "VIGIE_KAFKA_SESSION_TIMEOUT_MS": "3000",
                "VIGIE_TELEMETRY_TIMEZONES": ",".join(ZONES),
            },
            ready=http_ready(f"http://127.0.0.1:{port}/health/ready"),
        )

    running = await asyncio.to_thread(aggregator)
    sending = asyncio.create_task(_trickle(stage, some))
    for share in (300, 1_000):
        await eventually(_stored(stage, share), 60)
        running.kill()
        running = await asyncio.to_thread(aggregator)
    await sending
    await stage.exact()
    await asyncio.to_thread(running.stop)
    assert running.returncode == 0


async def _trickle(stage: Stage, some: list[Report]) -> None:
    for start in range(0, len(some), 25):
        await stage.send(some[start : start + 25])
        await asyncio.sleep(0.05)


def _stored(stage: Stage, count: int) -> Callable[[], Any]:
    async def enough() -> bool:
        return await stage.db.reports.count_documents({}) >= count

    return enough
