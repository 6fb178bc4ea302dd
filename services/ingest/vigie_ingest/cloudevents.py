"""CloudEvents 1.0 over HTTP: which of its modes a request uses, and its envelopes."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec import Raw, Struct
from vigie_contracts import limits
from vigie_contracts.events import EXTENSIONS, CloudEvent
from vigie_contracts.problems import MAX_FIELD_CHARS
from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import UNREADABLE, Sample
from vigie_web.connection import Header

from vigie_ingest import mapping
from vigie_ingest.decoding import Decoded, decode_items, item_error, single_error
from vigie_ingest.errors import RejectedItem, UnsupportedMediaError
from vigie_ingest.ignored import FieldReader, Ignored, warn
from vigie_ingest.media import NO_TYPE, is_json, media_type

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
ACCEPTED: Final = f"{STRUCTURED}, {BATCH}, application/json"

_ATTRIBUTES: Final = ("id", "source", "type", "specversion", "time", "subject", "dataschema")
_REQUIRED: Final = ("id", "source", "type", "specversion")
_PREFIX: Final = b"ce-"
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_ESCAPED: Final = re.compile(rb"\\(.)")
_NOT_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""What the text of an attribute may not hold."""
_MAX_BASE64_CHARS: Final = 4 * (limits.MAX_EVENT_DATA_BYTES + 2) // 3

_event: Final = FieldReader(CloudEvent, "a CloudEvent")


class _Time(Struct):
    time: timestamps.Instant


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one accepted event adds, and what was ignored of its type and data."""

    timestamp: int
    samples: list[Sample]
    ignored: Sequence[Ignored]


def check_media(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaError for what cannot be an event, before the body is read."""
    media = media_type(headers, ACCEPTED)
    if media is None:
        if not _is_binary(headers):  # which may have no data, and then has no type of it
            raise UnsupportedMediaError(NO_TYPE, ACCEPTED)
        return
    other_mode = media.startswith("application/cloudevents") and media not in (STRUCTURED, BATCH)
    if other_mode or not is_json(media):
        raise UnsupportedMediaError(f"Content-Type: {media} is not supported", ACCEPTED)


def decode_events(headers: Mapping[bytes, bytes], lines: Sequence[Header], body: bytes) -> Decoded[CloudEvent]:
    """The events of a request in any mode, after `check_media`; `lines` are its headers one by one. Raises
    MalformedBodyError, TooManyItemsError, ItemRefusedError; UnsupportedMediaError for data whose type is not said."""
    media = media_type(headers, ACCEPTED)
    if media == STRUCTURED:
        return _single(body)
    if media == BATCH:
        return decode_items(body, None, _read)
    if _is_binary(headers):
        if media is None and body:
            raise UnsupportedMediaError(NO_TYPE, ACCEPTED)
        return _binary(lines, body)
    return decode_items(body, None, _read) if body[:64].lstrip()[:1] == b"[" else _single(body)


def _is_binary(headers: Mapping[bytes, bytes]) -> bool:
    return any(_PREFIX + name.encode() in headers for name in _REQUIRED)


def _read(body: bytes) -> tuple[CloudEvent, Sequence[Ignored]]:
    event, ignored = _event.read(body)
    return event, [one for one in ignored if one.field not in EXTENSIONS]


def _single(body: bytes) -> Decoded[CloudEvent]:
    try:
        event, ignored = _read(body)
    except UNREADABLE as e:
        raise single_error(body, e) from e
    return _one(event, ignored)


def _one(event: CloudEvent, ignored: Sequence[Ignored]) -> Decoded[CloudEvent]:
    decoded = Decoded([event])
    warn(decoded.warnings, 0, ignored)
    return decoded


