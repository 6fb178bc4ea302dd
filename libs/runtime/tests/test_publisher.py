"""The publisher over a producer that fails as told: who learns of what, and when."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from vigie_contracts import samples
from vigie_contracts.samples import SampleColumns
from vigie_runtime.bus.publisher import SamplePublisher
from vigie_runtime.errors import BufferFull, BusUnavailable

from tests.kit import eventually


class FakeProducer:
    """Acknowledges at once, unless `held` (never) or `failing` names the partition."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._sender = self
        self.sender_task = None
        self._message_accumulator = self
        self._batches: dict[Any, Any] = {}
        self._pending_batches: set[Any] = set()

    async def start(self) -> None:
        if self.world.away:
            raise KafkaError("nobody there")
        self.world.started += 1

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(4))

    async def stop(self) -> None:
        self.world.stopped += 1

    async def send(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.world.headers = headers
        if partition in self.world.failing:
            future.set_exception(MessageSizeTooLargeError())
        elif partition in self.world.slow:
            self.world.written.append((partition, samples.decode(value)))
            self.world.unanswered.append(future)
        elif partition not in self.world.held:
            self.world.written.append((partition, samples.decode(value)))
            future.set_result(None)
        return future


class World:
    def __init__(self) -> None:
        self.away = False
        self.started = self.stopped = 0
        self.failing: set[int] = set()
        self.held: set[int] = set()
        self.slow: set[int] = set()
        """Written, but acknowledged only by `acknowledge`."""
        self.unanswered: list[asyncio.Future[None]] = []
        self.written: list[tuple[int, Any]] = []
        self.headers: list[tuple[str, bytes]] = []

    def acknowledge(self) -> None:
        for future in self.unanswered:
            future.set_result(None)
        self.unanswered.clear()

    def values(self) -> list[float]:
        return sorted(value for _, batch in self.written for value in batch.values.tolist())


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def make(world: World):
    made: list[SamplePublisher] = []

    async def start(**options: Any) -> SamplePublisher:
        publisher = SamplePublisher(
            lambda: FakeProducer(world), "t", 4, **{"source": "/vigie/test", "linger_ms": 1.0, **options}
        )  # type: ignore[arg-type]
        await publisher.start()
        made.append(publisher)
        return publisher

    yield start
    for publisher in made:
        await publisher.close(0.2)


async def test_callers_of_a_few_milliseconds_share_records(make: Any, world: World) -> None:
    publisher = await make()
    await asyncio.gather(*(publisher.publish(SampleColumns([i % 8], [i], [float(i)])) for i in range(100)))
    assert world.values() == [float(i) for i in range(100)]
    assert len(world.written) == 4
    assert publisher.held == 0


async def test_what_comes_while_a_small_flush_is_under_way_is_sent_as_one(make: Any, world: World) -> None:
    publisher = await make(linger_ms=0.0)
    world.slow = {1}
    first = asyncio.create_task(publisher.publish(SampleColumns([1], [0], [0.0])))
    await eventually(lambda: len(world.written) == 1)
    later = []
    for i in range(1, 20):
        later.append(asyncio.create_task(publisher.publish(SampleColumns([1], [i], [float(i)]))))
        await asyncio.sleep(0.001)  # callers that come one after the other, not in one turn
    assert world.values() == [0.0]
    world.acknowledge()
    await eventually(lambda: len(world.written) == 2)
    assert world.values() == [float(i) for i in range(20)]
    world.acknowledge()
    await asyncio.gather(first, *later)


async def test_a_gathering_that_grew_large_does_not_wait_for_the_flush_before_it(make: Any, world: World) -> None:
    publisher = await make(linger_ms=0.0)
    world.slow = {1}
    first = asyncio.create_task(publisher.publish(SampleColumns([1], [0], [0.0])))
    await eventually(lambda: len(world.written) == 1)
    n = 3_000
    half = asyncio.create_task(publisher.publish(SampleColumns([1] * n, [1] * n, [1.0] * n)))
    await asyncio.sleep(0.05)  # time enough for a second send, if it were made
    assert len(world.written) == 1
    other_half = asyncio.create_task(publisher.publish(SampleColumns([1] * n, [1] * n, [1.0] * n)))
    await eventually(lambda: len(world.written) == 2)
    world.acknowledge()
    await asyncio.gather(first, half, other_half)


async def test_a_crowd_that_is_complete_again_does_not_linger(make: Any, world: World) -> None:
    publisher = await make(linger_ms=1.0)
    await asyncio.gather(*(publisher.publish(SampleColumns([1], [i], [float(i)])) for i in range(16)))
    publisher._linger_s = 3_600.0  # from here on only the crowd ends the lingering
    async with asyncio.timeout(10):
        await asyncio.gather(*(publisher.publish(SampleColumns([1], [i], [float(i)])) for i in range(16)))
    assert len(world.written) == 2


async def test_a_failed_record_fails_only_its_callers(make: Any, world: World) -> None:
    publisher = await make()
    world.failing = {1}
    answers = await asyncio.gather(
        publisher.publish(SampleColumns([0, 2], [1, 1], [1.0, 2.0])),
        publisher.publish(SampleColumns([0, 1], [1, 1], [3.0, 4.0])),
        publisher.publish(SampleColumns([3], [1], [5.0])),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), BusUnavailable, type(None)]
    world.failing = set()
    await publisher.publish(SampleColumns([1], [1], [6.0]))
    assert world.started == 2, "the producer whose batch failed was used again"


