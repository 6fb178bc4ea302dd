"""A stopped consumer leaves no task behind, neither running nor failed."""

import asyncio
import gc
from typing import Any

import pytest
from vigie_runtime import clients
from vigie_runtime.clients import AIOKafkaConsumer, Consumer, KafkaError
from vigie_runtime.settings import Settings

from conftest import MakeTopic
from tests.kit import eventually, unique


async def _failing() -> None:
    raise KeyError((1, "a connection that is gone"))


@pytest.mark.parametrize("error", [None, KafkaError("the fetcher failed")])
async def test_failed_and_forgotten_tasks_are_looked_at(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context["message"]))

    class Part:
        pass

    async def stop(consumer: Any) -> None:
        consumer._coordinator._heartbeat_task = None
        if error is not None:
            raise error

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop)
    consumer: Any = Consumer(bootstrap_servers="127.0.0.1:1")
    consumer._closed = True  # for its destructor
    consumer._coordinator, consumer._fetcher = Part(), Part()
    consumer._coordinator._heartbeat_task = asyncio.create_task(_failing())
    running = consumer._coordinator._coordination_task = asyncio.create_task(asyncio.Event().wait())
    consumer._fetcher._pending_tasks = {asyncio.create_task(_failing())}
    await asyncio.sleep(0)
    if error is None:
        await consumer.stop()
    else:
        with pytest.raises(KafkaError, match="fetcher"):
            await consumer.stop()
    assert running.cancelled()
    del consumer
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []


@pytest.mark.connected
async def test_all_tasks_of_the_client_are_known(settings: Settings, make_topic: MakeTopic) -> None:
    topic = (await make_topic(partitions=2)).topic
    before = asyncio.all_tasks()
    consumer = clients.kafka_consumer(settings, topic, client_id="test", group_id=unique("group"))
    await consumer.start()
    await eventually(lambda: len(consumer.assignment()) == 2, 20)
    await consumer.getmany(timeout_ms=300)
    loops = {task for task in asyncio.all_tasks() - before if "_routine" in str(task) or "_synchronizer" in str(task)}
    assert len(loops) >= 5
    assert loops <= set(consumer._tasks())
    await consumer.stop()
    assert all(task.done() for task in loops)
