"""Cuts a JSON list into its items without believing in any of them, so that one bad item spoils nothing but itself.

Only the slow path: the fast one decodes the whole list at once, and comes here when that fails or the list looks too
long. What is cut is the sender's own bytes; whoever decodes an item sees the same text as in the fast path.
"""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder
from json.decoder import WHITESPACE  # pyright: ignore[reportAttributeAccessIssue]  # undocumented, there since 2.6
from typing import Final

from vigie_contracts import limits

from vigie_ingest.errors import ItemTooLongError, MalformedBodyError, TooManyItemsError
from vigie_ingest.ignored import MAX_PER_ITEM

# Python's scanner also takes NaN and Infinity, which are not JSON: good here, since only their item must go.
# The numbers' own values are not needed: `len` takes any digits, where `int` refuses more than 4,300 of them.
_SCAN: Final = JSONDecoder(strict=True, parse_int=len, parse_float=len).raw_decode
BOM: Final = b"\xef\xbb\xbf"
MAX_ITEM_BYTES: Final = 256 * 1024
"""Finding the end of an item builds what it holds, a hundred bytes for three: so it is never looked for far away."""
_FIRST_LOOK: Final = 1024
"""Nearly every item ends within this many bytes."""
_CUT_WITHIN: Final = 16
"""An error this close to the end of a look may only mean that the look was too short: for `-Infinity`, `\\u1234`."""


def cut(body: bytes, member: str | None) -> tuple[list[bytes], list[str]]:
    """The items of a bare list or, when `member` is given, of `{"<member>": [...]}` too; and the first names that
    stand beside that member.

    Raises MalformedBodyError, naming the byte, when the body is not JSON around its items; TooManyItemsError as soon
    as there is one item too many, and ItemTooLongError for one whose end is too far away.
    """
    if body.startswith(BOM):
        raise MalformedBodyError("the body starts with a byte order mark; send JSON in UTF-8 without one")
    # A character per byte: all of JSON's own are ASCII, and bytes that are no UTF-8 are refused with their item.
    text = body.decode("latin-1")
    try:
        cutter = _Cutter(text, member)
        return cutter.whole(), list(cutter.others)
    except JSONDecodeError as e:
        raise MalformedBodyError(f"the body is not valid JSON: {_reason(e, text)} (byte {e.pos})") from e
    except RecursionError as e:
        raise MalformedBodyError("the body is nested too deeply") from e


def _reason(error: JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "it is empty"
    return "it ends too early" if error.pos >= len(text) else error.msg[0].lower() + error.msg[1:]


def _name(quoted: str) -> str:
    """A member's name: bytes that are not UTF-8, and halves of surrogate pairs, are no reason to refuse the body."""
    name, _ = _SCAN(quoted.encode("latin-1").decode("utf-8", "replace"))
    return name.encode("utf-8", "replace").decode()


class _Cutter:
    def __init__(self, text: str, member: str | None) -> None:
        self._text = text
        self._member = member
        self.others: dict[str, None] = {}  # in their order

    def whole(self) -> list[bytes]:
        at = self._space(0)
        if self._char(at) == "[":
            items, at = self._list(at)
        elif self._char(at) == "{" and self._member is not None:
            items, at = self._wrapped(at)
        else:
            self._skip(at, "the body")  # not JSON at all says where; JSON of another shape is told what is wanted
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
            start = at
            at = self._skip(at, "a member's name")
            name = _name(self._text[start:at])
            at = self._space(at)
            if self._char(at) != ":":
                raise JSONDecodeError("Expecting ':'", self._text, at)
            at = self._space(at + 1)
            if name != self._member:
                at = self._skip(at, name[:64])
                if len(self.others) < MAX_PER_ITEM:
                    self.others[name] = None
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
            at = self._skip(at, f"item {len(items)}")
            items.append(self._text[start:at].encode("latin-1"))
            at = self._next(at, "]")
        return items, at + 1

    def _skip(self, at: int, what: str) -> int:
        """Where the value that starts here ends."""
        for look in (_FIRST_LOOK, MAX_ITEM_BYTES):
            window = self._text[at : at + look]
            short = at + look < len(self._text)
            try:
                _, end = _SCAN(window, 0)
            except JSONDecodeError as e:
                if not short or (e.pos < look - _CUT_WITHIN and not e.msg.startswith("Unterminated string")):
                    raise JSONDecodeError(e.msg, self._text, at + e.pos) from e
            else:
                if not short or end < look:  # a number that ends with the look may go on
                    return at + end
        raise ItemTooLongError(what, MAX_ITEM_BYTES)

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
