"""Metrics as senders write them: bytes to structs, with an error per item that names the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct
from vigie_contracts import limits
from vigie_contracts.events import CURRENCY
from vigie_contracts.problems import MAX_WARNINGS, ItemProblem
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import UNREADABLE, Metric, MetricType, Temporality

from vigie_ingest import items
from vigie_ingest.errors import ItemRefusedError, MalformedBodyError, RejectedItem, RequestError, TooManyItemsError
from vigie_ingest.ignored import FieldReader, Ignored, warn

T = TypeVar("T")


class MetricList(Struct, gc=False):
    """The body of a batch."""

    metrics: list[Metric]


@dataclass(slots=True)
class Decoded(Generic[T]):
    """What could be read of a list. `items[i]` stands at `indexes[i]` of the request, at i when `indexes` is None.
    `warnings` say what was ignored, of the items that could be read."""

    items: list[T]
    indexes: list[int] | None = None
    rejected: list[RejectedItem] = field(default_factory=list[RejectedItem])
    warnings: list[ItemProblem] = field(default_factory=list[ItemProblem])

    def index(self, i: int) -> int:
        """Where item i stood in the request."""
        return i if self.indexes is None else self.indexes[i]


class _RawList(Struct, gc=False):
    metrics: list[Raw]


_metric: Final = FieldReader(Metric, "a metric")
_list: Final = FieldReader(MetricList, "the body")


class _StrictList(MetricList, gc=False, forbid_unknown_fields=True):
    metrics: list[_metric.strict]  # pyright: ignore[reportInvalidTypeForm]  # made of Metric, so known here only


_metrics: Final = msgspec.json.Decoder(list[Metric])
_wrapped_metrics: Final = msgspec.json.Decoder(MetricList)
_strict_metrics: Final = msgspec.json.Decoder(list[_metric.strict])
_strict_wrapped: Final = msgspec.json.Decoder(_StrictList)
_raw: Final = msgspec.json.Decoder(list[Raw])
_raw_wrapped: Final = msgspec.json.Decoder(_RawList)
_SMALLEST_METRIC: Final = len('{"name":"a","type":"gauge","value":0},')


def decode_metric(body: bytes) -> tuple[Metric, Sequence[Ignored]]:
    """The body of a single request, and what is ignored of it. Raises MalformedBodyError or ItemRefusedError."""
    try:
        return _metric.read(body)
    except UNREADABLE as e:
        raise single_error(body, e) from e


def decode_metrics(body: bytes) -> Decoded[Metric]:
    """The body of a batch request, bare or wrapped. Raises MalformedBodyError or TooManyItemsError."""
    bare = body[:64].lstrip()[:1] == b"["
    try:
        if len(body) > limits.MAX_BATCH_ITEMS * _SMALLEST_METRIC and body.count(b"{") > 2 * limits.MAX_BATCH_ITEMS + 1:
            return decode_items(body, "metrics", _metric.read)  # stops at the limit instead of building them all
        found, warnings = _all_metrics(body, bare)
    except UNREADABLE:
        return decode_items(body, "metrics", _metric.read)
    if len(found) > limits.MAX_BATCH_ITEMS:
        raise TooManyItemsError("metrics")
    return Decoded(found, warnings=warnings)


def _all_metrics(body: bytes, bare: bool) -> tuple[list[Metric], list[ItemProblem]]:
    """The whole list at once, and what was ignored beside it and of its first items that have something to ignore."""
    warnings: list[ItemProblem] = []
    try:
        return (_strict_metrics.decode(body) if bare else _strict_wrapped.decode(body).metrics), warnings
    except msgspec.ValidationError:
        found = _metrics.decode(body) if bare else _wrapped_metrics.decode(body).metrics
    warn(warnings, None, () if bare else _list.ignored(body))
    for index, item in enumerate(_raw.decode(body) if bare else _raw_wrapped.decode(body).metrics):
        if len(warnings) == MAX_WARNINGS:
            break
        warn(warnings, index, _metric.read(item)[1])
    return found, warnings


def decode_items(body: bytes, member: str | None, read: Callable[[bytes], tuple[T, Iterable[Ignored]]]) -> Decoded[T]:
    """Item by item: the readable ones with what was ignored of them, and an error for each of the others."""
    decoded = Decoded[T]([], [])
    indexes = decoded.indexes = []
    found, others = items.cut(body, member)
    warn(decoded.warnings, None, _list.named(others))
    for index, item in enumerate(found):
        try:
            readable, ignored = read(item)
            decoded.items.append(readable)
            indexes.append(index)
            warn(decoded.warnings, index, ignored)
        except UNREADABLE as e:
            decoded.rejected.append(RejectedItem(index, item_error(e, item)))
    return decoded


_AT: Final = re.compile(r"(?P<text>.*) - at `(?:key in )?\$?\.?(?P<path>.*)`\Z", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_EXPECTED: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_LENGTH: Final = re.compile(r"Expected `(?P<type>\w+)` of length (?P<sign>[<>]=|==) (?P<bound>\d+)")
_BOUND: Final = re.compile(r"Expected `\w+` (?P<sign>[<>]=?) (?P<bound>\S+)")
_SIGNS: Final = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "==": "exactly"}
_UNITS: Final = {"str": "character", "array": "item", "object": "member"}
_FORMS: Final = {CURRENCY: "must be three capital letters, an ISO 4217 code such as EUR"}
"""What texts must look like, by the pattern that they are held to."""
_TYPES: Final = {
    "str": "a string",
    "float": "a number",
    "int": "an integer",
    "int | datetime | null": "milliseconds since 1970 as an integer, or an RFC 3339 string with its offset",
    "int | str": "an ISO 8601 time with its offset, or milliseconds since 1970 as an integer",
    "object": "an object",
    "array": "a list",
    "bool": "true or false",
}
_CHOICES: Final = {"type": get_args(MetricType), "temporality": get_args(Temporality)}
"""By field: the decoder does not say what it would take."""
_BYTE: Final = re.compile(r"\(byte (?P<at>\d+)\)")
_NEAR: Final = 512
"""Bytes before an error, and after it, that can tell what it is."""
_NOT_A_NUMBER: Final = re.compile(rb'"(?P<field>[^"\\]{1,64})"\s*:\s*-?(?:NaN|Infinity)')


def item_error(error: Exception, item: bytes) -> ItemError:
    """The sentence for the sender of one undecodable item."""
    match error:
        case RecursionError():
            return ItemError(Reason.MALFORMED, "item", "is nested too deeply")
        case UnicodeDecodeError():
            return ItemError(Reason.MALFORMED, "item", "holds bytes that are not UTF-8")
        case msgspec.ValidationError():
            return _validation_error(str(error))
    near = _near(item, str(error))
    if found := _NOT_A_NUMBER.search(near):
        return ItemError(Reason.VALUE, found["field"].decode("utf-8", "replace"), "must be a finite number")
    if b"\\u" in near:
        return ItemError(Reason.MALFORMED, "item", "holds an invalid \\u escape, such as half a surrogate pair")
    return ItemError(Reason.MALFORMED, "item", f"is not valid JSON: {_complaint(str(error))}")


def _complaint(message: str) -> str:
    """The decoder's sentence without its own preamble."""
    return "it ends too early" if "truncated" in message else message.removeprefix("JSON is malformed: ")


