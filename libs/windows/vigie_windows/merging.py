"""Combining cells: merging batches of one width, and widening windows. Both are one regrouping by key."""

from dataclasses import fields, replace

import numpy as np

from vigie_windows import keys, sketch
from vigie_windows.arrays import Bools, Int64s, strictly_ascending
from vigie_windows.cells import Cells
from vigie_windows.errors import IncompatibleError
from vigie_windows.kinds import Kind
from vigie_windows.resets import Points, turning_points

_POSITIONS = ("sketch_cell", "turn_cell")


def merge(*cells: Cells) -> Cells:
    """All samples of all operands, as if folded together. Any number of operands (at least one) of one width.

    Associative and commutative: sums up to rounding (exactly for integers below 2^53), everything else exactly, but for
    the case that `vigie_windows.resets` states. Merging many at once is cheaper than one after the other.
    Raises IncompatibleError for other widths, or a row that has two kinds.
    """
    if not cells:
        raise IncompatibleError("merge needs at least one operand, to know the width")
    width_ms = cells[0].width_ms
    if any(other.width_ms != width_ms for other in cells):
        raise IncompatibleError(f"cannot merge windows of {sorted({c.width_ms for c in cells})} ms")
    filled = [operand for operand in cells if len(operand)]
    if len(filled) < 2:
        return filled[0] if filled else cells[0]
    return _regrouped(_concatenated(filled))


def widen(cells: Cells, width_ms: int) -> Cells:
    """The same samples in windows of `width_ms`, a multiple of the cells' width (else IncompatibleError)."""
    keys.check_width(width_ms)
    ratio, rest = divmod(width_ms, cells.width_ms)
    if rest:
        raise IncompatibleError(f"{width_ms} ms is not a multiple of {cells.width_ms} ms")
    if ratio == 1:
        return cells
    return _regrouped(replace(cells, width_ms=width_ms, key=keys.widened(cells.key, ratio)))


def renumbered(cells: Cells, rows: Int64s) -> Cells:
    """The same cells under other row numbers. rows: int64[n], of each cell; no two cells of a window get the same."""
    key = (rows >> keys.SLOT_BITS << keys.CHUNK_SHIFT) | (keys.windows_of(cells.key) << keys.SLOT_BITS)
    return _regrouped(replace(cells, key=key | (rows & keys.SLOT_MASK)))


def _concatenated(operands: list[Cells]) -> Cells:
    """One struct with the columns of all operands; its keys are neither sorted nor unique."""
    offsets = np.cumsum([0] + [len(operand) for operand in operands])
    columns = {
        field.name: np.concatenate([getattr(operand, field.name) for operand in operands])
        for field in fields(Cells)
        if field.name not in ("width_ms", *_POSITIONS)
    }
    for name in _POSITIONS:
        columns[name] = np.concatenate(
            [getattr(operand, name) + offset for operand, offset in zip(operands, offsets, strict=False)]
        )
    return Cells(operands[0].width_ms, **columns)


def _regrouped(loose: Cells) -> Cells:
    """Proper cells of a struct whose keys may repeat and come in any order."""
    if strictly_ascending(loose.key):
        return loose
    order = np.argsort(loose.key, kind="stable")  # stable is timsort: operands are sorted runs, so almost linear
    key, kind = loose.key[order], loose.kind[order]
    fresh = np.ones(len(key), np.bool_)
    np.not_equal(key[1:], key[:-1], out=fresh[1:])
    if (~fresh[1:] & (kind[1:] != kind[:-1])).any():
        raise IncompatibleError("a row has two kinds")
    begins = np.flatnonzero(fresh)
    rank = np.cumsum(fresh) - 1
    place = np.empty(len(order), np.int64)
    place[order] = rank
    bucket_columns = sketch.combine(place[loose.sketch_cell], loose.sketch_bucket, loose.sketch_count)
    turns = _turns(loose, order, rank, fresh, place)
    first_ts = np.minimum.reduceat(loose.first_ts[order], begins)
    last_ts = np.maximum.reduceat(loose.last_ts[order], begins)
    first = np.where(loose.first_ts[order] == first_ts[rank], loose.first[order], np.inf)
    last = np.where(loose.last_ts[order] == last_ts[rank], loose.last[order], -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(loose.sum[order], begins)
    return Cells(
        loose.width_ms,
        key[begins],
        kind[begins],
        np.add.reduceat(loose.count[order], begins),
        total,
        np.minimum.reduceat(loose.min[order], begins),
        np.maximum.reduceat(loose.max[order], begins),
        first_ts,
        np.minimum.reduceat(first, begins),
        last_ts,
        np.maximum.reduceat(last, begins),
        *bucket_columns,
        *turns,
    )


def _turns(loose: Cells, order: Int64s, rank: Int64s, fresh: Bools, place: Int64s) -> Points:
    """Turning points from the points that the cells of each group kept."""
    shared = ~fresh
    shared[:-1] |= ~fresh[1:]
    if len(loose.turn_cell):
        turned = np.zeros(int(rank[-1]) + 1, np.bool_)
        turned[place[loose.turn_cell]] = True
        shared |= turned[rank]
    shared &= loose.kind[order] == Kind.CUMULATIVE
    source, cell = order[shared], np.repeat(rank[shared], 2)
    # First and last of each cell side by side: in order already when the operands follow each other in time.
    ts = np.column_stack((loose.first_ts[source], loose.last_ts[source])).ravel()
    value = np.column_stack((loose.first[source], loose.last[source])).ravel()
    if len(loose.turn_cell):
        cell = np.append(cell, place[loose.turn_cell])
        ts, value = np.append(ts, loose.turn_ts), np.append(value, loose.turn_value)
    return turning_points(cell, ts, value, loose.width_ms)
