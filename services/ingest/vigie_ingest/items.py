"""Cuts a JSON list into its items without believing in any of them, so that one bad item spoils nothing but itself.

Only the slow path: the fast one decodes the whole list at once, and comes here when that fails or the list looks too
long. What is cut is the sender's own bytes; whoever decodes an item sees the same text as in the fast path.
"""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder
from json.decoder import WHITESPACE  # pyright: ignore[reportAttributeAccessIssue]  # undocumented, there since 2.6
from typing import Final

from vigie_contracts import limits

from vigie_ingest.errors import MalformedBodyError, TooManyItemsError

# Python's scanner also takes NaN and Infinity, which are not JSON: good here, since only their item must go.
# The numbers' own values are not needed: `len` takes any digits, where `int` refuses more than 4,300 of them.
_SCAN: Final = JSONDecoder(strict=True, parse_int=len, parse_float=len).raw_decode
_SURROGATE: Final = "surrogateescape"
BOM: Final = b"\xef\xbb\xbf"


def cut(body: bytes, member: str | None) -> list[bytes]:
    """The items of a bare list or, when `member` is given, of `{"<member>": [...]}` too.

    Raises MalformedBodyError, naming the byte, when the body is not JSON around its items; TooManyItemsError as soon
    as there is one item too many.
    """
    if body.startswith(BOM):
        raise MalformedBodyError("the body starts with a byte order mark; send JSON in UTF-8 without one")
    # Bytes that are no UTF-8 survive the round trip and are refused with their item.
    text = body.decode("utf-8", _SURROGATE)
    try:
        return _Cutter(text, member).whole()
    except JSONDecodeError as e:
        at = len(e.doc[: e.pos].encode("utf-8", _SURROGATE))
        raise MalformedBodyError(f"the body is not valid JSON: {_reason(e, text)} (byte {at})") from e
    except RecursionError as e:
        raise MalformedBodyError("the body is nested too deeply") from e


def _reason(error: JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "it is empty"
    return "it ends too early" if error.pos >= len(text) else error.msg[0].lower() + error.msg[1:]


class _Cutter:
    def __init__(self, text: str, member: str | None) -> None:
        self._text = text
        self._member = member

    def whole(self) -> list[bytes]:
        at = self._space(0)
        if self._char(at) == "[":
            items, at = self._list(at)
        elif self._char(at) == "{" and self._member is not None:
            items, at = self._wrapped(at)
        else:
            _SCAN(self._text, at)  # not JSON at all says where; JSON of another shape is told what is wanted
            raise MalformedBodyError(self._wanted())
        if (at := self._space(at)) < len(self._text):
            raise JSONDecodeError("Extra data", self._text, at)
        return items

    def _wanted(self) -> str:
        wrapped = f' or an object {{"{self._member}": [...]}}' if self._member else ""
        return f"the body must be a list{wrapped}"

    def _wrapped(self, at: int) -> tuple[list[bytes], int]:
        items: list[bytes] | None = None
        at = self._space(at + 1)
        while self._char(at) != "}":
            if self._char(at) != '"':
                raise JSONDecodeError("Expecting a property name in double quotes", self._text, at)
            name, at = _SCAN(self._text, at)
            at = self._space(at)
            if self._char(at) != ":":
                raise JSONDecodeError("Expecting ':'", self._text, at)
            at = self._space(at + 1)
            if name != self._member:
                _, at = _SCAN(self._text, at)
            elif items is not None:
                raise MalformedBodyError(f"{self._member}: is there twice")
            elif self._char(at) != "[":
                raise MalformedBodyError(f"{self._member}: must be a list")
            else:
                items, at = self._list(at)
            at = self._next(at, "}")
        if items is None:
            raise MalformedBodyError(self._wanted())
        return items, at + 1

    def _list(self, at: int) -> tuple[list[bytes], int]:
        items: list[bytes] = []
        at = self._space(at + 1)
        while self._char(at) != "]":
            if len(items) == limits.MAX_BATCH_ITEMS:
                raise TooManyItemsError(self._member or "the list")
            start = at
            _, at = _SCAN(self._text, at)
            items.append(self._text[start:at].encode("utf-8", _SURROGATE))
            at = self._next(at, "]")
        return items, at + 1

    def _next(self, at: int, end: str) -> int:
        """Past the comma to the next item, or at the closing bracket."""
        at = self._space(at)
        if self._char(at) == end:
            return at
        if self._char(at) != ",":
            raise JSONDecodeError(f"Expecting ',' or '{end}'", self._text, at)
        comma, at = at, self._space(at + 1)
        if self._char(at) == end:
            raise JSONDecodeError("Trailing comma", self._text, comma)
        return at

    def _space(self, at: int) -> int:
        return WHITESPACE.match(self._text, at).end()

    def _char(self, at: int) -> str:
        return self._text[at : at + 1]
