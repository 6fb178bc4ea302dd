"""What the literals of an expression are worth: strings, numbers, durations; and how strings are written."""

from __future__ import annotations

import re
from typing import Final

from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.lexing import Kind, Token, quoted

_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))|[^\\]+", re.DOTALL
)


def unquoted(token: Token, place: Place) -> str:
    """The value of a string token, whose escapes are Go's. Raises InvalidExpression."""
    quote, inside = token.text[0], token.text[1:-1]
    if quote == "`" or "\\" not in inside:
        return inside
    parts: list[bytes] = []
    for match in _ESCAPE.finditer(inside):
        byte, short, long, octal, plain = match.groups()
        if code := short or long:
            number = int(code, 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise InvalidExpression(f"\\{'u' if short else 'U'}{code} in a string is no character", place)
            parts.append(chr(number).encode())
        elif byte or octal:
            number = int(byte, 16) if byte else int(octal, 8)
            if number > 0xFF:
                raise InvalidExpression(f"\\{octal} in a string is no byte", place)
            parts.append(bytes([number]))
        elif plain is None:
            parts.append(match[0].encode())
        elif plain == quote:
            parts.append(plain.encode())
        elif plain in _ESCAPES:
            parts.append(_ESCAPES[plain].encode())
        else:
            raise InvalidExpression(
                f"unknown escape sequence {quoted(match[0])} in a string", place,
                "write a backslash twice, or the string in backquotes: `\\d`",
            )  # fmt: skip
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise InvalidExpression("a string is not valid UTF-8", place) from None


_PARTS: Final = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
UNITS_MS: Final = {
    "y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1,
}  # fmt: skip
MAX_DURATION_MS: Final = (1 << 63) // 1_000_000
"""292 years, the longest that Prometheus takes."""


def duration_ms(token: Token, place: Place) -> int:
    """Of a duration, or of a number of seconds. Raises InvalidExpression."""
    if token.kind is Kind.NUMBER:
        seconds = number(token, place)
        if not seconds * 1_000 <= MAX_DURATION_MS:
            raise InvalidExpression("duration out of range", place)
        return round(seconds * 1_000)
    match = _PARTS.fullmatch(token.text)
    if match is None:
        raise InvalidExpression(
            f"not a valid duration string: {quoted(token.text)}", place, "units go from large to small: 1h30m"
        )
    if any(len(part or "") > 20 for part in match.groups()):
        raise InvalidExpression("duration out of range", place)
    total = sum(int(part or 0) * unit for part, unit in zip(match.groups(), UNITS_MS.values(), strict=True))
    if total > MAX_DURATION_MS:
        raise InvalidExpression("duration out of range", place)
    return total


def number(token: Token, place: Place) -> float:
    """The value of a number. Raises InvalidExpression."""
    digits = token.text.replace("_", "")
    try:
        if digits[:2].lower() == "0x":
            value = float(int(digits, 16)) if len(digits) <= 18 else float("inf")
        elif len(digits) > 1 and digits.startswith("0") and re.fullmatch("[0-7]+", digits):
            value = float(int(digits, 8))  # as in Go: 0755
        else:
            value = float(digits)
    except OverflowError:
        value = float("inf")
    if value == float("inf"):
        raise InvalidExpression(f"error parsing number: {quoted(token.text[:20])}: value out of range", place)
    return value
