"""One chunk document, checked: what it must contain, and how long each column must be."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

import numpy as np

from vigie_windows import keys
from vigie_windows.arrays import Int64s
from vigie_windows.chunks.layout import SKETCH, TURNS, VALUES, VERSION, Column, Document

_UNSIGNED = {1: np.dtype("u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
_LONGEST = 1 << 32
_SAME = [bytes([value]) * keys.SLOTS for value in range(256)]
_ALL_SLOTS = bytes(range(keys.SLOTS))


class MalformedError(ValueError):
    """A document breaks the layout; the caller adds which one."""


class Wanted(NamedTuple):
    """Which columns to parse, told once for many documents: to look for members of an enumeration takes long."""

    values: tuple[str, ...]
    first: bool
    sketch: bool
    turns: bool

    @classmethod
    def of(cls, columns: Collection[Column]) -> Self:
        values = tuple(column.value for column in VALUES if column in columns)
        return cls(values, Column.FIRST in columns, Column.SKETCH in columns, Column.TURNS in columns)


class ParsedChunk:
    """The wanted columns of one document as bytes, with lengths checked."""

    __slots__ = ("counts", "kinds", "last_at", "n", "ragged", "single", "slots", "values")

    def __init__(self, document: Document, wanted: Wanted) -> None:
        version, n = document.get("v"), document.get("n")
        if version != VERSION:
            raise MalformedError(f"unknown layout version {version!r}")
        if not isinstance(n, int) or not 1 <= n <= keys.SLOTS:
            raise MalformedError(f"n is {n!r}")
        self.n = n
        self.slots = column(document, "slots", n) if n < keys.SLOTS or "slots" in document else _ALL_SLOTS
        self.kinds = _uniform(document, "kinds", n, 1)
        self.counts = _uniform(document, "count", n)
        self.single = document["count"] == 1
        self.last_at = column(document, "last_at", n, 0)
        last = column(document, "last", n, 8)
        self.values: dict[str, bytes] = {"last": last}
        for name in wanted.values:
            self.values[name] = last if self.single else column(document, name, n, 8)
        if wanted.first:
            self.values["first_at"] = self.last_at if self.single else column(document, "first_at", n, 0)
        self.ragged: dict[str, RaggedColumns] = {}
        if wanted.sketch and not self.single and SKETCH[0] in document:
            self.ragged["sketch"] = RaggedColumns(document, SKETCH, n, (2, 0))
        if wanted.turns and not self.single and TURNS[0] in document:
            self.ragged["turns"] = RaggedColumns(document, TURNS, n, (0, 8))

    def narrow(self, slots: Sequence[int]) -> None:
        """Keep only the cells of these slots, ascending."""
        n = self.n
        # They are ascending too, so a whole column of them is looked through once for each, which is fast.
        kept = [place for slot in slots if (place := self.slots.find(slot)) >= 0]
        self.n = len(kept)
        self.slots = pick(self.slots, n, kept)
        self.kinds = pick(self.kinds, n, kept)
        self.counts = pick(self.counts, n, kept)
        self.last_at = pick(self.last_at, n, kept)
        for name, raw in self.values.items():
            self.values[name] = pick(raw, n, kept)
        for ragged in self.ragged.values():
            ragged.narrow(n, kept)


class RaggedColumns:
    """A column of lengths and two columns of that many items in all."""

    __slots__ = ("items", "lengths", "total")

    def __init__(self, document: Document, names: tuple[str, str, str], n: int, sizes: tuple[int, int]) -> None:
        self.lengths = column(document, names[0], n, 0)
        lengths = unsigned(self.lengths, n)
        if lengths.max() >= _LONGEST:
            raise MalformedError(f"{names[0]} has an item of {lengths.max()}")
        self.total = int(lengths.sum(dtype=np.int64))
        self.items = [column(document, name, self.total, size) for name, size in zip(names[1:], sizes, strict=True)]

    def narrow(self, n: int, kept: list[int]) -> None:
        if not kept:  # nothing of this document is wanted; the caller drops it
            return
        lengths = unsigned(self.lengths, n).astype(np.int64)
        ends = lengths.cumsum()[kept]
        ranges: list[tuple[int, int]] = list(zip((ends - lengths[kept]).tolist(), ends.tolist(), strict=True))
        for index, raw in enumerate(self.items):
            size = len(raw) // self.total if self.total else 1
            self.items[index] = b"".join([raw[begin * size : end * size] for begin, end in ranges])
        self.lengths = pick(self.lengths, n, kept)
        self.total = sum(end - begin for begin, end in ranges)


def column(document: Document, name: str, n: int, size: int = 1) -> bytes:
    """The bytes of a column of n items of `size` bytes; size 0 stands for 1, 2, 4 or 8, told by the length."""
    raw = document.get(name)
    if type(raw) is bytes and len(raw) == n * size > 0:
        return raw
    if not isinstance(raw, bytes):
        raise MalformedError(f"{name} is missing" if raw is None else f"{name} is not binary")
    if not _fits(len(raw), n, size):
        raise MalformedError(f"{name} has {len(raw)} bytes for {n} items")
    return raw


def _fits(length: int, n: int, size: int) -> bool:
    if size or not n:
        return length == n * size
    return length % n == 0 and length // n in _UNSIGNED


def unsigned(raw: bytes, n: int) -> Int64s:
    """The n unsigned integers of a column, as numpy reads them (any unsigned type)."""
    return np.frombuffer(raw, _UNSIGNED[len(raw) // n] if n else np.dtype("u1"))  # type: ignore[return-value]


def pick(raw: bytes, n: int, kept: list[int]) -> bytes:
    """The items at the kept positions of a column of n items."""
    size = len(raw) // n
    if len(kept) == 1:
        return raw[kept[0] * size : (kept[0] + 1) * size]
    return raw if len(kept) == n else b"".join([raw[position * size : (position + 1) * size] for position in kept])


def _uniform(document: Document, name: str, n: int, size: int = 0) -> bytes:
    """A column that may be given as one int for all items."""
    value = document.get(name)
    if not isinstance(value, int):
        return column(document, name, n, size)
    if 0 <= value < len(_SAME):
        return _SAME[value][:n]
    width = size or 8
    if not 0 <= value < 1 << (8 * width):
        raise MalformedError(f"{name} is {value}")
    return value.to_bytes(width, "little") * n
