"""From samples to cells: the hot path."""

import numpy as np
from numpy.typing import NDArray

from vigie_windows import keys, sketch
from vigie_windows.arrays import Bools, Bytes, Floats, Int64s, run_starts
from vigie_windows.cells import Cells
from vigie_windows.errors import InvalidSamplesError
from vigie_windows.kinds import KINDS, Kind, sketched
from vigie_windows.resets import turning_points

_GRID_PER_SAMPLE = 8
"""Grid squares per sample up to which a direct grid is cheaper than sorting (measured)."""
_SMALL_GRID = 4096


def fold(rows: NDArray[np.integer], timestamps: Int64s, values: Floats, kinds: Bytes, width_ms: int = 10_000) -> Cells:
    """Cells of n samples in any order.

    rows: int[n], row numbers below len(kinds); timestamps: int64[n], ms since the epoch, not negative;
    values: float64[n], finite; kinds: uint8[rows], the `Kind` of every row.
    A window starts at a multiple of `width_ms`.

    Sums are added in the order of the samples, so they are exact for integers below 2^53 and otherwise differ between
    orders by rounding only; every other column is independent of the order. A sum beyond float64 becomes infinite.
    Raises InvalidSamplesError when a column has another length, or a row, timestamp, value or kind is out of range.
    """
    keys.check_width(width_ms)
    rows = rows.astype(np.int64, copy=False)
    if not len(rows) == len(timestamps) == len(values):
        raise InvalidSamplesError(f"{len(rows)} rows, {len(timestamps)} timestamps, {len(values)} values")
    if not len(rows):
        return Cells.empty(width_ms)
    _check(rows, timestamps, values, kinds, width_ms)
    key, place, count = _cells_of(rows, timestamps, width_ms)
    kind = kinds[keys.rows_of(key)]
    if kind.max() >= KINDS:
        raise InvalidSamplesError(f"there is no kind {kind.max()}")
    if len(key) == len(rows):
        columns = _single(place, timestamps, values)
    else:
        columns = _accumulated(place, len(key), timestamps, values)
    chosen = _samples_of(sketched(kind), place)
    buckets = sketch.tally(place[chosen], sketch.buckets_of(values[chosen]), len(key))
    chosen = _samples_of(kind == Kind.CUMULATIVE, place)
    turns = turning_points(place[chosen], timestamps[chosen], values[chosen], width_ms)
    return Cells(width_ms, key, kind, count, *columns, *buckets, *turns)


def _check(rows: Int64s, timestamps: Int64s, values: Floats, kinds: Bytes, width_ms: int) -> None:
    limit = min(len(kinds), keys.MAX_ROWS)
    if rows.min() < 0 or rows.max() >= limit:
        raise InvalidSamplesError(f"row numbers must be between 0 and {limit - 1}")
    if timestamps.min() < 0 or timestamps.max() // width_ms >= keys.MAX_WINDOWS:
        raise InvalidSamplesError(f"timestamps must be between 0 and {width_ms * keys.MAX_WINDOWS - 1} ms")
    if not np.isfinite(values).all():
        raise InvalidSamplesError("values must be finite")


def _cells_of(rows: Int64s, timestamps: Int64s, width_ms: int) -> tuple[Int64s, Int64s, Int64s]:
    """Key and count of each cell, and the position of each sample's cell."""
    chunk_low = int(rows.min()) >> keys.SLOT_BITS
    chunk_count = (int(rows.max()) >> keys.SLOT_BITS) - chunk_low + 1
    window_low = int(timestamps.min()) // width_ms
    window_count = int(timestamps.max()) // width_ms - window_low + 1
    # The square of a sample in the grid (chunk, window, slot) that just holds all of them: in the order of keys.
    if window_count == 1:
        square = rows - (chunk_low << keys.SLOT_BITS)
    else:
        square = (rows >> keys.SLOT_BITS) - chunk_low
        square *= window_count
        square += (timestamps - window_low * width_ms) // width_ms
        square <<= keys.SLOT_BITS
        square |= rows & keys.SLOT_MASK
    squares = chunk_count * window_count * keys.SLOTS
    if squares <= max(_SMALL_GRID, _GRID_PER_SAMPLE * len(rows)):
        used, place, count = _by_grid(square, squares)
    else:
        used, place, count = _by_sorting(square)
    group = used >> keys.SLOT_BITS
    chunk, window = group // window_count + chunk_low, group % window_count + window_low
    key = (chunk << keys.CHUNK_SHIFT) | (window << keys.SLOT_BITS) | (used & keys.SLOT_MASK)
    return key, place, count


def _by_grid(square: Int64s, squares: int) -> tuple[Int64s, Int64s, Int64s]:
    counts = np.bincount(square, minlength=squares)
    used = np.flatnonzero(counts > 0)
    if len(used) == squares:
        return used, square, counts
    place = np.empty(squares, np.int64)
    place[used] = np.arange(len(used))
    return used, place[square], counts[used]


def _by_sorting(square: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    order = np.argsort(square)
    ordered = square[order]
    begins = run_starts(ordered)
    counts = np.diff(np.append(begins, len(square)))
    place = np.empty(len(square), np.int64)
    place[order] = np.repeat(np.arange(len(begins)), counts)
    return ordered[begins], place, counts


def _samples_of(cells: Bools, place: Int64s) -> slice | Bools:
    """What selects the samples whose cell is marked: without work when that is all or none of them."""
    if cells.all():
        return slice(None)
    return cells[place] if cells.any() else slice(0)


_Columns = tuple[Floats, Floats, Floats, Int64s, Floats, Int64s, Floats]


def _single(place: Int64s, timestamps: Int64s, values: Floats) -> _Columns:
    """Sum, min, max, first and last of cells with one sample each."""
    value, ts = np.empty_like(values), np.empty_like(timestamps)
    value[place], ts[place] = values, timestamps
    return value, value, value, ts, value, ts, value


def _accumulated(place: Int64s, cells: int, timestamps: Int64s, values: Floats) -> _Columns:
    """Sum, min, max, first and last of cells with any number of samples."""
    total: Floats = np.bincount(place, values, cells).astype(np.float64, copy=False)
    low, high = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(low, place, values)
    np.maximum.at(high, place, values)
    first_ts, last_ts = np.full(cells, timestamps.max()), np.full(cells, timestamps.min())
    np.minimum.at(first_ts, place, timestamps)
    np.maximum.at(last_ts, place, timestamps)
    first, last = np.full(cells, np.inf), np.full(cells, -np.inf)
    at = np.flatnonzero(timestamps == first_ts[place])
    np.minimum.at(first, place[at], values[at])
    at = np.flatnonzero(timestamps == last_ts[place])
    np.maximum.at(last, place[at], values[at])
    return total, low, high, first_ts, first, last_ts, last