async def test_a_full_buffer_refuses_at_once_and_takes_nothing(make: Any, world: World) -> None:
    world.held = {0, 1, 2, 3}
    publisher = await make(max_buffered_samples=10)
    waiting = asyncio.create_task(publisher.publish(SampleColumns([0] * 8, [1] * 8, [1.0] * 8)))
    await asyncio.sleep(0)
    with pytest.raises(BufferFull):
        await publisher.publish(SampleColumns([0] * 3, [1] * 3, [1.0] * 3))
    assert publisher.held == 8
    waiting.cancel()


async def test_without_kafka_callers_get_an_answer_after_the_delivery_time_out(make: Any, world: World) -> None:
    world.away = True
    publisher = await make(delivery_timeout_s=0.2)
    with pytest.raises(BusUnavailable):
        await publisher.publish(SampleColumns([1], [1], [1.0]))
    assert not publisher.ready
    assert publisher.held == 0
    world.away = False
    for _ in range(50):  # callers try again
        try:
            await publisher.publish(SampleColumns([1], [1], [2.0]))
            break
        except BusUnavailable:
            continue
    assert world.values() == [2.0]


async def test_an_expired_record_replaces_the_producer(make: Any, world: World) -> None:
    publisher = await make(delivery_timeout_s=0.2)
    world.held = {2}
    answers = await asyncio.gather(
        publisher.publish(SampleColumns([1], [1], [1.0])),
        publisher.publish(SampleColumns([2], [1], [2.0])),
        return_exceptions=True,
    )
    assert answers[0] is None
    assert isinstance(answers[1], BusUnavailable)
    world.held = set()
    await publisher.publish(SampleColumns([2], [1], [3.0]))
    assert world.started == 2


async def test_a_caller_that_gave_up_does_not_disturb_the_others(make: Any, world: World) -> None:
    publisher = await make(linger_ms=20.0)
    gone = asyncio.create_task(publisher.publish(SampleColumns([1], [1], [1.0])))
    stays = asyncio.create_task(publisher.publish(SampleColumns([2], [1], [2.0])))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert world.values() == [1.0, 2.0]
    assert publisher.held == 0


async def test_columns_that_do_not_fit_harm_nobody(make: Any, world: World) -> None:
    publisher = await make()
    with pytest.raises(ValueError, match="columns differ"):
        await publisher.publish(SampleColumns([1, 2], [1], [1.0]))
    await publisher.publish(SampleColumns([1], [1], [1.0]))
    assert world.values() == [1.0]


async def test_close_sends_what_waits_and_refuses_more(make: Any, world: World) -> None:
    publisher = await make(linger_ms=10_000.0)
    waiting = asyncio.create_task(publisher.publish(SampleColumns([1], [1], [1.0])))
    await asyncio.sleep(0.05)  # a publish that did not wait for its linger would be done by now
    await publisher.close()
    await waiting
    with pytest.raises(BusUnavailable):
        await publisher.publish(SampleColumns([1], [1], [2.0]))
    assert world.values() == [1.0]


async def test_records_carry_cloudevent_headers(make: Any, world: World) -> None:
    publisher = await make()
    await publisher.publish(SampleColumns([1], [1], [1.0]))
    headers = dict(world.headers)
    assert headers["ce_type"] == b"t"
    assert headers["ce_source"] == b"/vigie/test"
    assert headers["ce_id"]
