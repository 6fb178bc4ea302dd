"""Pure column work of the publisher: gather many callers' samples, split them into records by partition."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from vigie_contracts.limits import MAX_RECORD_BYTES
from vigie_contracts.samples import KEY_BYTES, KEY_TIME_BYTES, Column, SampleBatch, SampleColumns, encode

Indexes = npt.NDArray[np.intp]
T = TypeVar("T")

SAMPLE_BYTES: Final = 20
SERIES_BYTES: Final = 8
KEY_INDEX_BYTES: Final = 4
_FRAME_BYTES: Final = 256
"""Version byte, msgpack map and column headers; what they take is below 100."""
_TABLE_BITS: Final = 16
MAX_KEY_SAMPLES: Final = (MAX_RECORD_BYTES - _FRAME_BYTES - KEY_BYTES - KEY_TIME_BYTES) // (
    SAMPLE_BYTES + SERIES_BYTES + KEY_INDEX_BYTES
)
"""Samples that may come with one request key: they have to fit in one record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record. `members` are the positions, in the gathered columns, of the samples it carries."""

    partition: int
    value: bytes
    members: Indexes


class GatheredSamples:
    """Samples of many callers, in the order they came, as growing little buffers."""

    __slots__ = ("_fingerprints", "_key_index", "_timestamps", "_values", "count", "key_times", "keys")

    def __init__(self) -> None:
        self._fingerprints = bytearray()
        self._timestamps = bytearray()
        self._values = bytearray()
        self._key_index: bytearray | None = None
        self.keys: list[bytes] = []
        self.key_times: list[int] = []
        self.count = 0

    def add(self, columns: SampleColumns) -> None:
        """Append a caller's samples. Raises ValueError and adds nothing when lengths differ or an item is no number of
        its column."""
        n = len(columns.values)
        keys = columns.keys
        if n == 1 and not keys and self._key_index is None and self._added_one(columns):
            return
        if len(columns.fingerprints) != n or len(columns.timestamps) != n:
            raise ValueError(f"columns differ in length: {len(columns.fingerprints)}, {len(columns.timestamps)}, {n}")
        try:
            fingerprints = _pack("Q", columns.fingerprints, n)
            timestamps, values = _pack("q", columns.timestamps, n), _pack("d", columns.values, n)
            packed_keys = self._packed_keys(keys, columns.key_index, n) if keys else None
        except (struct.error, TypeError, OverflowError) as e:
            raise ValueError(f"a sample is not made of numbers that fit their columns: {e}") from e
        if packed_keys is not None or self._key_index is not None:
            self._add_keys(keys or (), columns.received_ms, packed_keys, n)
        self._fingerprints += fingerprints
        self._timestamps += timestamps
        self._values += values
        self.count += n

    def _added_one(self, columns: SampleColumns) -> bool:
        """Append the sample of a single request, the most frequent call; False, and nothing is done, when it is not
        plain numbers."""
        try:
            (fingerprint,), (timestamp,), (value,) = columns.fingerprints, columns.timestamps, columns.values
            row = _ROW.pack(fingerprint, timestamp, value)
        except (struct.error, ValueError, TypeError, OverflowError):
            return False
        self._fingerprints += row[:8]
        self._timestamps += row[8:16]
        self._values += row[16:]
        self.count += 1
        return True

    def records(self, partitions: int, max_samples: int) -> Iterator[Record]:
        """The samples as records, by partition and then in the order they came; none is larger than Kafka takes."""
        if self.count == 0:
            return
        fingerprints = np.frombuffer(self._fingerprints, np.uint64)
        series, index = distinct(fingerprints)
        home = (series % np.uint64(partitions)).astype(np.uint16 if partitions <= 1 << 16 else np.uint32)
        # Stable: samples of one series stay in their order. Of 16-bit numbers numpy makes a radix sort.
        order = np.argsort(home[index], kind="stable")
        series_order = np.argsort(home, kind="stable")
        rank = np.empty(len(series), np.int64)
        rank[series_order] = np.arange(len(series))
        sorted_series = series[series_order]
        sorted_rank = rank[index[order]]
        per_series = np.bincount(home, minlength=partitions)
        per_sample = np.bincount(home, weights=np.bincount(index, minlength=len(series)), minlength=partitions)
        series_ends = np.cumsum(per_series)
        ends = np.cumsum(per_sample).astype(np.int64)
        timestamps = np.frombuffer(self._timestamps, np.int64)[order]
        values = np.frombuffer(self._values, np.float64)[order]
        key_index = None if self._key_index is None else np.frombuffer(self._key_index, np.int32)[order]
        start = 0
        for partition in np.flatnonzero(per_series).tolist():
            end, series_end = int(ends[partition]), int(series_ends[partition])
            series_start = series_end - int(per_series[partition])
            batch = SampleBatch(
                sorted_series[series_start:series_end],
                (sorted_rank[start:end] - series_start).astype(np.uint32),
                timestamps[start:end],
                values[start:end],
            )
            if key_index is not None:
                batch = self._keyed(batch, key_index[start:end])
            members = order[start:end]
            for piece, lo, hi in fit(batch, max_samples):
                yield Record(partition, encode(piece), members[lo:hi])
            start = end

    def _packed_keys(self, keys: Sequence[bytes], key_index: Column | None, n: int) -> bytes:
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a request key has {KEY_BYTES} bytes")
        if key_index is None:
            if len(keys) != 1:
                raise ValueError("with several request keys, say which one each sample came with")
            key_index = np.zeros(n, np.int32)
        index = np.asarray(key_index, np.int32)
        if len(index) != n or (n and (int(index.max()) >= len(keys) or int(index.min()) < -1)):
            raise ValueError("key_index has not one place in keys (or -1) per sample")
        if n > MAX_KEY_SAMPLES and int(np.bincount(index[index >= 0]).max(initial=0)) > MAX_KEY_SAMPLES:
            raise ValueError(f"more than {MAX_KEY_SAMPLES} samples with one request key")
        return np.where(index < 0, -1, index + len(self.keys)).astype(np.int32).tobytes()

    def _add_keys(self, keys: Sequence[bytes], received_ms: int, packed: bytes | None, n: int) -> None:
        none = np.int32(-1).tobytes()
        if self._key_index is None:
            self._key_index = bytearray(none * self.count)
        self._key_index += packed if packed is not None else none * n
        self.keys.extend(keys)
        self.key_times.extend([received_ms] * len(keys))

    def _keyed(self, batch: SampleBatch, key_index: npt.NDArray[np.int32]) -> SampleBatch:
        """The batch with the keys that its samples use, or as it is when they use none."""
        used = np.unique(key_index)
        used = used[used >= 0]
        if not len(used):
            return batch
        return SampleBatch(
            batch.fingerprints,
            batch.index,
            batch.timestamps,
            batch.values,
            _chosen(self.keys, used),
            np.where(key_index < 0, -1, np.searchsorted(used, key_index)).astype(np.int32),
            _chosen(self.key_times, used),
        )


def distinct(fingerprints: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], Indexes]:
    """(the distinct fingerprints in order of appearance of their representative, the place of each sample among them).

    Fingerprints are hashes already, so their bits are the buckets of a hash table; a few rounds with other bits place
    what collided. About five times faster than sorting (`np.unique`), which remains for what no round can place.
    """
    n = len(fingerprints)
    representative = np.empty(n, np.intp)
    left: Indexes | None = None  # None: all
    table = np.empty(1 << _TABLE_BITS, np.int32)
    for shift in (0, 16, 32, 48):
        values = fingerprints if left is None else fingerprints[left]
        places = np.arange(n, dtype=np.int32) if left is None else left.astype(np.int32)
        bucket = ((values >> np.uint64(shift)) & np.uint64((1 << _TABLE_BITS) - 1)).astype(np.intp)
        table[bucket] = places
        found = table[bucket].astype(np.intp)
        right = fingerprints[found] == values
        if left is None:
            representative = found
        else:
            representative[left] = found
        if right.all():
            left = None
            break
        wrong = np.flatnonzero(~right)
        left = wrong if left is None else left[wrong]
    if left is not None:
        _, first, inverse = np.unique(fingerprints[left], return_index=True, return_inverse=True)
        representative[left] = left[first][inverse]
    chosen = np.zeros(n, bool)
    chosen[representative] = True
    places = np.cumsum(chosen) - 1
    return fingerprints[chosen], places[representative]


def fit(batch: SampleBatch, max_samples: int) -> Iterator[tuple[SampleBatch, int, int]]:
    """The batch in pieces that Kafka takes, with the range of samples of each; usually the batch itself.

    The samples of one request key stay in one record, even if that makes it longer than `max_samples`: the consumer
    tells a repeat by the record it comes in, so it would take the second half for one.
    """
    n = len(batch)
    if n <= 1 or (n <= max_samples and size_bound(batch) <= MAX_RECORD_BYTES) or not (cut := _cut(batch)):
        yield batch, 0, n
        return
    for lo, hi in ((0, cut), (cut, n)):
        for piece, piece_lo, piece_hi in fit(_part(batch, lo, hi), max_samples):
            yield piece, lo + piece_lo, lo + piece_hi


def _cut(batch: SampleBatch) -> int:
    """Where to cut in two, near the middle and between request keys; 0 where there is no such place."""
    n = len(batch)
    if batch.key_index is None:
        return n // 2
    keys = batch.key_index
    places = np.flatnonzero((keys[1:] != keys[:-1]) | (keys[1:] < 0)) + 1
    return int(places[np.argmin(np.abs(places - n // 2))]) if len(places) else 0


def size_bound(batch: SampleBatch) -> int:
    """No fewer bytes than `encode` makes of the batch."""
    keyed = len(batch) * KEY_INDEX_BYTES + len(batch.keys) * (KEY_BYTES + KEY_TIME_BYTES) if batch.keys else 0
    return _FRAME_BYTES + len(batch) * SAMPLE_BYTES + len(batch.fingerprints) * SERIES_BYTES + keyed


def _part(batch: SampleBatch, lo: int, hi: int) -> SampleBatch:
    series, index = np.unique(batch.index[lo:hi], return_inverse=True)
    keys: tuple[bytes, ...] = ()
    key_times: tuple[int, ...] = ()
    key_index = None
    if batch.key_index is not None:
        part = batch.key_index[lo:hi]
        used = np.unique(part[part >= 0])
        if len(used):
            keys = _chosen(batch.keys, used)
            key_times = _chosen(batch.key_times, used) if batch.key_times else ()
            key_index = np.where(part < 0, -1, np.searchsorted(used, part)).astype(np.int32)
    return SampleBatch(
        batch.fingerprints[series],
        index.astype(np.uint32),
        batch.timestamps[lo:hi],
        batch.values[lo:hi],
        keys,
        key_index,
        key_times,
    )


def _chosen(items: Sequence[T], places: npt.NDArray[np.int32]) -> tuple[T, ...]:
    return tuple(items[int(i)] for i in places)


_DTYPES: Final[dict[str, Any]] = {"Q": np.uint64, "q": np.int64, "d": np.float64}
_ROW: Final = struct.Struct("=Qqd")


def _pack(code: str, column: Column, n: int) -> bytes:
    if isinstance(column, np.ndarray):
        dtype = _DTYPES[code]
        if column.dtype != dtype and column.dtype.kind != np.dtype(dtype).kind and code != "d":
            raise TypeError(f"an array of {column.dtype} where {np.dtype(dtype)} belongs")
        return column.astype(dtype, copy=False).tobytes()
    return struct.pack(f"={n}{code}", *column)
