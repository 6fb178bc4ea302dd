"""Telemetry of the past, a line each: JSON lines, or the CSV of the replaced table `tenant_metrics`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from vigie_contracts import limits
from vigie_contracts import telemetry as contract
from vigie_contracts.tenants import tenant_id
from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import UNREADABLE

from vigie_ingest.decoding import Decoded, item_error
from vigie_ingest.errors import MalformedBodyError, RejectedItem, TooManyItemsError, UnsupportedMediaError
from vigie_ingest.idempotency import report_key
from vigie_ingest.ignored import FieldReader, Ignored, warn
from vigie_ingest.items import BOM
from vigie_ingest.media import media_type
from vigie_ingest.telemetry import NodeReport, TelemetryDto, bounds_error, fault

CSV: Final = "text/csv"
JSON_LINES: Final = "application/x-ndjson"
ACCEPTED: Final = f"{JSON_LINES}, {CSV}"
_JSON_LINES: Final = frozenset({JSON_LINES, "application/ndjson", "application/jsonl", "application/x-jsonlines"})

IGNORED: Final = "id"
"""A column that exports of the replaced table have; reports get ids of their own."""
_TEXTS: Final = ("tenantId", contract.VERSION, "timestamp")
_NUMBERS: Final = contract.NUMBERS
_REQUIRED: Final = ("tenantId", *contract.REQUIRED_NUMBERS, "timestamp")
_INT64: Final = 1 << 63
_COLUMNS: Final = (*_TEXTS, *_NUMBERS, contract.ADDITIONAL)
_WHEN: Final = "must be an ISO 8601 time with its offset, such as 2025-11-24T10:30:00Z, or milliseconds since 1970"

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""As in JSON: Python's `float` also takes `1_000`, ` 1`, other scripts' digits, `nan` and `inf`."""
_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")
"""Far beyond every time; longer ones stay text, which is refused."""


class HistoryLine(TelemetryDto, kw_only=True):
    """One line."""

    timestamp: int | str


_line: Final = FieldReader(HistoryLine, "a line")


