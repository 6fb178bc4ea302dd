"""The hub: topics open with their first subscriber and close with their last, and nobody misses anything."""

import asyncio
from typing import Any

import pytest
from vigie_push import hub as hub_module
from vigie_push.channels.base import Topic
from vigie_push.errors import SubscriptionOver, TooManyTopics
from vigie_push.messages import Degraded, Restored
from vigie_push.subscriber import Delivery, Subscriber, Subscription
from vigie_runtime.errors import StoreUnavailable

from services.push.tests.kit import ACME, RIVAL, SOURCE, ThingParameters, Things, hub_with
from tests.kit import eventually


def topic(thing: str = "", tenant: Any = ACME) -> Topic[Any]:
    return Topic(tenant, "server", ThingParameters(thing_id=thing))


async def values(subscriber: Subscriber) -> list[int]:
    return [one.event.update.message.value for one in await subscriber.take() if isinstance(one, Delivery)]  # type: ignore[attr-defined]


async def settled(things: Things, closed: int) -> None:
    await eventually(lambda: len(things.closed) == closed)


async def test_a_topic_is_opened_once_and_closed_after_the_last() -> None:
    things = Things()
    hub, source = hub_with(things)
    subscriptions = await asyncio.gather(
        *(hub.attach(Subscriber(10, 10_000), str(number), topic()) for number in range(5))
    )
    assert (things.opened, source.followed) == (1, [ACME])
    other = await hub.attach(Subscriber(10, 10_000), "x", topic("2"))
    assert (things.opened, source.followed) == (2, [ACME])
    for subscription in subscriptions:
        hub.detach(subscription)
        hub.detach(subscription)
    await settled(things, 1)
    assert hub.topics == 1
    assert source.followed == [ACME]
    hub.detach(other)
    await settled(things, 2)
    await eventually(lambda: (hub.topics, source.followed) == (0, []))
    await hub.close()


async def test_a_topic_that_cannot_be_opened_leaves_nothing_behind() -> None:
    things = Things()
    hub, source = hub_with(things)

    async def broken(_topic: Any) -> Any:
        raise StoreUnavailable

    things.open = broken  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await hub.attach(Subscriber(10, 10_000), "1", topic())
    await eventually(lambda: not source.followed and not hub.topics)
    await hub.close()


async def test_who_goes_while_a_topic_opens_leaves_nothing_behind() -> None:
    things = Things()
    hub, source = hub_with(things)
    opening, opened = asyncio.Event(), asyncio.Event()
    really = things.open

    async def slowly(topic_: Any) -> Any:
        opening.set()
        await opened.wait()
        return await really(topic_)

    things.open = slowly  # type: ignore[method-assign]
    attaching = asyncio.create_task(hub.attach(Subscriber(10, 10_000), "1", topic()))
    await opening.wait()
    attaching.cancel()
    await asyncio.wait([attaching])
    opened.set()
    await settled(things, 1)
    await eventually(lambda: not source.followed)
    assert not hub._listening
    assert not hub._followed
    await hub.close()


async def test_the_topics_of_a_tenant_are_bounded() -> None:
    """Each costs memory, and time with every record: also those of one user's many connections."""
    things = Things()
    hub, _ = hub_with(things, tenant_topics=2)
    first, second, again = [await hub.attach(Subscriber(10, 10_000), "1", topic(thing)) for thing in ("1", "2", "2")]
    with pytest.raises(TooManyTopics):
        await hub.attach(Subscriber(10, 10_000), "1", topic("3"))
    theirs = await hub.attach(Subscriber(10, 10_000), "1", topic("3", RIVAL))
    hub.detach(first)
    third = await hub.attach(Subscriber(10, 10_000), "1", topic("3"))
    for subscription in (second, again, third, theirs):
        hub.detach(subscription)
    assert not hub._of_tenants
    await hub.close()


async def test_thousands_who_come_back_at_once_cost_few_snapshots() -> None:
    things = Things(stands={"a": 1})
    hub, _ = hub_with(things)
    subscribers = [Subscriber(10, 10_000) for _ in range(3_000)]
    subscriptions = [await hub.attach(one, "1", topic()) for one in subscribers]
    things.gate.clear()
    beginning = asyncio.gather(*(hub.begin(one) for one in subscriptions))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    hub.publish(SOURCE, ACME, ("a", 2))
    things.gate.set()
    await beginning
    assert things.snapshots <= 2
    for subscriber in subscribers:
        assert await values(subscriber) == [2]  # conflated: the snapshot's 1 waited for nobody
    await hub.close()


async def test_a_store_that_does_not_answer_at_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigie_push.snapshots.PAUSES_S", (0.0, 0.0))
    things = Things(stands={"a": 1}, failure=StoreUnavailable())
    hub, _ = hub_with(things)
    subscriber = Subscriber(10, 10_000)
    subscription = await hub.attach(subscriber, "1", topic())
    with pytest.raises(StoreUnavailable):
        await hub.begin(subscription)
    assert things.snapshots == 3
    beginning = asyncio.create_task(hub.begin(subscription))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    things.failure = None
    await beginning
    assert await values(subscriber) == [1]
    await hub.close()


