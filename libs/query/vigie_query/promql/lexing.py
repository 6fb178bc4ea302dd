"""The text of an expression as tokens, each with its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import StrEnum
from typing import Final, NamedTuple

from vigie_query.promql.errors import Place


class Kind(StrEnum):
    NAME = "identifier"
    """Keywords too: whether one is meant depends on where it stands."""
    NUMBER = "number"
    DURATION = "duration"
    STRING = "string"
    SIGN = "sign"
    END = "end of input"
    ERROR = "error"
    """What no token begins with; its text says why."""


class Token(NamedTuple):
    kind: Kind
    text: str
    start: int
    """Characters from the beginning of the expression."""

    @property
    def word(self) -> str:
        """The text of a name as keywords are compared, empty for anything else."""
        return self.text.lower() if self.kind is Kind.NAME else ""


_SPACE: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_NAME_IN_BRACKETS: Final = r"[a-zA-Z_][a-zA-Z0-9_]*"
_SIGN: Final = r"=~|!~|==|!=|>=|<=|[-+*/%^=<>(){}\[\],:@]"
_STRING: Final = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`[^`]*`'
_NUMERIC: Final = r"(?:[0-9]|\.[0-9])(?:[eE][+-]|[0-9a-zA-Z_.])*"
_KINDS: Final = (Kind.END, Kind.NAME, Kind.SIGN, Kind.STRING, Kind.NUMBER)
"""By number of the group in these:"""
_OUTSIDE, _IN_BRACKETS = (
    re.compile("|".join(f"({part})" for part in (name, _SIGN, _STRING, _NUMERIC)))
    for name in (_NAME, _NAME_IN_BRACKETS)
)
_DURATION: Final = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_HEXADECIMAL: Final = re.compile(r"0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*")
_DECIMAL: Final = re.compile(r"(?=\.?[0-9])(?:[0-9]+(?:_[0-9]+)*)?(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?(?:[eE][+-]?[0-9]+)?")


class Places:
    """From characters to lines and columns."""

    def __init__(self, text: str) -> None:
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def of(self, start: int) -> Place:
        line = bisect_right(self._lines, start)
        return Place(line, start - self._lines[line - 1] + 1)


def tokens(text: str) -> list[Token]:
    """All up to the end, or to the first error, which is the last token."""
    found: list[Token] = []
    at, in_brackets = 0, False
    while True:
        if space := _SPACE.match(text, at):
            at = space.end()
        token = _token(text, at, in_brackets=in_brackets)
        found.append(token)
        if token.kind in (Kind.END, Kind.ERROR):
            return found
        if token.kind is Kind.SIGN:
            in_brackets = token.text == "[" or (in_brackets and token.text != "]")
        at += len(token.text)


def _token(text: str, at: int, *, in_brackets: bool) -> Token:
    if at == len(text):
        return Token(Kind.END, "", at)
    if match := (_IN_BRACKETS if in_brackets else _OUTSIDE).match(text, at):
        kind = _KINDS[match.lastindex or 0]
        return _numeric(match[0], at) if kind is Kind.NUMBER else Token(kind, match[0], at)
    character = text[at]
    if character in "\"'":
        return Token(Kind.ERROR, "unterminated quoted string", at)
    if character == "`":
        return Token(Kind.ERROR, "unterminated raw string", at)
    return Token(Kind.ERROR, f"unexpected character: {character!r}", at)


def _numeric(text: str, at: int) -> Token:
    # `1e+3` and `1-3`, `0x1e+3`: an exponent's sign belongs to decimal numbers only.
    for kind, pattern in ((Kind.DURATION, _DURATION), (Kind.NUMBER, _HEXADECIMAL), (Kind.NUMBER, _DECIMAL)):
        match = pattern.match(text)
        if match and (match.end() == len(text) or text[match.end()] in "+-"):
            return Token(kind, match[0], at)
    return Token(Kind.ERROR, f"bad number or duration syntax: {quoted(text[:20])}", at)


_QUOTED: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def quoted(text: str) -> str:
    """In quotation marks, so that `unquoted` gives it back."""

    def escaped(character: str) -> str:
        if character in _QUOTED:
            return _QUOTED[character]
        if character.isprintable():
            return character
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

    return f'"{"".join(map(escaped, text))}"'
