"""MongoDB's extended JSON, relaxed and canonical, as plain values. Pure."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_json = msgspec.json.Decoder()


class UnreadableError(ValueError):
    """The text is no document. Says why."""


def document(text: bytes) -> dict[str, Any]:
    """A line of mongoexport: ids as text, times as instants that know their zone, numbers as numbers, and None for what
    is none (NaN, infinity). Raises UnreadableError."""
    try:
        found = _plain(_json.decode(text))
    except msgspec.DecodeError as error:
        raise UnreadableError(f"is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableError("is nested too deeply") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableError(f"is not extended JSON: {error}") from None
    if not isinstance(found, dict):
        raise UnreadableError("is no document: one JSON object per line is expected")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in _TYPES:
            return _TYPES[name](inner)
    return {name: _plain(inner) for name, inner in value.items()}


def _date(inner: Any) -> datetime:
    if isinstance(inner, str):
        at = datetime.fromisoformat(inner)
        if at.tzinfo is None:
            raise ValueError(f"$date {inner[:40]} has no zone")
        return at
    ms = _plain(inner)
    if not isinstance(ms, int) or isinstance(ms, bool):
        raise ValueError("$date is no time")
    return _EPOCH + timedelta(milliseconds=ms)


def _whole(inner: Any) -> int:
    if not isinstance(inner, str):
        raise ValueError("a number must be written as text")
    return int(inner)


def _number(inner: Any) -> float | None:
    found = float(inner) if isinstance(inner, str) else math.nan
    return found if math.isfinite(found) else None


def _text(inner: Any) -> str:
    if not isinstance(inner, str):
        raise ValueError("$oid is no text")
    return inner


_TYPES: dict[str, Callable[[Any], Any]] = {
    "$oid": _text,
    "$date": _date,
    "$numberInt": _whole,
    "$numberLong": _whole,
    "$numberDouble": _number,
    "$numberDecimal": _number,
    "$undefined": lambda _: None,
}
