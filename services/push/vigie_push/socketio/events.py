"""The events that a Socket.IO client gets: which ones a message becomes, and what they carry.

A message is written once, however many clients get it: so what differs between them (`subscription`, `seq`) is left
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from vigie_query.times import iso
from vigie_runtime.clock import Clock

from vigie_push.channels.summaries import SummaryMessage, SummaryType
from vigie_push.messages import plain, type_of
from vigie_push.subscriber import Event

METRICS, ALERT, HEALTH, KPI = "metrics", "alert", "health", "kpi_event"
SYSTEM, BUSINESS = "system", "business"


encode: Final = msgspec.json.Encoder(enc_hook=plain).encode


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """One kind of event, for its description: `schema` is JSON Schema."""

    event: str
    meaning: str
    schema: dict[str, Any]


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT: Final = {"type": "string"}
_ANY: Final = {"type": "object"}
_WHOLE: Final = _object(type=_TEXT, channel=_TEXT, cursor=_TEXT)
EVENTS: Final = (
    SocketEvent(
        METRICS,
        "Every message of `system`, `application`, `business` and `summary`, and the metrics of selectors and apps: "
        "`type` tells which it is, the rest is as on a WebSocket.",
        _WHOLE,
    ),
    SocketEvent(SYSTEM, "What GET /api/metrics/system answers, after `subscribe` with `{type: 'system'}`.", _ANY),
    SocketEvent(BUSINESS, "What GET /api/metrics/business answers, after `{type: 'business'}`.", _ANY),
    SocketEvent(ALERT, "A step of an alert: to everybody who may read alerts, without asking.", _WHOLE),
    SocketEvent(HEALTH, "States of services: all, then each after its checks, after `{type: 'health'}`.", _WHOLE),
    SocketEvent(
        KPI,
        "After `{type: 'kpi'}`, or a filter without a type: news of the business and alerts.",
        _object(type=_TEXT, modelName=_TEXT, timestamp=_TEXT, data=_ANY),
    ),
)
"""Those of the replaced service's clients. Answers (`subscribed`, `error`, ...) are events of their own names."""
_HEALTH_TYPES: Final = ("health", "serviceStatus", "serverStats", "siteStats")


class Packets:
    """The packets of messages, kept while their event is under way to somebody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._own: WeakKeyDictionary[Event, tuple[str, ...]] = WeakKeyDictionary()
        self._kpi: WeakKeyDictionary[Event, tuple[str, ...]] = WeakKeyDictionary()

    def of(self, event: Event, *, kpi: bool) -> tuple[str, ...]:
        """Those of a message; `kpi` for those who asked for KPI events."""
        kept = self._kpi if kpi else self._own
        known = kept.get(event)
        if known is None:
            made = (self._kpi_event(event),) if kpi else tuple(_events(event))
            known = kept[event] = made
        return known

    def _kpi_event(self, event: Event) -> str:
        message = event.update.message
        summary = isinstance(message, SummaryType)
        told = {
            "type": METRICS if summary else type_of(message),
            "modelName": event.topic.channel,
            "timestamp": iso(self._clock.now_ms()),
            "data": message.data if summary else msgspec.Raw(event.body + b"}"),
        }
        return packet(KPI, encode(told))


def packet(event: str, data: bytes) -> str:
    """A packet EVENT of Socket.IO (protocol 5) in the namespace `/`; `data` is JSON."""
    return f'2["{event}",{data.decode()}]'


def _events(event: Event) -> Iterator[str]:
    message, whole = event.update.message, event.body + b"}"
    type_ = type_of(message)
    if not isinstance(message, SummaryType):
        yield packet(HEALTH if type_ in _HEALTH_TYPES else type_, whole)
        return
    if not isinstance(message, SummaryMessage):
        yield packet(type_, bytes(message.data))
    yield packet(METRICS, whole)
