"""What this service measures of itself. The names that begin with `kpi_` are those of the system it replaces, whose
dashboards and alerts go on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from vigie_identity.errors import RefusalReason
from vigie_runtime.metrics import SIZES, Counter, Gauge, Histogram, MetricSet
from vigie_web.close_codes import CloseCode
from vigie_web.metrics import RequestMetrics

from vigie_push.channels.names import ChannelName
from vigie_push.subscriber import Delivery, Outgoing

if TYPE_CHECKING:
    from vigie_push.hub import Hub
    from vigie_push.sessions import Session

REQUESTS: Final = RequestMetrics("push", {"/api/stream": "stream", "/socket.io": "socketio"})

CloseReason: Any = StrEnum("CloseReason", [(code.name, code.name.lower()) for code in CloseCode])


class Transport(StrEnum):
    """How a client is connected."""

    WEBSOCKET = "websocket"
    SOCKETIO = "socketio"
    SSE = "sse"


class Operation(StrEnum):
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


KPI_CONNECTIONS: Final = Gauge("kpi_websocket_active_connections", "connections", "Live connections, of all transports")
KPI_PUBLISHED: Final = Counter(
    "kpi_websocket_events_published_total", "events", "Updates of topics that have subscribers", {"type": ChannelName}
)
KPI_DELIVERED: Final = Counter(
    "kpi_websocket_events_delivered_total", "messages", "Messages of channels sent to clients", {"type": ChannelName}
)
KPI_LATENCY: Final = Histogram(
    "kpi_websocket_delivery_latency_seconds",
    "seconds",
    "From an update to the sending of its message; of at most 200 in a second",
)
KPI_BUFFER: Final = Gauge("kpi_websocket_buffer_size", "messages", "Messages that wait for all clients together")
KPI_BATCH: Final = Histogram(
    "kpi_websocket_batch_size",
    "messages",
    "Messages that were sent to a client at once; of at most 200 in a second",
    buckets=SIZES,
)
KPI_OPERATIONS: Final = Counter(
    "kpi_websocket_subscription_operations_total", "operations", "Subscriptions begun and ended",
    {"operation": Operation, "type": ChannelName},
)  # fmt: skip
KPI_SUBSCRIPTIONS: Final = Gauge("kpi_websocket_active_subscriptions", "subscriptions", "Subscriptions of all clients")

CONNECTIONS: Final = Gauge(
    "vigie_push_connections", "connections", "Live connections by transport", {"transport": Transport}
)
TOPICS: Final = Gauge("vigie_push_topics", "topics", "Topics that somebody is subscribed to")
CONFLATED: Final = Counter(
    "vigie_push_conflated_total", "messages", "Messages not sent because a newer one of their key took their place"
)
DROPPED: Final = Counter(
    "vigie_push_dropped_total", "messages", "Messages that a client lost because it reads too slowly"
)
CLOSED: Final = Counter(
    "vigie_push_closed_total",
    "connections",
    "Connections that ended, by code",
    {"code": CloseReason},
)

ALL: Final = (
    *REQUESTS.all, KPI_CONNECTIONS, KPI_PUBLISHED, KPI_DELIVERED, KPI_LATENCY, KPI_BUFFER, KPI_BATCH, KPI_OPERATIONS,
    KPI_SUBSCRIPTIONS, CONNECTIONS, TOPICS, CONFLATED, DROPPED, CLOSED,
)  # fmt: skip

OBSERVED_PER_S: Final = 200


class PushMetrics:
    """The same, ready to be counted with."""

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._second_ends, self._observed = 0.0, 0
        names = {name.value: name for name in ChannelName}
        self.published = {name: metrics.counter(KPI_PUBLISHED, type=value) for name, value in names.items()}
        self._delivered = {name: metrics.counter(KPI_DELIVERED, type=value) for name, value in names.items()}
        self._latency, self._batch = metrics.histogram(KPI_LATENCY), metrics.histogram(KPI_BATCH)
        self._operations = {
            (name, operation): metrics.counter(KPI_OPERATIONS, operation=operation, type=value)
            for name, value in names.items()
            for operation in Operation
        }
        self.transports = {one: metrics.gauge(CONNECTIONS, transport=one) for one in Transport}
        self.conflated, self.dropped = metrics.counter(CONFLATED), metrics.counter(DROPPED)
        self._closed: dict[int | None, Any] = {
            code: metrics.counter(CLOSED, code=CloseReason(code.name.lower())) for code in CloseCode
        }
        self._connections, self._buffer = metrics.gauge(KPI_CONNECTIONS), metrics.gauge(KPI_BUFFER)
        self._subscriptions, self._topics = metrics.gauge(KPI_SUBSCRIPTIONS), metrics.gauge(TOPICS)

    def watch(self, sessions: Collection[Session], hub: Hub) -> None:
        """What is counted when it is asked for."""
        self._connections.set_function(lambda: len(sessions))
        self._subscriptions.set_function(lambda: sum(len(one.subscriptions) for one in sessions))
        self._buffer.set_function(lambda: sum(len(one.subscriber) for one in sessions))
        self._topics.set_function(lambda: hub.topics)

    def refused(self, reason: RefusalReason) -> None:
        """A token or key was not good."""
        self._metrics.counter(REQUESTS.refused_credentials, reason=reason).inc()

    def subscribed(self, channel: str) -> None:
        """One subscription more."""
        self._operations[channel, Operation.SUBSCRIBE].inc()

    def unsubscribed(self, channel: str) -> None:
        """One subscription less."""
        self._operations[channel, Operation.UNSUBSCRIBE].inc()

    def closed(self, code: int | None) -> None:
        """A connection has ended; counted when the code is one of ours."""
        if (counter := self._closed.get(code)) is not None:
            counter.inc()

    def sent(self, batch: Iterable[Outgoing], now: float) -> None:
        """A batch on its way to a client. The latency is that of its oldest message. Of many batches in a second some
        are observed: to observe all would take a tenth of the time for sending."""
        oldest, count = now, 0
        for one in batch:
            if isinstance(one, Delivery):
                self._delivered[one.event.topic.channel].inc()
                oldest = min(oldest, one.event.at)
                count += 1
        if now >= self._second_ends:
            self._second_ends, self._observed = now + 1.0, 0
        if count and self._observed < OBSERVED_PER_S:
            self._observed += 1
            self._latency.observe(now - oldest)
            self._batch.observe(count)
