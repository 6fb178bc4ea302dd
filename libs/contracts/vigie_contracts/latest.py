"""The latest state of every series of a chunk, packed: a field of the Redis hash `vigie:{tenant}:latest`, and the
column document of the MongoDB collection `latest` from which Redis is rebuilt.

Behind a version byte stand the columns of `Latest`, one after the other, little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

_VERSION: Final = 1
_COLUMNS: Final = (
    ("slots", "u1"),
    ("timestamps", "<i8"),
    ("values", "<f8"),
    ("sums", "<f8"),
    ("counts", "<i8"),
)
_ITEM_BYTES: Final = sum(np.dtype(dtype).itemsize for _, dtype in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Latest:
    """Columns of one length; of one chunk at most 256, slots ascending and distinct.

    `values` is the value at the newest timestamp. `sums` and `counts` run over every sample ever counted: the total of
    a delta counter, and sum and count of a histogram.
    """

    slots: npt.NDArray[np.uint8]
    timestamps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


def hash_key(tenant: str) -> str:
    """Return the key of the Redis hash that holds a tenant's latest values."""
    return f"vigie:{tenant}:latest"


def live_channel(tenant: str) -> str:
    """The Redis pub/sub channel on which a tenant's new values are announced."""
    return f"vigie:{tenant}:live"


def field(partition: int, chunk: int) -> str:
    """The field of one chunk in the hash."""
    return f"{partition}:{chunk}"


def pack(chunks: Latest, bounds: Sequence[int]) -> list[bytes]:
    """The bytes of chunks whose columns stand one after the other: chunk i is at bounds[i]..bounds[i + 1] - 1."""
    columns = [
        (np.dtype(dtype).itemsize, np.asarray(getattr(chunks, name)).astype(dtype, copy=False).tobytes())
        for name, dtype in _COLUMNS
    ]
    version = bytes((_VERSION,))
    return [
        b"".join((version, *(raw[begin * size : end * size] for size, raw in columns)))
        for begin, end in pairwise(bounds)
    ]


def unpack(data: bytes) -> Latest:
    """What `pack` wrote of one chunk, as read-only views. Raises ValueError for bytes it did not write."""
    n, rest = divmod(len(data) - 1, _ITEM_BYTES)
    if not data or data[0] != _VERSION or rest or n > 256:
        raise ValueError(f"{len(data)} bytes are no packed chunk of latest values")
    columns: list[npt.NDArray[np.generic]] = []
    offset = 1
    for _, dtype in _COLUMNS:
        columns.append(np.frombuffer(data, dtype, n, offset))
        offset += n * np.dtype(dtype).itemsize
    return Latest(*columns)  # pyright: ignore[reportArgumentType]  # the dtypes of _COLUMNS are those of the fields
