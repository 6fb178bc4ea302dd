"""Parsed chunk documents to cells: columns joined as bytes and converted at once, then checked at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigie_windows import keys, sketch
from vigie_windows.arrays import Bools, Bytes, Floats, Int32s, Int64s, strictly_ascending
from vigie_windows.cells import Cells
from vigie_windows.chunks.layout import VALUES, Column
from vigie_windows.chunks.parsing import ParsedChunk, unsigned
from vigie_windows.errors import CorruptChunkError
from vigie_windows.kinds import KINDS, Kind, sketched
from vigie_windows.resets import Points


def assemble(parsed: Mapping[int, ParsedChunk], width_ms: int, columns: Collection[Column]) -> Cells:
    """Cells of at least one parsed document by group key; CorruptChunkError when the values break the layout."""
    groups = sorted(parsed)
    documents = [parsed[group] for group in groups]
    sizes = [document.n for document in documents]
    check = _ChunkChecker(np.array(groups, np.int64), np.cumsum(sizes), width_ms)
    slots = np.frombuffer(b"".join([document.slots for document in documents]), np.uint8)
    key = np.repeat(np.array(groups, np.int64), sizes) | slots
    if not strictly_ascending(key):
        check.cells(np.append(False, key[1:] <= key[:-1]), "slots are not ascending")
    kind = np.frombuffer(b"".join([document.kinds for document in documents]), np.uint8)
    check.cells(kind >= KINDS, "unknown kind")
    count = _integers([document.counts for document in documents], sizes)
    check.cells(count < 1, "a count is not positive")
    start = keys.windows_of(key) * width_ms
    values = _values(documents, columns, check)
    last_at = _integers([document.last_at for document in documents], sizes)
    check.offsets(last_at)
    first_ts = start
    if Column.FIRST in columns:
        first_at = _integers([document.values["first_at"] for document in documents], sizes)
        check.offsets(first_at)
        first_ts = start + first_at
    buckets = _sketches(documents, kind, values["last"], check) if Column.SKETCH in columns else _NO_BUCKETS
    turns = _turns(documents, start, kind, check) if Column.TURNS in columns else _NO_TURNS
    return Cells(
        width_ms,
        key,
        kind,
        count,
        values["sum"],
        values["min"],
        values["max"],
        first_ts,
        values["first"],
        start + last_at,
        values["last"],
        *buckets,
        *turns,
    )


_NO_INTS = np.empty(0, np.int64)
_NO_BUCKETS = (_NO_INTS, np.empty(0, np.int32), _NO_INTS)
_NO_TURNS: Points = (_NO_INTS, _NO_INTS, np.empty(0))


class _ChunkChecker:
    """Turns a mask of bad cells into an error that names their document."""

    def __init__(self, groups: Int64s, ends: NDArray[np.int64], width_ms: int) -> None:
        self._groups, self._ends, self._width_ms = groups, ends, width_ms

    def cells(self, bad: Bools, reason: str) -> None:
        if bad.any():
            self.fail(int(np.flatnonzero(bad)[0]), reason)

    def offsets(self, offsets: Int64s, cell: Int64s | None = None) -> None:
        bad = (offsets < 0) | (offsets >= self._width_ms)
        if bad.any():
            position = int(np.flatnonzero(bad)[0])
            self.fail(position if cell is None else int(cell[position]), "a timestamp is outside the window")

    def fail(self, cell: int, reason: str) -> None:
        group = self._groups[int(np.searchsorted(self._ends, cell, side="right"))]
        window = int(keys.windows_of(group))
        raise CorruptChunkError(int(keys.chunks_of(group)), window * self._width_ms, reason)


def _values(documents: Sequence[ParsedChunk], columns: Collection[Column], check: _ChunkChecker) -> dict[str, Floats]:
    absent = np.full(sum(document.n for document in documents), np.nan)
    values: dict[str, Floats] = {}
    for name in ("last", *(column.value for column in VALUES)):
        if name != "last" and name not in columns:
            values[name] = absent
            continue
        values[name] = np.frombuffer(b"".join([document.values[name] for document in documents]), "<f8")
        if name != "sum":  # which may have overflowed
            check.cells(~np.isfinite(values[name]), f"{name} is not finite")
    return values


def _sketches(
    documents: Sequence[ParsedChunk], kind: Bytes, last: Floats, check: _ChunkChecker
) -> tuple[Int64s, Int32s, Int64s]:
    cell, bucket_raw, counts = _ragged(documents, "sketch")
    bucket = np.frombuffer(b"".join(bucket_raw), "<i2").astype(np.int32)
    count = _integers(counts, [len(raw) // 2 for raw in bucket_raw])
    bad = (np.abs(bucket) > sketch.BUCKETS) | (count < 1) | ~sketched(kind)[cell]
    if bad.any():
        check.fail(int(cell[bad][0]), "an impossible sketch bucket")
    code = sketch.codes(cell, bucket)
    if not strictly_ascending(code):
        check.fail(int(cell[1:][code[1:] <= code[:-1]][0]), "sketch buckets are not ascending")
    single = np.repeat([document.single for document in documents], [document.n for document in documents])
    alone = np.flatnonzero(single & sketched(kind))
    if not len(alone):
        return cell, bucket, count
    derived = sketch.buckets_of(last[alone])
    if not len(cell):
        return alone, derived, np.ones(len(alone), np.int64)
    order = np.argsort(np.append(cell, alone), kind="stable")
    return (
        np.append(cell, alone)[order],
        np.append(bucket, derived)[order],
        np.append(count, np.ones(len(alone), np.int64))[order],
    )


def _turns(documents: Sequence[ParsedChunk], start: Int64s, kind: Bytes, check: _ChunkChecker) -> Points:
    cell, offset_raw, value_raw = _ragged(documents, "turns")
    value = np.frombuffer(b"".join(value_raw), "<f8")
    offset = _integers(offset_raw, [len(raw) // 8 for raw in value_raw])
    check.offsets(offset, cell)
    same, before = cell[1:] == cell[:-1], offset[1:] < offset[:-1]
    before |= (offset[1:] == offset[:-1]) & (value[1:] <= value[:-1])
    bad = ~np.isfinite(value) | (kind[cell] != Kind.CUMULATIVE) | np.append(False, same & before)[: len(cell)]
    if bad.any():
        check.fail(int(cell[bad][0]), "an impossible turning point")
    return cell, start[cell] + offset, value


def _ragged(documents: Sequence[ParsedChunk], name: str) -> tuple[Int64s, list[bytes], list[bytes]]:
    """The cell of each item, and the two columns of items of the documents that have any."""
    ragged = [document.ragged.get(name) for document in documents]
    filled = [one for one in ragged if one is not None and one.total]
    if not filled:
        return _NO_INTS, [], []
    sizes = [document.n for document in documents]
    lengths = _integers([one.lengths if one else bytes(n) for one, n in zip(ragged, sizes, strict=True)], sizes)
    cell = np.repeat(np.arange(len(lengths)), lengths)
    return cell, [one.items[0] for one in filled], [one.items[1] for one in filled]


def _integers(columns: Sequence[bytes], sizes: Sequence[int]) -> Int64s:
    """int64 of all columns of unsigned integers, one after the other; what does not fit becomes negative."""
    widths = {len(raw) // n for raw, n in zip(columns, sizes, strict=True)}
    if len(widths) == 1:
        joined: NDArray[Any] = unsigned(b"".join(columns), sum(sizes))
        return joined.astype(np.int64)
    if not widths:
        return _NO_INTS
    return np.concatenate(
        [unsigned(raw, n) for raw, n in zip(columns, sizes, strict=True)], dtype=np.int64, casting="unsafe"
    )
