"""What a business event means in samples. Pure: an envelope in, samples out; names and labels are `contracts.names`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from vigie_contracts import events, names
from vigie_contracts.series import Kind
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import UNREADABLE, Sample

from vigie_ingest.decoding import item_error
from vigie_ingest.ignored import FieldReader, Ignored

_readers: Final = {name: FieldReader(type_, f"the data of {name}") for name, type_ in events.EVENT_DATA.items()}
_service_of: Final = msgspec.json.Decoder(events.SessionStarted)  # has no field but the service
_MAX_SERVICE_CHARS: Final = 255


class Mapped(NamedTuple):
    """What an event becomes: samples, never none; and what was ignored of it."""

    samples: list[Sample]
    ignored: Sequence[Ignored]


def samples_of(type_: str, source: str, raw: bytes) -> Mapped | ItemError:
    """What one event becomes, from its type, source and the JSON of its data (empty when it has none). Errors and what
    is ignored name the field: `data.amount`."""
    name = events.event_name(type_)
    read = _data(name, raw)
    if isinstance(read, ItemError):
        return read
    data, ignored = read
    service = (data.service if data is not None else None) or service_of(source)
    made = _MEANINGS[name](data, service) if name in _MEANINGS else []
    if isinstance(made, ItemError):
        return made
    if name not in _MEANINGS:
        ignored = [_unknown_type(type_, name)]
    return Mapped([_counter(names.EVENTS, 1, type=name, service=service), *made], ignored)


def _unknown_type(type_: str, name: str) -> Ignored:
    meant = next((known for known in events.EVENT_DATA if known in type_.casefold()), None)
    hint = f"; did you mean {meant}?" if meant else ""
    return Ignored("type", f"{name[:64]} is not a known type: counted in {names.EVENTS}, its data ignored{hint}")


def service_of(source: str) -> str:
    """The last segment of the source's path: `https://shop.example/booking/` and `/services/booking` are `booking`."""
    path = source.split("?", 1)[0].split("#", 1)[0]
    return path.rstrip("/").rpartition("/")[2][:_MAX_SERVICE_CHARS] or "unknown"


def _data(name: str, raw: bytes) -> tuple[Any, Sequence[Ignored]] | ItemError:
    body = b"{}" if raw in (b"", b"null") else raw
    if name not in _readers:
        unknown = _unknown_data(body)
        return unknown if isinstance(unknown, ItemError) else (unknown, ())
    try:
        data, ignored = _readers[name].read(body)
        return data, [one._replace(field=f"data.{one.field}") for one in ignored]
    except UNREADABLE as e:
        error = item_error(e, body)
        return ItemError(error.reason, "data" if error.field == "item" else f"data.{error.field}", error.detail)


def _unknown_data(body: bytes) -> events.SessionStarted | ItemError | None:
    """Of events that Vigie does not know only the service is read, if there is one that makes sense."""
    try:
        return _service_of.decode(body)
    except msgspec.ValidationError:
        return None
    except UNREADABLE as e:
        return ItemError(Reason.MALFORMED, "data", item_error(e, body).detail)


def _counter(name: str, value: float, /, **labels: str) -> Sample:
    return _sample(name, Kind.COUNTER, value, labels)


def _sample(name: str, kind: Kind, value: float, labels: dict[str, str]) -> Sample:
    return Sample(name, kind, tuple(sorted(labels.items())), float(value))


Made = list[Sample] | ItemError


def _created(data: events.BookingCreated, service: str) -> Made:
    return [_counter(names.BOOKINGS_CREATED, data.quantity or 1, service=service)]


def _completed(data: events.BookingCompleted, service: str) -> Made:
    made = [_counter(names.BOOKINGS_COMPLETED, data.quantity or 1, service=service)]
    if data.amount is None:
        return made
    if data.currency is None:
        return ItemError(Reason.FIELD, "data.currency", "is missing: an amount needs its currency")
    return [*made, _counter(names.REVENUE, data.amount, service=service, currency=data.currency)]


def _cancelled(data: events.BookingCancelled, service: str) -> Made:
    return [_counter(names.BOOKINGS_CANCELLED, data.quantity or 1, service=service)]


def _succeeded(data: events.PaymentSucceeded, service: str) -> Made:
    return [
        _counter(names.PAYMENTS, 1, service=service, status="succeeded", method=data.method or "unknown"),
        _counter(names.PAYMENT_AMOUNT, data.amount, service=service, currency=data.currency),
    ]


def _failed(data: events.PaymentFailed, service: str) -> Made:
    return [_counter(names.PAYMENTS, 1, service=service, status="failed", method=data.method or "unknown")]


def _refunded(data: events.PaymentRefunded, service: str) -> Made:
    return [
        _counter(names.PAYMENTS, 1, service=service, status="refunded", method=data.method or "unknown"),
        _counter(names.REFUNDS, data.amount, service=service, currency=data.currency),
    ]


def _step(data: events.FunnelStep, service: str) -> Made:
    return [_counter(names.FUNNEL_STEPS, data.count or 1, service=service, step=data.step)]


def _rated(data: events.SatisfactionRated, service: str) -> Made:
    return [_sample(names.SATISFACTION, Kind.HISTOGRAM, data.score, {"service": service})]


def _started(_data: events.SessionStarted, service: str) -> Made:
    return [_counter(names.SESSIONS_STARTED, 1, service=service)]


def _ended(data: events.SessionEnded, service: str) -> Made:
    made = [_counter(names.SESSIONS_ENDED, 1, service=service)]
    if data.duration_seconds is not None:
        made.append(_sample(names.SESSION_DURATION, Kind.HISTOGRAM, data.duration_seconds, {"service": service}))
    return made


def _active(data: events.SessionActive, service: str) -> Made:
    return [_sample(names.ACTIVE_USERS, Kind.GAUGE, data.active_users, {"service": service})]


_MEANINGS: Final[dict[str, Callable[[Any, str], Made]]] = {
    "booking.created": _created,
    "booking.completed": _completed,
    "booking.cancelled": _cancelled,
    "payment.succeeded": _succeeded,
    "payment.failed": _failed,
    "payment.refunded": _refunded,
    "funnel.step": _step,
    "satisfaction.rated": _rated,
    "session.started": _started,
    "session.ended": _ended,
    "session.active": _active,
}
