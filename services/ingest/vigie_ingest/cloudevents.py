"""CloudEvents 1.0 over HTTP: which of its modes a request uses, and its envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct
from vigie_contracts import limits
from vigie_contracts.events import CloudEvent

from vigie_ingest import mapping, timestamps
from vigie_ingest.decoding import UNREADABLE, Decoded, decode_items, item_error, single_error
from vigie_ingest.errors import ItemError, Reason, RejectedItem, UnsupportedMediaError
from vigie_ingest.media import is_json, media_type
from vigie_ingest.samples import Sample

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
ACCEPTED: Final = f"{STRUCTURED}, {BATCH}, application/json"

_ATTRIBUTES: Final = ("id", "source", "type", "specversion", "time", "subject", "dataschema")
_REQUIRED: Final = ("id", "source", "type", "specversion")


_event: Final = msgspec.json.Decoder(CloudEvent)


class _Time(Struct):
    time: timestamps.Instant


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one accepted event adds."""

    timestamp: int
    samples: list[Sample]


def check_media(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaError for what cannot be an event, before the body is read."""
    media = media_type(headers, ACCEPTED)
    if media is None:
        return
    other_mode = media.startswith("application/cloudevents") and media not in (STRUCTURED, BATCH)
    if other_mode or not is_json(media):
        raise UnsupportedMediaError(f"Content-Type: {media} is not supported", ACCEPTED)


def decode_events(headers: Mapping[bytes, bytes], body: bytes) -> Decoded[CloudEvent]:
    """The events of a request in any mode, after `check_media`. Raises MalformedBodyError, TooManyItemsError or
    ItemRefusedError."""
    media = media_type(headers, ACCEPTED)
    if media == STRUCTURED:
        return _single(body)
    if media == BATCH:
        return decode_items(body, None, _event.decode)
    if b"ce-id" in headers or b"ce-specversion" in headers:
        return _binary(headers, body)
    return decode_items(body, None, _event.decode) if body[:64].lstrip()[:1] == b"[" else _single(body)


def _single(body: bytes) -> Decoded[CloudEvent]:
    try:
        return Decoded([_event.decode(body)])
    except UNREADABLE as e:
        raise single_error(body, e) from e


def _binary(headers: Mapping[bytes, bytes], body: bytes) -> Decoded[CloudEvent]:
    """Attributes in `ce-` headers, data in the body."""
    given = {name: _attribute(value) for name in _ATTRIBUTES if (value := headers.get(b"ce-" + name.encode()))}
    missing = [name for name in _REQUIRED if name not in given]
    if missing:
        return _refused(ItemError(Reason.FIELD, missing[0], f"is missing: send the header ce-{missing[0]}"))
    try:
        event = msgspec.convert(given, CloudEvent)
    except msgspec.ValidationError as e:
        return _refused(item_error(e, b""))
    event.data = Raw(body.strip())
    return Decoded([event])


def _refused(error: ItemError) -> Decoded[CloudEvent]:
    return Decoded([], [], [RejectedItem(0, error)])


def _attribute(value: bytes) -> str:
    return unquote(value.decode("latin-1"), errors="replace")


def meaning(event: CloudEvent, now_ms: int) -> Meaning | ItemError:
    """Judge one event and say what it adds."""
    if event.specversion != "1.0":
        return ItemError(Reason.FIELD, "specversion", 'must be "1.0"')
    if event.data_base64 is not None:
        return ItemError(Reason.FIELD, "data_base64", "is not supported: send JSON in data")
    if event.datacontenttype is not None and not is_json(event.datacontenttype.split(";")[0].strip().lower()):
        return ItemError(Reason.FIELD, "datacontenttype", "must be application/json: other data is not understood")
    data = bytes(event.data)
    if len(data) > limits.MAX_EVENT_DATA_BYTES:
        return ItemError(Reason.FIELD, "data", f"is longer than {limits.MAX_EVENT_DATA_BYTES} bytes")
    stamp = _time(event.time, now_ms)
    if isinstance(stamp, ItemError):
        return stamp
    samples = mapping.samples_of(event.type, event.source, data)
    return samples if isinstance(samples, ItemError) else Meaning(stamp, samples)


def _time(time: str | None, now_ms: int) -> int | ItemError:
    if time is None:
        return now_ms
    try:
        ms = timestamps.to_ms(msgspec.convert({"time": time}, _Time).time, now_ms)
    except msgspec.ValidationError:
        return ItemError(Reason.TIMESTAMP, "time", "must be an RFC 3339 string with its offset")
    return timestamps.check(ms, now_ms, "time") or ms
