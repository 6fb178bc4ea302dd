"""The parameters of a request, as Prometheus takes them: in the URL, or as a form in the body, or in both."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from vigie_contracts.problems import shortened
from vigie_query.errors import InvalidParameter
from vigie_query.promql.literals import MAX_DURATION_MS, UNITS_MS
from vigie_query.times import rfc3339_ms

MAX_FIELDS: Final = 1_000
MAX_TIME_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\Z", re.ASCII)
_LENGTH: Final = re.compile("".join(rf"(?:(?P<{unit}>\d{{1,15}}){unit})?" for unit in UNITS_MS) + r"\Z", re.ASCII)


class Form:
    """All fields of a request; those of the body come first, as in Go."""

    def __init__(self, query_string: bytes, body: bytes) -> None:
        """Raises InvalidParameter for more than MAX_FIELDS."""
        self._values: dict[str, list[str]] = {}
        for encoded, where in ((body, "body"), (query_string, "query string")):
            for name, value in _fields(encoded, where):
                self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """The first value; empty when there is none, which is the same."""
        return self.texts(name)[0] if name in self._values else ""

    def texts(self, name: str) -> list[str]:
        """All values."""
        return self._values.get(name, [])

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """Unix seconds, or RFC 3339, in milliseconds. Raises InvalidParameter; also for none without a default."""
        given = self.text(name)
        if not given and default_ms is not None:
            return default_ms
        number = _number_ms(given)
        found = rfc3339_ms(given) if number is None else number
        if found is None:
            raise InvalidParameter(name, f'cannot parse "{shortened(given)}" to a valid timestamp')
        if not 0 <= found <= MAX_TIME_MS:
            raise InvalidParameter(name, "must be between the years 1970 and 9999")
        return round(found)

    def duration_ms(self, name: str) -> int | None:
        """Seconds, or units like `1h30m`, in milliseconds; None when there is none. Raises InvalidParameter."""
        given = self.text(name)
        if not given:
            return None
        number = _number_ms(given)
        found = _length_ms(given) if number is None else number
        if found is None:
            raise InvalidParameter(name, f'cannot parse "{shortened(given)}" to a valid duration')
        if abs(found) > MAX_DURATION_MS:
            raise InvalidParameter(name, f'cannot parse "{shortened(given)}" to a valid duration. It overflows int64')
        return round(found)

    def limit(self, name: str = "limit") -> int | None:
        """A number of things; None, and 0, for all of them. Raises InvalidParameter."""
        given = self.text(name)
        if not given:
            return None
        if not re.fullmatch(r"[+-]?\d{1,18}", given, re.ASCII):
            raise InvalidParameter(name, "limit must be a number")
        if int(given) < 0:
            raise InvalidParameter(name, "limit must be non-negative")
        return int(given) or None


def _fields(encoded: bytes, where: str) -> list[tuple[str, str]]:
    try:
        # `curl -d` sends characters as they are.
        return parse_qsl(
            encoded.decode(errors="replace"), keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise InvalidParameter(where, f"has more than {MAX_FIELDS:,} fields") from None


def _number_ms(text: str) -> float | None:
    return float(text) * 1_000 if _NUMBER.match(text) else None


def _length_ms(text: str) -> int | None:
    found = _LENGTH.match(text)
    if found is None:
        return None
    return sum(int(amount) * UNITS_MS[unit] for unit, amount in found.groupdict().items() if amount)
