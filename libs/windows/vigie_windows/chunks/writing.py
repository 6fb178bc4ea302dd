"""Cells to chunk documents. Columns are converted once for all documents, which are then cuts of the bytes."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigie_windows import keys
from vigie_windows.arrays import Int64s
from vigie_windows.cells import Cells
from vigie_windows.chunks.layout import VALUES, VERSION
from vigie_windows.errors import IncompatibleError

_Cut = Callable[[int, int], bytes]
_WIDTHS = ((1, 1 << 8), (2, 1 << 16), (4, 1 << 32))


def encode(cells: Cells) -> dict[str, bytes | int]:
    """The document of the cells of exactly one chunk and window; IncompatibleError for more, or none."""
    documents = list(encode_all(cells))
    if len(documents) != 1:
        raise IncompatibleError(f"a document holds one chunk and window, not {len(documents)}")
    return documents[0][2]


def encode_all(cells: Cells) -> Iterator[tuple[int, int, dict[str, bytes | int]]]:
    """(chunk, window start in ms, document) of each chunk and window of the cells, in key order."""
    if not len(cells):
        return
    bounds = cells.group_bounds()
    at = bounds[:-1]
    starts = cells.starts
    slots, kinds = _cutter(cells.slots, "u1"), _cutter(cells.kind, "u1")
    counts, last = _Unsigned(cells.count), _cutter(cells.last, "<f8")
    last_at, first_at = _Unsigned(cells.last_ts - starts), _Unsigned(cells.first_ts - starts)
    values = [(column.value, _cutter(getattr(cells, column.value), "<f8")) for column in VALUES]
    sketches, turns = _Sketches(cells, bounds), _Turns(cells, bounds, starts)
    lowest, highest = np.minimum.reduceat(cells.count, at).tolist(), np.maximum.reduceat(cells.count, at).tolist()
    one_kind = (np.minimum.reduceat(cells.kind, at) == np.maximum.reduceat(cells.kind, at)).tolist()
    group_chunks, group_starts = cells.chunks[at].tolist(), starts[at].tolist()
    group_kinds, edges = cells.kind[at].tolist(), bounds.tolist()
    at_limit = cells.width_ms - 1
    for group, (begin, end) in enumerate(pairwise(edges)):
        low, high = lowest[group], highest[group]
        document: dict[str, bytes | int] = {"v": VERSION, "n": end - begin}
        if end - begin < keys.SLOTS:
            document["slots"] = slots(begin, end)
        document["kinds"] = group_kinds[group] if one_kind[group] else kinds(begin, end)
        document["count"] = high if low == high else counts.cut(begin, end, high)
        document["last"] = last(begin, end)
        document["last_at"] = last_at.cut(begin, end, at_limit)
        if high > 1:
            document["first_at"] = first_at.cut(begin, end, at_limit)
            for name, cut in values:
                document[name] = cut(begin, end)
            sketches.add(document, group, begin, end)
            turns.add(document, group, begin, end)
        yield group_chunks[group], group_starts[group], document


def _cutter(column: NDArray[Any], dtype: str) -> _Cut:
    size = np.dtype(dtype).itemsize
    raw = memoryview(column.astype(dtype).tobytes())
    return lambda begin, end: bytes(raw[begin * size : end * size])


class _Unsigned:
    """A column that each document stores in the narrowest unsigned type that holds its largest value."""

    def __init__(self, column: Int64s) -> None:
        self._column = column
        self._cutters: dict[int, _Cut] = {}

    def cut(self, begin: int, end: int, largest: int) -> bytes:
        size = next((width for width, limit in _WIDTHS if largest < limit), 8)
        cutter = self._cutters.get(size)
        if cutter is None:
            cutter = self._cutters[size] = _cutter(self._column, f"<u{size}")
        return cutter(begin, end)


def _peaks(column: Int64s, edges: Int64s) -> list[int]:
    """The largest value between neighbouring edges; 0 where nothing is between."""
    peaks = np.zeros(len(edges) - 1, np.int64)
    filled = np.flatnonzero(edges[1:] > edges[:-1])
    if len(filled):
        peaks[filled] = np.maximum.reduceat(column, edges[filled])
    return peaks.tolist()


class _Sketches:
    def __init__(self, cells: Cells, bounds: Int64s) -> None:
        lengths = np.bincount(cells.sketch_cell, minlength=len(cells))
        edges = np.searchsorted(cells.sketch_cell, bounds)
        self._edges: list[int] = edges.tolist()
        self._longest, self._highest = _peaks(lengths, bounds), _peaks(cells.sketch_count, edges)
        self._lengths, self._counts = _Unsigned(lengths), _Unsigned(cells.sketch_count)
        self._buckets = _cutter(cells.sketch_bucket, "<i2")

    def add(self, document: dict[str, bytes | int], group: int, begin: int, end: int) -> None:
        first, last = self._edges[group], self._edges[group + 1]
        if first == last:
            return
        document["sketch_len"] = self._lengths.cut(begin, end, self._longest[group])
        document["sketch_bucket"] = self._buckets(first, last)
        document["sketch_count"] = self._counts.cut(first, last, self._highest[group])


class _Turns:
    def __init__(self, cells: Cells, bounds: Int64s, starts: Int64s) -> None:
        lengths = np.bincount(cells.turn_cell, minlength=len(cells))
        self._edges: list[int] = np.searchsorted(cells.turn_cell, bounds).tolist()
        self._longest = _peaks(lengths, bounds)
        self._lengths, self._at = _Unsigned(lengths), _Unsigned(cells.turn_ts - starts[cells.turn_cell])
        self._values = _cutter(cells.turn_value, "<f8")
        self._at_limit = cells.width_ms - 1

    def add(self, document: dict[str, bytes | int], group: int, begin: int, end: int) -> None:
        first, last = self._edges[group], self._edges[group + 1]
        if first == last:
            return
        document["turn_len"] = self._lengths.cut(begin, end, self._longest[group])
        document["turn_at"] = self._at.cut(first, last, self._at_limit)
        document["turn_value"] = self._values(first, last)
