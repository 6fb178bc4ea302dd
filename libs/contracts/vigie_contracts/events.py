"""Business events: a CloudEvents 1.0 envelope around the data of a known type, or any data of an unknown one.

The type of an event may carry a reverse-DNS prefix (`com.acme.booking.created`): its last two parts decide.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
"""In units of the currency: 19.99, not 1999."""
CURRENCY: Final = "^[A-Z]{3}$"
Currency = Annotated[str, Meta(pattern=CURRENCY)]
"""ISO 4217 code."""


Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]

EXTENSIONS: Final = frozenset(
    {
        *("authclaims", "authid", "authtype", "causationid", "correlationid", "dataref", "deprecated"),
        *("deprecationfrom", "deprecationmigration", "deprecationsunset", "expirytime", "partitionkey", "recordedtime"),
        *("sampledrate", "sequence", "sequencetype", "severitynumber", "severitytext", "traceparent", "tracestate"),
    }
)
"""The extension attributes that CloudEvents documents. They mean nothing here, and whoever sends them knows that."""


class CloudEvent(Struct, omit_defaults=True):
    """The envelope in structured mode (`application/cloudevents+json`). Extension attributes are ignored, with a
    warning unless they are `EXTENSIONS`."""

    id: Text
    source: Annotated[str, Meta(min_length=1, max_length=1024)]
    type: Text
    specversion: str
    """Must be "1.0"."""
    time: str | None = None
    """RFC 3339; the gateway's clock when absent."""
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    """Raw until the type says what it must be; empty when absent. (`Raw | None` would take nothing but null.)"""
    data_base64: str | None = None
    """Instead of `data`: the same JSON in base64."""


class _EventData(Struct, kw_only=True, rename="camel"):
    """What the data of every event may say: the service it is about. Absent: the last part of the event's `source`. Of
    all fields that may be absent, null is the same."""

    service: Text | None = None


class BookingCreated(_EventData):
    quantity: Quantity | None = None
    """1 when absent."""


class BookingCompleted(_EventData):
    """`amount` is revenue; with an amount there must be a currency."""

    quantity: Quantity | None = None
    """1 when absent."""
    amount: Amount | None = None
    currency: Currency | None = None


class BookingCancelled(_EventData):
    quantity: Quantity | None = None
    """1 when absent."""


class PaymentSucceeded(_EventData):
    amount: Amount
    currency: Currency
    method: Text | None = None
    """`unknown` when absent."""


class PaymentFailed(_EventData):
    method: Text | None = None


class PaymentRefunded(_EventData):
    amount: Amount
    currency: Currency
    method: Text | None = None
    """`unknown` when absent."""


class FunnelStep(_EventData):
    step: Text
    count: Quantity | None = None
    """1 when absent."""


class SatisfactionRated(_EventData):
    score: Annotated[float, Meta(ge=-1000, le=1000)]


class SessionStarted(_EventData):
    pass


class SessionEnded(_EventData):
    duration_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] | None = None


class SessionActive(_EventData):
    """How many users are active right now, as the sender counts them."""

    active_users: Annotated[float, Meta(ge=0, le=1e12)]


EVENT_DATA: Final[dict[str, type[_EventData]]] = {
    "booking.created": BookingCreated,
    "booking.completed": BookingCompleted,
    "booking.cancelled": BookingCancelled,
    "payment.succeeded": PaymentSucceeded,
    "payment.failed": PaymentFailed,
    "payment.refunded": PaymentRefunded,
    "funnel.step": FunnelStep,
    "satisfaction.rated": SatisfactionRated,
    "session.started": SessionStarted,
    "session.ended": SessionEnded,
    "session.active": SessionActive,
}
"""The types whose data Vigie understands. Other types are taken too, and counted as `events_total`."""


def event_name(type_: str) -> str:
    """The part of a CloudEvents type that decides its meaning: `com.acme.booking.created` -> `booking.created`."""
    return ".".join(type_.split(".")[-2:])
