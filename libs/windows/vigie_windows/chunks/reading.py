"""Chunk documents to cells, thousands at a time: checked one by one, joined as bytes, converted at once."""

from collections.abc import Collection, Iterable
from typing import Final, cast

import numpy as np

from vigie_windows import keys
from vigie_windows.arrays import Bools, Int64s
from vigie_windows.cells import Cells
from vigie_windows.chunks.assembling import assemble
from vigie_windows.chunks.layout import ALL, Column, Document
from vigie_windows.chunks.parsing import MalformedError, ParsedChunk, Wanted
from vigie_windows.errors import CorruptChunkError, InvalidSamplesError

_FEW: Final = 32
"""Wanted slots of a chunk up to which a document with more than these is narrowed; else all is decoded and what is too
much is dropped from the cells."""


def decode(document: Document, chunk: int, start_ms: int, width_ms: int) -> Cells:
    """The cells of one document; CorruptChunkError when it breaks the layout."""
    return decode_many([(chunk, start_ms, document)], width_ms)


def decode_many(
    documents: Iterable[tuple[int, int, Document]],
    width_ms: int,
    *,
    rows: Collection[int] | Int64s | None = None,
    columns: Collection[Column] = ALL,
) -> Cells:
    """The cells of many documents (chunk, window start in ms, document), in any order, each chunk and window once.

    rows: only these row numbers (chunk * 256 + slot); columns: only these, see `stored_fields` for the matching
    projection. In a column left out values are nan, first_ts is the window's start, and sketch and turning points
    are missing: such cells are for reading, not for merging and storing. Raises CorruptChunkError, naming the document.
    """
    keys.check_width(width_ms)
    wanted = None if rows is None else _slots_by_chunk(rows)
    few: dict[int, list[int]] = {
        chunk: np.flatnonzero(slots).tolist()
        for chunk, slots in (wanted or {}).items()
        if np.count_nonzero(slots) <= _FEW
    }
    columns = frozenset(columns)
    parts = Wanted.of(columns)
    parsed: dict[int, ParsedChunk] = {}
    for chunk, start_ms, document in documents:
        if wanted is not None and chunk not in wanted:
            continue
        try:
            group = keys.group_key(chunk, start_ms, width_ms)
            one = ParsedChunk(document, parts)
            if group in parsed:
                raise MalformedError("there are two documents")
        except (MalformedError, InvalidSamplesError) as problem:
            raise CorruptChunkError(chunk, start_ms, str(problem)) from None
        if one.n > _FEW and chunk in few:
            one.narrow(few[chunk])
        if one.n:
            parsed[group] = one
    if not parsed:
        return Cells.empty(width_ms)
    cells = assemble(parsed, width_ms, columns)
    return cells if wanted is None else _only(cells, wanted)


def _only(cells: Cells, wanted: dict[int, Bools]) -> Cells:
    chunks = np.fromiter(wanted, np.int64, len(wanted))
    marked = np.zeros((int(chunks.max()) + 1, keys.SLOTS), np.bool_)
    marked[chunks] = list(wanted.values())
    kept = marked[cells.chunks, cells.slots]
    return cells if kept.all() else cells.select(kept)


def _slots_by_chunk(rows: Collection[int] | Int64s) -> dict[int, Bools]:
    every = cast(Int64s, rows) if isinstance(rows, np.ndarray) else np.fromiter(rows, np.int64, len(rows))
    distinct = np.unique(every)
    chunks, number = np.unique(distinct >> keys.SLOT_BITS, return_inverse=True)
    marked = np.zeros((len(chunks), keys.SLOTS), np.bool_)
    marked[number, distinct & keys.SLOT_MASK] = True
    return dict(zip(chunks.tolist(), marked, strict=True))