def _binary(lines: Sequence[Header], body: bytes) -> Decoded[CloudEvent]:
    """Attributes in `ce-` headers, data in the body."""
    given: dict[str, str] = {}
    ignored: list[Ignored] = []
    for name, value in ((name.decode("latin-1"), value) for name, value in lines if name.startswith(_PREFIX)):
        attribute = name.removeprefix("ce-")
        if attribute not in _ATTRIBUTES:
            if attribute not in EXTENSIONS:
                ignored.append(Ignored(name[:MAX_FIELD_CHARS], "is not an attribute that Vigie knows: it was ignored"))
            continue
        if attribute in given:
            return _refused(ItemError(Reason.FIELD, name, "is there twice"))
        text = attribute_text(value)
        if text is None:
            return _refused(ItemError(Reason.FIELD, name, "is not UTF-8, as it is or percent-encoded (% as %25)"))
        given[attribute] = text
    missing = [name for name in _REQUIRED if not given.get(name)]
    if missing:
        return _refused(ItemError(Reason.FIELD, missing[0], _without(missing[0], given)))
    try:
        event = msgspec.convert({name: text for name, text in given.items() if text}, CloudEvent)
    except msgspec.ValidationError as e:
        return _refused(item_error(e, b""))
    event.data = Raw(body.strip())
    return _one(event, ignored)


def _without(name: str, given: Mapping[str, str]) -> str:
    return f"is empty: give the header ce-{name} a value" if name in given else f"is missing: send the header ce-{name}"


def _refused(error: ItemError) -> Decoded[CloudEvent]:
    return Decoded([], [], [RejectedItem(0, error)])


def attribute_text(value: bytes) -> str | None:
    """The text of a `ce-` header, as the HTTP binding (3.1.3.2) reads it: quoted or not, then percent-decoded once.
    Bytes beyond ASCII, which senders should have encoded, are UTF-8. None: it is not."""
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        value = _ESCAPED.sub(rb"\1", value[1:-1])
    if b"%" in value:
        if any(digits is None for digits in (found[1] for found in _PERCENT.finditer(value))):
            return None
        value = _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def meaning(event: CloudEvent, now_ms: int) -> Meaning | ItemError:
    """Judge one event and say what it adds."""
    if event.specversion != "1.0":
        return ItemError(Reason.FIELD, "specversion", 'must be "1.0"')
    for name, text in (("id", event.id), ("source", event.source), ("type", event.type)):
        if _NOT_TEXT.search(text):
            return ItemError(Reason.FIELD, name, "holds a control character, or one that is none")
    if event.datacontenttype is not None and not is_json(event.datacontenttype.split(";")[0].strip().lower()):
        return ItemError(Reason.FIELD, "datacontenttype", "must be application/json: other data is not understood")
    data = _data(event)
    if isinstance(data, ItemError):
        return data
    if len(data) > limits.MAX_EVENT_DATA_BYTES:
        return ItemError(Reason.FIELD, "data", f"is longer than {limits.MAX_EVENT_DATA_BYTES} bytes")
    stamp = _time(event.time, now_ms)
    if isinstance(stamp, ItemError):
        return stamp
    mapped = mapping.samples_of(event.type, event.source, data)
    if not isinstance(mapped, ItemError):
        return Meaning(stamp, mapped.samples, mapped.ignored)
    encoded = event.data_base64 is not None and mapped.field == "data"
    return replace(mapped, field="data_base64") if encoded else mapped


def _data(event: CloudEvent) -> bytes | ItemError:
    """The JSON of its data, empty when there is none."""
    encoded, data = event.data_base64, bytes(event.data)
    if encoded is None:
        return data
    if data not in (b"", b"null"):
        return ItemError(Reason.FIELD, "data_base64", "is there beside data: send one of them")
    if len(encoded) > _MAX_BASE64_CHARS:
        return ItemError(Reason.FIELD, "data_base64", f"is longer than {limits.MAX_EVENT_DATA_BYTES} bytes of data")
    try:
        return b64decode(encoded, validate=True).strip()
    except ValueError:
        return ItemError(Reason.FIELD, "data_base64", "is not base64")


def _time(time: str | None, now_ms: int) -> int | ItemError:
    if time is None:
        return now_ms
    try:
        ms = timestamps.to_ms(msgspec.convert({"time": time}, _Time).time, now_ms)
    except msgspec.ValidationError:
        return ItemError(Reason.TIMESTAMP, "time", "must be an RFC 3339 string with its offset")
    return timestamps.check(ms, now_ms, "time") or ms
