"""The hub: which topics are open, who is subscribed to them, and how what is new reaches them.

It knows nothing of transports (they take out of a `Subscriber`), of drivers (sources tell it what comes) and of the
shape of messages (feeds make them).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_runtime import logging, tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError

from vigie_push.channels.base import Channel, Cursor, Feed, Topic, Update
from vigie_push.errors import SubscriptionOver, TooManyTopics
from vigie_push.messages import Answer, Degraded, Restored
from vigie_push.metrics import PushMetrics
from vigie_push.snapshots import Snapshots
from vigie_push.sources.base import Source
from vigie_push.subscriber import Event, Subscriber, Subscription

log = logging.get(__name__)

OVERLAP_S: Final = 30.0
"""So long after a snapshot live updates are compared with it: a source may be that late."""
POLL_S: Final = 3.0
"""Between two polls of a topic whose source is away."""
RECONCILE_S: Final = 15.0
"""Between two polls of a topic whose sources are there: who publishes may have lost them. Less than OVERLAP_S."""
CONCURRENT_READS: Final = 16
"""Snapshots and polls at a time."""


class _Open:
    """A topic with its subscribers. `users` counts those, and who is about to be one."""

    __slots__ = ("feed", "followed", "ready", "snapshots", "sources", "subscriptions", "topic", "users")

    def __init__(self, topic: Topic[Any], sources: Sequence[str]) -> None:
        self.topic, self.sources = topic, sources
        self.users = 0
        self.followed: list[str] = []
        """The sources that were asked to follow the tenant for it."""
        self.subscriptions: dict[Subscription, None] = {}
        self.ready: asyncio.Task[None] | None = None
        self.feed: Feed | None = None
        self.snapshots: Snapshots | None = None


class _Followed:
    """How many open topics of a tenant listen to a source."""

    __slots__ = ("count", "followed", "lock")

    def __init__(self) -> None:
        self.count, self.followed, self.lock = 0, False, asyncio.Lock()


@dataclass(frozen=True, slots=True)
class Census:
    """Who of a tenant listens to what."""

    clients: int
    topics: int
    channels: dict[str, int]
    """Subscriptions by channel."""


class Hub:
    """One per process. For one event loop."""

    def __init__(
        self,
        channels: Mapping[str, Channel[Any]],
        clock: Clock,
        metrics: PushMetrics,
        tenant_topics: int = 1_000,
    ) -> None:
        """`tenant_topics`: how many of one tenant may be open."""
        self.channels, self._tenant_topics = channels, tenant_topics
        self._clock, self._metrics = clock, metrics
        self._sources: dict[str, Source] = {}
        self._topics: dict[Topic[Any], _Open] = {}
        self._of_tenants: Counter[TenantId] = Counter()
        self._listening: dict[tuple[str, TenantId], dict[_Open, None]] = {}
        self._followed: dict[tuple[str, TenantId], _Followed] = {}
        self._away: set[str] = set()
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._reconciling: asyncio.Task[None] | None = None
        self._ends: set[asyncio.Task[None]] = set()
        self._reads = asyncio.Semaphore(CONCURRENT_READS)

    def add_source(self, source: Source) -> None:
        """Before the first subscription."""
        self._sources[source.name] = source

    @property
    def topics(self) -> int:
        """How many are open."""
        return len(self._topics)

    def census(self, tenant: TenantId) -> Census:
        """What is open now."""
        mine = [(topic, open_) for topic, open_ in self._topics.items() if topic.tenant == tenant]
        channels: Counter[str] = Counter()
        for topic, open_ in mine:
            channels[topic.channel] += len(open_.subscriptions)
        clients = {id(one.subscriber) for _, open_ in mine for one in open_.subscriptions}
        return Census(len(clients), len(mine), dict(sorted(channels.items())))

    async def attach(self, subscriber: Subscriber, id: str, topic: Topic[Any]) -> Subscription:  # noqa: A002
        """Subscribe. What comes from now on is held back until `begin`. Raises ProblemError when the topic cannot be
        opened."""
        if self._reconciling is None:
            self._reconciling = asyncio.create_task(self._reconcile(), name="reconciling")
        open_ = self._topics.get(topic)
        if open_ is None:
            if self._of_tenants[topic.tenant] >= self._tenant_topics:
                raise TooManyTopics(self._tenant_topics, "topics")
            self._of_tenants[topic.tenant] += 1
            open_ = self._topics[topic] = _Open(topic, self.channels[topic.channel].sources)
            open_.ready = asyncio.create_task(self._open(open_), name="topic")
            open_.ready.add_done_callback(tasks.retrieve)
        open_.users += 1
        try:
            assert open_.ready is not None  # noqa: S101 - set where it is made
            await asyncio.shield(open_.ready)
        except BaseException:
            self._leave(open_)
            raise
        subscription = Subscription(id, subscriber, topic)
        open_.subscriptions[subscription] = None
        return subscription

    async def begin(self, subscription: Subscription, after: Cursor | None = None) -> None:
        """Send what stands, or what came since the cursor, and from then on everything new. Raises ProblemError when
        that cannot be read, or the subscription was detached meanwhile: then `detach`."""
        open_ = self._topics.get(subscription.topic)
        if open_ is None:
            raise SubscriptionOver
        assert open_.snapshots is not None  # noqa: S101 - attached
        snapshot, events = await open_.snapshots.take(after)
        if subscription not in open_.subscriptions:
            raise SubscriptionOver
        subscription.begin(snapshot, events, self._clock.monotonic() + OVERLAP_S)
        if self._away.intersection(open_.sources):
            subscription.subscriber.tell(Degraded(subscriptions=[subscription.id], every_ms=int(POLL_S * 1000)))

    def detach(self, subscription: Subscription) -> None:
        """Unsubscribe; nothing more is put into the subscriber. May be called again."""
        open_ = self._topics.get(subscription.topic)
        if open_ is not None and subscription in open_.subscriptions:
            del open_.subscriptions[subscription]
            subscription.subscriber.forget(subscription)
            self._leave(open_)

    def publish(self, source: str, tenant: TenantId, record: Any) -> None:
        """See `Sink`."""
        for open_ in tuple(self._listening.get((source, tenant), ())):
            if open_.feed is None:
                continue
            try:
                updates = open_.feed.updates(record)
            except Exception:  # a bug in one channel is not the end of the others
                log.exception("a record could not be told", channel=open_.topic.channel)
                continue
            self._spread(open_, updates)

    def degraded(self, source: str) -> None:
        """See `Sink`."""
        if source in self._away:
            return
        self._away.add(source)
        if source in self._polls:
            return  # it was back for less than the time between two polls: clients were not told so
        log.warning("live feed away: its topics are polled", source=source)
        self._tell(source, lambda ids: Degraded(subscriptions=ids, every_ms=int(POLL_S * 1000)))
        self._polls[source] = asyncio.create_task(self._poll(source), name=f"poll {source}")

    def restored(self, source: str) -> None:
        """See `Sink`."""
        self._away.discard(source)  # the task polls once more, and tells

    async def close(self) -> None:
        """End all topics."""
        await tasks.end([*self._polls.values(), *self._ends, *filter(None, [self._reconciling])])
        for open_ in list(self._topics.values()):
            if open_.ready is not None:
                await tasks.end([open_.ready])
            await self._end(open_)
        self._topics.clear()

    async def _open(self, open_: _Open) -> None:
        topic = open_.topic
        for name in open_.sources:
            open_.followed.append(name)
            await self._follow(name, topic.tenant)
        feed = await self.channels[topic.channel].open(topic)
        open_.feed = feed
        open_.snapshots = Snapshots(feed, topic, self._reads, self._clock)
        for name in open_.sources:
            self._listening.setdefault((name, topic.tenant), {})[open_] = None

    def _leave(self, open_: _Open) -> None:
        open_.users -= 1
        if open_.users == 0 and self._topics.get(open_.topic) is open_:
            del self._topics[open_.topic]
            self._of_tenants -= Counter({open_.topic.tenant: 1})  # one that has none any more is forgotten
            end = asyncio.create_task(self._end(open_), name="topic's end")
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)

    async def _end(self, open_: _Open) -> None:
        if open_.ready is not None:
            await asyncio.wait([open_.ready])  # whoever asked for it may have gone meanwhile
        tenant = open_.topic.tenant
        for name in open_.sources:
            listening = self._listening.get((name, tenant), {})
            listening.pop(open_, None)
            if not listening:
                self._listening.pop((name, tenant), None)
        if open_.snapshots is not None:
            await open_.snapshots.close()
        if open_.feed is not None:
            await open_.feed.close()
        for name in open_.followed:
            await self._unfollow(name, tenant)

    async def _follow(self, name: str, tenant: TenantId) -> None:
        followed = self._followed.setdefault((name, tenant), _Followed())
        followed.count += 1
        async with followed.lock:
            if not followed.followed:
                await self._sources[name].follow(tenant)
                followed.followed = True

    async def _unfollow(self, name: str, tenant: TenantId) -> None:
        followed = self._followed[name, tenant]
        followed.count -= 1
        async with followed.lock:
            if followed.count == 0 and followed.followed:
                followed.followed = False
                await self._sources[name].leave(tenant)
            if followed.count == 0 and self._followed.get((name, tenant)) is followed:
                del self._followed[name, tenant]

    def _spread(self, open_: _Open, updates: Sequence[Update]) -> None:
        if not updates:
            return
        now = self._clock.monotonic()
        self._metrics.published[open_.topic.channel].inc(len(updates))
        for update in updates:
            try:
                event = Event(open_.topic, update, now)
                for subscription in open_.subscriptions:
                    subscription.offer(event)
            except Exception:  # an update that cannot be written is not the end of its source
                log.exception("an update could not be told", channel=open_.topic.channel)

    def _of_source(self, source: str) -> list[_Open]:
        return [open_ for open_ in self._topics.values() if source in open_.sources and open_.feed is not None]

    def _tell(self, source: str, make: Callable[[list[str]], Answer]) -> None:
        """Every client that listens to the source, once."""
        by_subscriber: dict[Subscriber, list[str]] = {}
        for open_ in self._of_source(source):
            for subscription in open_.subscriptions:
                by_subscriber.setdefault(subscription.subscriber, []).append(subscription.id)
        for subscriber, ids in by_subscriber.items():
            subscriber.tell(make(ids))

    async def _poll(self, source: str) -> None:
        """Until the source is back, and once more then."""
        while True:
            back = source not in self._away
            await asyncio.gather(*(self._poll_topic(open_) for open_ in self._of_source(source)))
            if back and source not in self._away:
                break
            await asyncio.sleep(POLL_S)
        self._polls.pop(source, None)
        log.info("live feed back", source=source)
        self._tell(source, lambda ids: Restored(subscriptions=ids))

    async def _reconcile(self) -> None:
        """For ever, one topic after the other."""
        while True:
            await asyncio.sleep(RECONCILE_S)
            for open_ in list(self._topics.values()):
                if open_.feed is not None and not self._away.intersection(open_.sources):
                    await self._poll_topic(open_)

    async def _poll_topic(self, open_: _Open) -> None:
        assert open_.feed is not None  # noqa: S101 - asked before
        async with self._reads:
            try:
                updates = await open_.feed.poll()
            except ProblemError as e:
                log.warning("a topic could not be polled", channel=open_.topic.channel, reason=str(e))
                return
            except Exception:  # a bug in one channel is not the end of the others
                log.exception("a topic could not be polled", channel=open_.topic.channel)
                return
        self._spread(open_, updates)
