"""The bounded queue of a client: the newest of each key, in order, and what was lost is counted."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_push.channels.base import Snapshot, Topic, Update
from vigie_push.errors import Ended
from vigie_push.messages import Dropped, Pong
from vigie_push.subscriber import MAX_ANSWERS, Delivery, Event, Subscriber, Subscription
from vigie_web.close_codes import CloseCode, Closing

from services.push.tests.kit import ACME, Thing, ThingParameters

TOPIC = Topic(ACME, "server", ThingParameters())


def event(key: str, value: int, text: str = "") -> Event:
    return Event(TOPIC, Update(key, str(value), Thing(key=key, value=value, text=text)), 0.0)


def pair(most: int = 1_000, most_bytes: int = 1_000_000) -> tuple[Subscriber, Subscription]:
    subscriber = Subscriber(most, most_bytes)
    subscription = Subscription("1", subscriber, TOPIC)
    subscription.begin(Snapshot(), [], 0.0)
    subscription.overlap = None
    return subscriber, subscription


def values(batch: list[Any]) -> list[tuple[str, int]]:
    return [(one.event.update.key, one.event.update.message.value) for one in batch if isinstance(one, Delivery)]


@given(
    steps=st.lists(st.one_of(st.tuples(st.sampled_from("abcdef"), st.booleans())), max_size=60),
    most=st.integers(min_value=1, max_value=8),
)
def test_whatever_comes_and_however_it_is_read_the_newest_arrive_in_order(
    steps: list[tuple[str, bool]], most: int
) -> None:
    async def run() -> None:
        subscriber, subscription = pair(most)
        taken: list[Any] = []
        newest: dict[str, int] = {}
        for value, (key, read) in enumerate(steps):
            subscription.offer(event(key, value))
            newest[key] = value
            assert len(subscriber) <= most
            if read:
                taken += await subscriber.take()
        if len(subscriber):
            taken += await subscriber.take()
        seen = values(taken)
        order = [value for _, value in seen]
        assert order == sorted(order)  # of each key, and of all
        sequence = [one.seq for one in taken if isinstance(one, Delivery)]
        assert sequence == sorted(set(sequence))
        told = sum(one.count for one in taken if isinstance(one, Dropped))
        assert told == subscriber.dropped
        assert len(seen) + subscriber.dropped + subscriber.conflated == len(steps)
        if len(newest) <= most:  # nothing had to be dropped: the newest of each key has arrived
            assert subscriber.dropped == 0
            assert dict(seen) == newest

    asyncio.run(run())


async def test_who_loses_its_only_message_to_another_subscription_is_told() -> None:
    subscriber, loud = pair(most=5)
    quiet = Subscription("2", subscriber, TOPIC)
    quiet.begin(Snapshot(), [], 0.0)
    quiet.offer(event("a", 0))
    for value in range(5):
        loud.offer(event(f"key {value}", value))
    batch = await subscriber.take()
    assert [one for one in batch if isinstance(one, Dropped)] == [Dropped(subscription="2", count=1)]
    loud.offer(event("a", 6))
    assert not [one for one in await subscriber.take() if isinstance(one, Dropped)], "it is told once"


async def test_a_gap_in_the_sequence_means_that_something_newer_took_its_place() -> None:
    subscriber, subscription = pair()
    for value in range(3):
        subscription.offer(event("a", value))
    subscription.offer(event("b", 3))
    batch = await subscriber.take()
    assert [(one.seq, json.loads(one.text)["value"]) for one in batch if isinstance(one, Delivery)] == [(3, 2), (4, 3)]
    assert subscriber.conflated == 2


async def test_a_message_is_encoded_once_for_all() -> None:
    shared = event("a", 1)
    texts = set()
    for number in range(3):
        subscriber = Subscriber(10, 10_000)
        subscription = Subscription(f"s{number}", subscriber, TOPIC)
        subscription.begin(Snapshot(), [shared], 0.0)
        [delivery] = await subscriber.take()
        assert isinstance(delivery, Delivery)
        texts.add(delivery.text)
        assert json.loads(delivery.text) == {
            "type": "thing", "key": "a", "value": 1, "text": "", "channel": "server", "cursor": "1",
            "subscription": f"s{number}", "seq": 1,
        }  # fmt: skip
    assert len(texts) == 3
    assert all(text.startswith(shared.body) for text in texts)


async def test_bytes_are_bounded_too_and_one_large_message_still_goes() -> None:
    subscriber, subscription = pair(most_bytes=10_000)
    for value in range(10):
        subscription.offer(event(f"k{value}", value, "x" * 3_000))
    batch = await subscriber.take()
    assert values(batch) == [("k7", 7), ("k8", 8), ("k9", 9)]
    assert isinstance(batch[-1], Dropped)
    assert batch[-1].count == 7
    subscription.offer(event("large", 1, "x" * 50_000))
    assert values(await subscriber.take()) == [("large", 1)]


async def test_answers_are_never_dropped_and_hold_up_the_reader() -> None:
    subscriber, subscription = pair(most=2)
    for number in range(MAX_ANSWERS):
        subscriber.tell(Pong(id=number, timestamp=0))
        subscription.offer(event(f"k{number}", number))
    waiting = asyncio.create_task(subscriber.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    batch = await subscriber.take()
    assert len([one for one in batch if isinstance(one, Pong)]) == MAX_ANSWERS
    assert len(values(batch)) == 2
    await waiting


async def test_after_the_end_nothing_is_sent() -> None:
    subscriber, subscription = pair()
    subscription.offer(event("a", 1))
    waiting = Closing(CloseCode.NOT_ALLOWED, "blocked")
    subscriber.close(waiting)
    subscriber.close(Closing(CloseCode.INTERNAL, "later"))
    subscription.offer(event("a", 2))
    subscriber.tell(Pong(timestamp=0))
    with pytest.raises(Ended) as ended:
        await subscriber.take()
    assert ended.value.closing is waiting


async def test_the_end_wakes_who_waits() -> None:
    subscriber, _ = pair()
    waiting = asyncio.create_task(subscriber.take())
    await asyncio.sleep(0)
    subscriber.close(Closing(CloseCode.NOT_ALLOWED, "blocked"))
    with pytest.raises(Ended):
        await waiting


async def test_what_is_held_back_during_a_snapshot_is_bounded() -> None:
    subscriber = Subscriber(5, 1_000_000)
    subscription = Subscription("1", subscriber, TOPIC)
    for value in range(20):
        subscription.offer(event(f"k{value}", value))
    subscription.begin(Snapshot(), [], 0.0)
    batch = await subscriber.take()
    assert [value for _, value in values(batch)] == [15, 16, 17, 18, 19]
    assert isinstance(batch[-1], Dropped)
    assert batch[-1].count == 15