async def test_a_snapshot_is_not_shared_with_who_comes_after_it_was_begun() -> None:
    things = Things(stands={"a": 1})
    hub, _ = hub_with(things)
    early, late = Subscriber(10, 10_000), Subscriber(10, 10_000)
    first = await hub.attach(early, "1", topic())
    things.gate.clear()
    beginning = [asyncio.create_task(hub.begin(first))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    hub.publish(SOURCE, ACME, ("a", 5))  # before the second is there
    second = await hub.attach(late, "1", topic())
    things.stands = {"a": 5}
    beginning.append(asyncio.create_task(hub.begin(second)))
    await asyncio.sleep(0)
    things.gate.set()
    await asyncio.gather(*beginning)
    assert things.snapshots == 2
    assert (await values(early))[-1] == 5
    assert await values(late) == [5]
    await hub.close()


async def test_who_ends_a_subscription_that_begins_does_not_end_who_waits_for_it() -> None:
    """The last one closes the topic, and with it the snapshot that is being made."""
    things = Things(stands={"a": 1})
    hub, _ = hub_with(things)
    things.gate.clear()
    subscription = await hub.attach(Subscriber(10, 10_000), "1", topic())
    beginning = asyncio.create_task(hub.begin(subscription))
    await asyncio.sleep(0)
    hub.detach(subscription)
    with pytest.raises(SubscriptionOver):
        await beginning
    things.gate.set()
    await settled(things, 1)
    with pytest.raises(SubscriptionOver):
        await hub.begin(subscription)
    await hub.close()


async def test_nothing_comes_of_a_subscription_that_ended_while_it_began() -> None:
    things = Things(stands={"a": 1})
    hub, _ = hub_with(things)
    stays = await hub.attach(Subscriber(10, 10_000), "1", topic())
    things.gate.clear()
    subscriber = Subscriber(10, 10_000)
    subscription = await hub.attach(subscriber, "1", topic())
    beginning = asyncio.create_task(hub.begin(subscription))
    await asyncio.sleep(0)
    hub.detach(subscription)
    things.gate.set()
    with pytest.raises(SubscriptionOver):
        await beginning
    assert not len(subscriber)
    hub.detach(stays)
    await hub.close()


async def test_a_bug_in_a_channel_harms_only_its_record() -> None:
    things = Things()
    hub, _ = hub_with(things)
    subscriber = Subscriber(10, 10_000)
    subscription = await hub.attach(subscriber, "1", topic())
    await hub.begin(subscription)
    hub.publish(SOURCE, ACME, ("not", "a", "record", "at all"))
    hub.publish(SOURCE, ACME, ("a", 1))
    assert await values(subscriber) == [1]
    await hub.close()


async def test_a_message_that_cannot_be_written_harms_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "RECONCILE_S", 0.01)
    things = Things()
    hub, _ = hub_with(things)
    subscriber = Subscriber(10, 10_000)
    await hub.begin(await hub.attach(subscriber, "1", topic()))
    hub.publish(SOURCE, ACME, ("\ud800", 1))
    hub.publish(SOURCE, ACME, ("a", 1))
    assert await values(subscriber) == [1]
    things.stands = {"\ud800": 1}
    await eventually(lambda: things.polls > 1)  # by the one task that polls all topics
    things.stands = {"a": 2}
    assert (await values(subscriber))[0] == 2
    await hub.close()


async def test_who_subscribes_while_a_source_is_away_is_told_and_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigie_push.hub.POLL_S", 0.01)
    things = Things(stands={"a": 1})
    hub, _ = hub_with(things)
    hub.degraded(SOURCE)
    hub.degraded(SOURCE)
    subscriber = Subscriber(10, 10_000)
    subscription = await hub.attach(subscriber, "1", topic())
    await hub.begin(subscription)
    first = await subscriber.take()
    assert any(isinstance(one, Degraded) for one in first)
    things.stands = {"a": 7}
    async with asyncio.timeout(5):
        while 7 not in await values(subscriber):
            pass
    hub.restored(SOURCE)
    async with asyncio.timeout(5):
        while not any(isinstance(one, Restored) for one in await subscriber.take()):
            pass
    await hub.close()


async def test_updates_reach_those_of_the_tenant_only() -> None:
    things = Things()
    hub, source = hub_with(things)
    mine, theirs = Subscriber(10, 10_000), Subscriber(10, 10_000)
    for subscriber, tenant in ((mine, ACME), (theirs, RIVAL)):
        subscription: Subscription = await hub.attach(subscriber, "1", topic(tenant=tenant))
        await hub.begin(subscription)
    assert sorted(source.followed) == [ACME, RIVAL]
    hub.publish(SOURCE, ACME, ("a", 1))
    assert await values(mine) == [1]
    assert len(theirs) == 0
    await hub.close()


async def test_a_topic_is_polled_now_and_then_for_what_its_source_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "RECONCILE_S", 0.01)
    things = Things()
    hub, _ = hub_with(things)
    subscriber = Subscriber(10, 10_000)
    subscription = await hub.attach(subscriber, "1", topic())
    await hub.begin(subscription)
    things.stands, things.polled = {"a": 3}, 2
    async with asyncio.timeout(5):
        assert (await values(subscriber))[0] == 3
    await hub.close()
