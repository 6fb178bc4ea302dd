"""The latest state of every series of a chunk, packed: a field of the Redis hash `vigie:{tenant}:latest`, and the
column document of the MongoDB collection `latest` from which Redis is rebuilt.

Behind a version byte stand the columns of `Latest`, one after the other, little-endian. Version 2 is for a chunk with
buckets: behind its version byte stands the number of series as uint16, and behind the columns stand those of `Buckets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BUCKET_BOUNDS: Final = (
    0.000101008419312, 0.000253467229226, 0.000500324660863, 0.00100755365115, 0.00252832223285, 0.00509153454998,
    0.0100502944888, 0.0252198808211, 0.0507877883913, 0.100251157045, 0.251566980018, 0.506605508488,
    1.0, 2.50936734731, 5.05336320718, 10.1764613025, 25.0308068383, 50.4070312617,
    101.509664352, 254.725037161, 502.807476218, 1012.55354396, 2540.86880062, 5015.47803576,
    10100.1681557, 100748.64424, 1004962.40851, 10024446.9803, 102013396.774, 1017578248.29,
)  # fmt: skip
"""Upper bounds (`le`) at which the observations of a histogram are counted for ever.

Each is the upper edge of the sketch's bucket that holds the usual bound (0.0001, 0.00025, 0.0005, 0.001, ...): so the
counts are exact, and an observation of just 0.25 or 5 lies below the bound that stands for it. What is stored names a
bound by its place here: never change one, only append larger ones."""

_PLAIN, _WITH_BUCKETS = 1, 2
_COLUMNS: Final = (
    ("slots", "u1"),
    ("timestamps", "<i8"),
    ("values", "<f8"),
    ("sums", "<f8"),
    ("counts", "<i8"),
)
_BUCKET_COLUMNS: Final = (("slots", "u1"), ("bounds", "u1"), ("counts", "<i8"))
_Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many observations of a histogram lie at or below a bound and above the one before it. Columns of one length,
    by slot, then bound; those of nothing, and those above the last bound, are absent.

    `bounds` are places in BUCKET_BOUNDS. All of a series' buckets come to at most its `counts`: to less when some lie
    above the last bound, or were counted before buckets were kept.
    """

    slots: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)


NO_BUCKETS: Final = Buckets(np.empty(0, np.uint8), np.empty(0, np.uint8), np.empty(0, np.int64))


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
    buckets: Buckets = NO_BUCKETS


def hash_key(tenant: str) -> str:
    """Return the key of the Redis hash that holds a tenant's latest values."""
    return f"vigie:{tenant}:latest"


def live_channel(tenant: str) -> str:
    """The Redis pub/sub channel on which a tenant's new values are announced."""
    return f"vigie:{tenant}:live"


def field(partition: int, chunk: int) -> str:
    """The field of one chunk in the hash."""
    return f"{partition}:{chunk}"


def pack(chunks: Latest, bounds: Sequence[int], bucket_bounds: Sequence[int] | None = None) -> list[bytes]:
    """The bytes of chunks whose columns stand one after the other: chunk i is at bounds[i]..bounds[i + 1] - 1, its
    buckets at bucket_bounds[i]..bucket_bounds[i + 1] - 1 (none has any when this is left out)."""
    columns, buckets = _raw(chunks, _COLUMNS), _raw(chunks.buckets, _BUCKET_COLUMNS)
    packed: list[bytes] = []
    for (begin, end), (first, last) in zip(pairwise(bounds), pairwise(bucket_bounds or [0] * len(bounds)), strict=True):
        head = bytes((_PLAIN,)) if first == last else bytes((_WITH_BUCKETS,)) + (end - begin).to_bytes(2, "little")
        parts = [raw[begin * size : end * size] for size, raw in columns]
        parts += [raw[first * size : last * size] for size, raw in buckets]
        packed.append(b"".join((head, *parts)))
    return packed


def unpack(data: bytes) -> Latest:
    """What `pack` wrote of one chunk, as read-only views. Raises ValueError for bytes it did not write."""
    size, bucket_size = _item_bytes(_COLUMNS), _item_bytes(_BUCKET_COLUMNS)
    version, begin, n, buckets, rest = data[0] if data else 0, 1, 0, 0, 1
    if version == _PLAIN:
        n, rest = divmod(len(data) - begin, size)
    elif version == _WITH_BUCKETS and len(data) >= 3:
        begin, n = 3, int.from_bytes(data[1:3], "little")
        buckets, rest = divmod(len(data) - begin - n * size, bucket_size)
    if rest or n > 256 or not 0 <= buckets <= n * len(BUCKET_BOUNDS):
        raise ValueError(f"{len(data)} bytes are no packed chunk of latest values")
    slots, bounds, counts = _views(data, _BUCKET_COLUMNS, buckets, begin + n * size)
    if buckets and bounds.max() >= len(BUCKET_BOUNDS):
        raise ValueError(f"the chunk of latest values has buckets up to bound {bounds.max()}, which is not known here")
    columns = _views(data, _COLUMNS, n, begin)
    return Latest(*columns, buckets=Buckets(slots, bounds, counts))


def _item_bytes(columns: _Columns) -> int:
    return sum(np.dtype(dtype).itemsize for _, dtype in columns)


def _raw(source: object, columns: _Columns) -> list[tuple[int, bytes]]:
    """Bytes per item, and all bytes, of each column."""
    return [
        (np.dtype(dtype).itemsize, np.asarray(getattr(source, name)).astype(dtype, copy=False).tobytes())
        for name, dtype in columns
    ]


def _views(data: bytes, columns: _Columns, n: int, offset: int) -> list[npt.NDArray[Any]]:
    views: list[npt.NDArray[Any]] = []
    for _, dtype in columns:
        views.append(np.frombuffer(data, dtype, n, offset))
        offset += n * np.dtype(dtype).itemsize
    return views
