"""What waits to be sent to one client: bounded, and of what has the same key only the newest.

The hub puts in without ever waiting, and the one writer of a transport takes out. How fast a client reads is nobody
else's concern.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
from vigie_web.close_codes import Closing

from vigie_push.channels.base import Snapshot, Topic, Update
from vigie_push.errors import Ended
from vigie_push.messages import Answer, Dropped, encode

MAX_ANSWERS: Final = 64
"""Answers that wait; a transport reads no further message of its client before there are fewer."""
_to_json: Final = msgspec.json.Encoder().encode


class Event:
    """An update of a topic on its way to all its subscribers: encoded once."""

    def __init__(self, topic: Topic[Any], update: Update, at: float) -> None:
        """`at`: the monotonic time at which it came in. Raises what msgspec does for what is no JSON."""
        self.topic, self.update, self.at = topic, update, at
        head = encode(update.message)[:-1]
        self.body = b'%b,"channel":%b,"cursor":%b' % (head, _to_json(topic.channel), _to_json(update.cursor))
        """JSON, without the fields of `Envelope` that differ, and without the brace at the end."""


class Subscription:
    """A topic that one client listens to. `seq` is that of its newest message, sent or not."""

    __slots__ = ("_tail", "dropped", "held", "id", "overlap", "overlap_until", "seq", "subscriber", "topic")

    def __init__(self, id: str, subscriber: Subscriber, topic: Topic[Any]) -> None:  # noqa: A002 - its name in messages
        self.id, self.subscriber, self.topic = id, subscriber, topic
        self.seq = 0
        self.dropped = 0
        """Messages that were lost since the client was last told."""
        self.held: dict[str, Event] | None = {}
        """What came before the snapshot was sent; None after that."""
        self.overlap: Callable[[Update], bool] | None = None
        """Whether an update was in the snapshot; None when none can have been."""
        self.overlap_until = 0.0
        self._tail = b',"subscription":%b,"seq":' % _to_json(id)

    def frame(self, event: Event, seq: int) -> bytes:
        """The message, as JSON."""
        return b"%b%b%d}" % (event.body, self._tail, seq)

    def begin(self, snapshot: Snapshot, events: list[Event], until: float) -> None:
        """Send the snapshot and what was held back meanwhile, each once."""
        for event in events:
            self.subscriber.deliver(self, event)
        held, self.held = self.held or {}, None
        self.overlap, self.overlap_until = snapshot.holds, until
        for event in held.values():
            if not snapshot.holds(event.update):
                self.subscriber.deliver(self, event)

    def offer(self, event: Event) -> None:
        """A live update."""
        if self.held is not None:
            self.held.pop(event.update.key, None)
            self.held[event.update.key] = event
            if len(self.held) > self.subscriber.most:
                del self.held[next(iter(self.held))]
                self.subscriber.lost(self)
        elif self.overlap is None:
            self.subscriber.deliver(self, event)
        else:
            if not self.overlap(event.update):
                self.subscriber.deliver(self, event)
            self.settle(event.at)

    def settle(self, now: float) -> None:
        """Forget the snapshot when it is too old to matter."""
        if now >= self.overlap_until:
            self.overlap = None


class Delivery:
    """A message of a subscription, for the writer."""

    __slots__ = ("event", "seq", "subscription")

    def __init__(self, subscription: Subscription, event: Event, seq: int) -> None:
        self.subscription, self.event, self.seq = subscription, event, seq

    @property
    def text(self) -> bytes:
        """JSON, with the envelope."""
        return self.subscription.frame(self.event, self.seq)


Outgoing: TypeAlias = Delivery | Answer
_Key: TypeAlias = tuple[str, str] | int


class Subscriber:
    """The bounded, conflating queue of one client, and its end. For one event loop, with one taker."""

    __slots__ = (
        "_answers",
        "_bytes",
        "_count",
        "_lossy",
        "_pending",
        "_room",
        "_waiter",
        "closing",
        "conflated",
        "dropped",
        "most",
        "most_bytes",
        "on_close",
    )  # fmt: skip

    def __init__(self, most: int, most_bytes: int) -> None:
        """So many messages of subscriptions may wait, and so many bytes of them."""
        self.most, self.most_bytes = most, most_bytes
        self._pending: dict[_Key, Outgoing] = {}
        """Oldest first."""
        self._lossy: dict[Subscription, None] = {}
        """Whose client has to be told of a loss."""
        self._answers = self._bytes = self._count = 0
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.conflated = self.dropped = 0
        """Messages whose place a newer one took, and messages that were lost."""
        self.closing: Closing | None = None
        self.on_close: Callable[[Closing], None] | None = None
        """Called at the end, at once: the writer may be waiting for a client that does not read."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._pending)

    def deliver(self, subscription: Subscription, event: Event) -> None:
        """Put a message in; in the place of an older one of the same key, at the end. What is oldest is dropped when
        there are too many."""
        if self.closing is not None:
            return
        key = (subscription.id, event.update.key)
        old = self._pending.pop(key, None)
        if isinstance(old, Delivery):
            self.conflated += 1
            self._bytes -= len(old.event.body)
        subscription.seq += 1
        self._pending[key] = Delivery(subscription, event, subscription.seq)
        self._bytes += len(event.body)
        if len(self._pending) - self._answers > self.most or self._bytes > self.most_bytes:
            self._drop()
        self._wake()

    def tell(self, answer: Answer) -> None:
        """Put an answer in: never dropped."""
        if self.closing is not None:
            return
        self._count += 1
        self._answers += 1
        self._pending[self._count] = answer
        self._wake()

    def lost(self, subscription: Subscription) -> None:
        """A message of the subscription had to go: its client is told with what is taken next."""
        subscription.dropped += 1
        self._lossy[subscription] = None

    def forget(self, subscription: Subscription) -> None:
        """Drop what waits of a subscription that has ended."""
        self._lossy.pop(subscription, None)
        for key in [key for key in self._pending if isinstance(key, tuple) and key[0] == subscription.id]:
            self._remove(key)

    def close(self, closing: Closing) -> None:
        """Nothing is put in any more, and nothing that waits is sent: `take` raises. The first reason counts."""
        if self.closing is None:
            self.closing = closing
            self._pending.clear()
            self._answers = self._bytes = 0
            self._wake()
            self._make_room()
            if self.on_close is not None:
                self.on_close(closing)

    async def take(self) -> list[Outgoing]:
        """Everything that waits, oldest first, as soon as anything does. Raises Ended after `close`."""
        while not self._pending:
            if self.closing is not None:
                raise Ended(self.closing)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        taken = list(self._pending.values())
        self._pending.clear()
        self._answers = self._bytes = 0
        self._make_room()
        for subscription in self._lossy:
            taken.append(Dropped(subscription=subscription.id, count=subscription.dropped))
            subscription.dropped = 0
        self._lossy.clear()
        return taken

    async def room(self) -> None:
        """Return when few enough answers wait: to be awaited before a further message of the client is looked at."""
        while self._answers >= MAX_ANSWERS:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _drop(self) -> None:
        """The oldest, until the rest fits; a single message that is too large by itself stays."""
        deliveries = (key for key, waiting in list(self._pending.items()) if isinstance(waiting, Delivery))
        for key in deliveries:
            count = len(self._pending) - self._answers
            if count <= 1 or (count <= self.most and self._bytes <= self.most_bytes):
                return
            lost = self._remove(key)
            if lost is not None:
                self.dropped += 1
                self.lost(lost.subscription)

    def _remove(self, key: _Key) -> Delivery | None:
        removed = self._pending.pop(key, None)
        if not isinstance(removed, Delivery):
            return None
        self._bytes -= len(removed.event.body)
        return removed

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