def check_media(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaError unless the body says that it is one of the two."""
    _is_csv(headers)


def decode_history(headers: Mapping[bytes, bytes], body: bytes, now_ms: int, retention_ms: int) -> Decoded[NodeReport]:
    """What can be read of the lines, no older than `retention_ms`. An index counts lines, blank ones too, or records of
    CSV, from 0.

    Raises MalformedBodyError for CSV whose header or quotes are wrong, TooManyItemsError.
    """
    lines = _csv_lines(body) if _is_csv(headers) else _json_lines(body)
    decoded = Decoded[NodeReport]([], [])
    indexes = decoded.indexes = []
    for index, line in enumerate(lines):
        if index == limits.MAX_BATCH_ITEMS:
            raise TooManyItemsError("lines")
        if line is None:
            continue
        if isinstance(line, ItemError):
            decoded.rejected.append(RejectedItem(index, line))
            continue
        said, ignored = line
        report = _report(said, now_ms, retention_ms)
        if isinstance(report, ItemError):
            decoded.rejected.append(RejectedItem(index, report))
            continue
        decoded.items.append(report)
        indexes.append(index)
        warn(decoded.warnings, index, ignored)
    return decoded


def _is_csv(headers: Mapping[bytes, bytes]) -> bool:
    media = media_type(headers, ACCEPTED)
    if media != CSV and media not in _JSON_LINES:
        raise UnsupportedMediaError(f"Content-Type: {media or 'none'} is not supported", ACCEPTED)
    return media == CSV


Lines = Iterator[tuple[HistoryLine, Sequence[Ignored]] | ItemError | None]
"""One by one, with what was ignored of each: a body may hold millions. None for a blank one."""


def _json_lines(body: bytes) -> Lines:
    for text in io.BytesIO(body.removeprefix(BOM)):
        if not text.strip():
            yield None
            continue
        try:
            yield _line.read(text)
        except UNREADABLE as e:
            yield bounds_error(e) or item_error(e, text)


def _csv_lines(body: bytes) -> Lines:
    try:
        rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        columns = _columns(next(rows, []))
        for row in rows:
            line = _row(columns, row)
            yield line if isinstance(line, ItemError) else (line, ())
    except UnicodeDecodeError as e:
        raise MalformedBodyError(f"the body is not UTF-8 (byte {e.start})") from e
    except csv.Error as e:
        raise MalformedBodyError(f"the body is not valid CSV: {e}") from e


def _columns(header: Sequence[str]) -> list[str]:
    """The field of each column, whatever its case and underscores."""
    fields = {_folded(name): name for name in (*_COLUMNS, IGNORED)}
    named = [fields.get(_folded(name)) for name in header]
    for name, field in zip(header, named, strict=True):
        if field is None:
            raise MalformedBodyError(f"the CSV header names a column {name[:64]!r}, which is none of {_COLUMNS}")
    if missing := [name for name in _REQUIRED if name not in named]:
        raise MalformedBodyError(f"the CSV header lacks the column {missing[0]}")
    if len(set(named)) != len(named):
        raise MalformedBodyError("the CSV header names a column twice")
    return [field for field in named if field is not None]


def _folded(name: str) -> str:
    return name.strip().replace("_", "").lower()


def _row(columns: Sequence[str], row: Sequence[str]) -> HistoryLine | ItemError:
    if len(row) != len(columns):
        return ItemError(Reason.MALFORMED, "line", f"has {len(row)} fields, the header has {len(columns)}")
    given: dict[str, Any] = {}
    for name, text in zip(columns, row, strict=True):
        if text == "" or name == IGNORED:  # PostgreSQL writes null as nothing
            continue
        try:
            given[name] = _value(name, text)
        except UNREADABLE as e:
            return ItemError(Reason.MALFORMED, name, item_error(e, text.encode()).detail)
    try:
        return msgspec.convert(given, HistoryLine)
    except msgspec.ValidationError as e:
        return bounds_error(e) or item_error(e, b"")


def _value(name: str, text: str) -> Any:
    """A field of CSV as JSON would have it; what is no number stays text, and is refused as such."""
    if name == contract.ADDITIONAL:
        return msgspec.json.decode(text)
    if name in _NUMBERS:
        return float(text) if _NUMBER.fullmatch(text) else text
    if name == "timestamp" and _INTEGER.fullmatch(stamp := text.strip()):
        return int(stamp)
    return text


def _report(line: HistoryLine, now_ms: int, retention_ms: int) -> NodeReport | ItemError:
    if error := fault(line):
        return error
    at_ms = _instant(line.timestamp, now_ms)
    if isinstance(at_ms, ItemError):
        return at_ms
    if error := timestamps.check(at_ms, now_ms, max_age_ms=retention_ms):
        return error
    spelling = msgspec.json.encode(canonical(line.body()), order="sorted")
    tenant = tenant_id(line.tenant_id) or line.tenant_id
    return NodeReport(tenant, at_ms, report_key(tenant, at_ms, spelling), line, others_too=True)


def canonical(value: Any) -> Any:
    """The same JSON with one spelling per number: 1.0 and 1e0 are 1, as far as integers of 64 bits go."""
    match value:
        case float() if value.is_integer() and -_INT64 <= value < _INT64:
            return int(value)
        case dict():
            return {key: canonical(inner) for key, inner in value.items()}
        case list():
            return [canonical(inner) for inner in value]
        case _:
            return value


def _instant(stamp: int | str, now_ms: int) -> int | ItemError:
    if isinstance(stamp, int):
        return timestamps.to_ms(stamp, now_ms)
    try:
        when = datetime.fromisoformat(stamp.strip())
    except ValueError:
        return ItemError(Reason.TIMESTAMP, "timestamp", _WHEN)
    if when.tzinfo is None:
        return ItemError(Reason.TIMESTAMP, "timestamp", f"says no offset from UTC: {_WHEN}")
    return timestamps.to_ms(when, now_ms)
