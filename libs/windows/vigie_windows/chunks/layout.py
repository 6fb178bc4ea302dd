"""The fields of a chunk document.

Columns are little-endian; unsigned integers have 1, 2, 4 or 8 bytes, told by the length.

    v              1, the version of this layout
    n              number of cells, 1 to 256
    slots          uint8[n], ascending; absent when n is 256
    kinds          one int for all cells, or uint8[n]
    count          one int for all cells, or unsigned[n]
    last, last_at  float64[n]; unsigned[n], ms from the window start
    sum, min, max, first, first_at
                   float64[n], first_at like last_at; absent when count is the int 1: then they equal last and last_at
    sketch_len, sketch_bucket, sketch_count
                   unsigned[n] buckets per cell, then int16[m] and unsigned[m] in cell order; absent when no cell has a
                   bucket, and when count is the int 1 (the sketch is then the bucket of the one value)
    turn_len, turn_at, turn_value
                   unsigned[n], unsigned[k], float64[k]: turning points; absent when there are none

A document may carry other fields; they are ignored.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

VERSION = 1
Document: TypeAlias = Mapping[str, Any]


class Column(StrEnum):
    """Columns that a reader may leave out (count, slots, kinds and last are always read)."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    FIRST = "first"
    SKETCH = "sketch"
    TURNS = "turns"


ALL: frozenset[Column] = frozenset(Column)
VALUES = (Column.SUM, Column.MIN, Column.MAX, Column.FIRST)
SKETCH = ("sketch_len", "sketch_bucket", "sketch_count")
TURNS = ("turn_len", "turn_at", "turn_value")
_ALWAYS = ("v", "n", "slots", "kinds", "count", "last", "last_at")


def stored_fields(columns: Collection[Column] = ALL) -> list[str]:
    """The document fields that `decode` needs for these columns: a projection for the store."""
    wanted = [*_ALWAYS, *(column.value for column in VALUES if column in columns)]
    if Column.FIRST in columns:
        wanted.append("first_at")
    if Column.SKETCH in columns:
        wanted += SKETCH
    if Column.TURNS in columns:
        wanted += TURNS
    return wanted