def _near(item: bytes, message: str) -> bytes:
    """Where msgspec stopped, or the start when it does not say: an item may be as long as a body."""
    found = _BYTE.search(message)
    at = int(found["at"]) if found else 0
    return item[max(0, at - _NEAR) : at + _NEAR]


def _validation_error(message: str) -> ItemError:
    path = ""
    if at := _AT.match(message):
        message, path = at["text"], at["path"]
    if missing := _MISSING.match(message):
        return ItemError(Reason.FIELD, ".".join(filter(None, (path, missing["name"]))), "is missing")
    where = path or "item"
    if expected := _EXPECTED.match(message):
        bare = expected["wanted"].removesuffix(" | null")
        wanted = _TYPES.get(expected["wanted"]) or _TYPES.get(bare, bare)
        got = _TYPES.get(expected["got"], expected["got"])
        return ItemError(Reason.FIELD, where, f"must be {wanted}, but is {got}")
    if length := _LENGTH.match(message):
        return ItemError(Reason.FIELD, where, _length(length["type"], length["sign"], int(length["bound"])))
    if bound := _BOUND.match(message):
        return ItemError(Reason.FIELD, where, f"must be {_SIGNS[bound['sign']]} {float(bound['bound']):.15g}")
    match message.split(" ", 2):
        case ["Number" | "Integer", *_]:
            return ItemError(Reason.VALUE, where, "must be a finite number that fits 64-bit floating point")
        case ["Invalid", "enum", *_]:
            choices = ", ".join(_CHOICES.get(where, ("the values allowed",)))
            return ItemError(Reason.FIELD, where, f"must be one of {choices}, but is {message[19:][:60]}")
        case ["Invalid", "RFC3339", *_]:
            return ItemError(Reason.TIMESTAMP, where, f"must be {_TYPES['int | datetime | null']}")
    if "timezone" in message:
        return ItemError(Reason.TIMESTAMP, where, f"must be {_TYPES['int | datetime | null']}")
    form = next((sentence for pattern, sentence in _FORMS.items() if repr(pattern) in message), None)
    return ItemError(Reason.FIELD, where, form or "has a value that is not allowed")


def _length(type_: str, sign: str, bound: int) -> str:
    if (sign, bound) == (">=", 1):
        return "must not be empty"
    unit = _UNITS.get(type_, "byte")
    return f"must have {_SIGNS[sign]} {bound} {unit}{'s' if bound != 1 else ''}"


def single_error(body: bytes, error: Exception) -> RequestError:
    """What to answer when a body of one item is not readable: is it no JSON, or JSON with a wrong field?"""
    if body.startswith(items.BOM):
        return MalformedBodyError("the body starts with a byte order mark; send JSON in UTF-8 without one")
    if not body.strip():
        return MalformedBodyError("the body is empty; a JSON object is wanted")
    described = item_error(error, body)
    if described.reason is not Reason.MALFORMED:
        return ItemRefusedError(described)
    return MalformedBodyError(f"the body {described.detail}")
