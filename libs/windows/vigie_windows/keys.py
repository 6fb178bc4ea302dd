"""The key of a cell: chunk, window and slot packed into one non-negative int64.

    bit 62 .......... 40 | 39 ............ 8 | 7 ....... 0
       chunk (23 bits)   | window (32 bits)  | slot (8 bits)

Sorting by key therefore groups the cells of one chunk and window, which is what one stored document holds.
"""

import numpy as np

from vigie_windows.arrays import Int64s
from vigie_windows.errors import InvalidSamplesError

SLOT_BITS = 8
WINDOW_BITS = 32
CHUNK_BITS = 23
SLOTS = 1 << SLOT_BITS
"""Rows per chunk."""
MAX_ROWS = 1 << (CHUNK_BITS + SLOT_BITS)
MAX_WINDOWS = 1 << WINDOW_BITS
MAX_WIDTH_MS = (1 << 31) - 1
SLOT_MASK = SLOTS - 1
WINDOW_MASK = MAX_WINDOWS - 1
CHUNK_SHIFT = WINDOW_BITS + SLOT_BITS


def check_width(width_ms: int) -> None:
    """Refuse a width that offsets inside a window cannot be packed with."""
    if not 0 < width_ms <= MAX_WIDTH_MS:
        raise InvalidSamplesError(f"a window width must be between 1 and {MAX_WIDTH_MS} ms, not {width_ms}")


def group_key(chunk: int, start_ms: int, width_ms: int) -> int:
    """The key of slot 0 of a chunk and window; InvalidSamplesError when one of them is out of range."""
    window, rest = divmod(start_ms, width_ms)
    if rest or not 0 <= window < MAX_WINDOWS:
        raise InvalidSamplesError(f"{start_ms} is not the start of a window of {width_ms} ms")
    if not 0 <= chunk < 1 << CHUNK_BITS:
        raise InvalidSamplesError(f"chunk {chunk} is outside 0 to {(1 << CHUNK_BITS) - 1}")
    return (chunk << CHUNK_SHIFT) | (window << SLOT_BITS)


def chunks_of(key: Int64s) -> Int64s:
    return key >> CHUNK_SHIFT


def windows_of(key: Int64s) -> Int64s:
    return (key >> SLOT_BITS) & WINDOW_MASK


def slots_of(key: Int64s) -> Int64s:
    return key & SLOT_MASK


def rows_of(key: Int64s) -> Int64s:
    return (chunks_of(key) << SLOT_BITS) | slots_of(key)


def widened(key: Int64s, ratio: int) -> Int64s:
    """The keys of the windows `ratio` times as wide that contain these."""
    window = windows_of(key) // np.int64(ratio)
    return (chunks_of(key) << CHUNK_SHIFT) | (window << SLOT_BITS) | slots_of(key)
