"""SampleBatch: the value of a record on `vigie.samples.v1`. Columns, not rows: about 20 bytes a sample.

Wire form, version 1: one byte 0x01, then a msgpack map of little-endian buffers.

| field | dtype | length | meaning |
| --- | --- | --- | --- |
| f | uint64 | series | fingerprint of each series in this record |
| i | uint32 | samples | which series of `f` a sample belongs to |
| t | int64 | samples | timestamp, milliseconds since the Unix epoch |
| v | float64 | samples | value, finite |
| k | 16 bytes | keys | optional: request keys, for retries that must not count twice |
| ki | int32 | samples | optional, with `k`: which key a sample came with; -1 for none |
| kt | int64 | keys | optional, with `k`: when the request of a key was received, ms since the Unix epoch; 0: not said |

Fields that a newer writer adds are ignored; a newer version byte is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

VERSION: Final = 1
KEY_BYTES: Final = 16
KEY_TIME_BYTES: Final = 8
_MAX_TIMESTAMP_MS: Final = 1 << 45  # the year 3084: what a window index of 32 bits can hold at 10 s

UInt64s = npt.NDArray[np.uint64]
UInt32s = npt.NDArray[np.uint32]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Column = Sequence[int] | Sequence[float] | npt.NDArray[Any]


class InvalidBatchError(ValueError):
    """The bytes are no SampleBatch that this version understands. The text says which column breaks which rule."""


class SampleColumns(msgspec.Struct, gc=False):
    """Samples on their way to the bus: what an intake makes and a publisher takes.

    `fingerprints[j]` (unsigned 64 bits), `timestamps[j]` (ms) and `values[j]` (finite) are sample j; few samples are
    best given as lists, many as arrays. `keys` are request keys of 16 bytes; `key_index[j]` says which one sample j
    came with (-1: none) and may be left out when there is one key for all. `received_ms` is when the request was
    received, by the gateway's clock: its repeats are recognised for a time from then on. 0: as long as keys are
    kept."""

    fingerprints: Column
    timestamps: Column
    values: Column
    keys: Sequence[bytes] | None = None
    key_index: Column | None = None
    received_ms: int = 0

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """`fingerprints[index[j]]`, `timestamps[j]`, `values[j]` are sample j; arrays may be read-only views."""

    fingerprints: UInt64s
    index: UInt32s
    timestamps: Int64s
    values: Float64s
    keys: tuple[bytes, ...] = ()
    key_index: Int32s | None = None
    key_times: tuple[int, ...] = ()
    """Of each key, or none at all: `SampleColumns.received_ms`."""

    def __len__(self) -> int:
        return len(self.values)


class _Wire(msgspec.Struct, omit_defaults=True):
    f: bytes
    i: bytes
    t: bytes
    v: bytes
    k: bytes = b""
    ki: bytes = b""
    kt: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode(batch: SampleBatch) -> bytes:
    """The wire form. The arrays are trusted to have the right types and lengths: `decode` is what checks."""
    wire = _Wire(
        f=batch.fingerprints.astype("<u8", copy=False).tobytes(),
        i=batch.index.astype("<u4", copy=False).tobytes(),
        t=batch.timestamps.astype("<i8", copy=False).tobytes(),
        v=batch.values.astype("<f8", copy=False).tobytes(),
    )
    if batch.keys and batch.key_index is not None:
        wire.k = b"".join(batch.keys)
        wire.ki = batch.key_index.astype("<i4", copy=False).tobytes()
        if any(batch.key_times):
            wire.kt = np.array(batch.key_times, "<i8").tobytes()
    return bytes((VERSION,)) + _encoder.encode(wire)


def decode(data: bytes) -> SampleBatch:
    """Read and check a record's value. Raises InvalidBatchError; never returns a batch that could harm a consumer."""
    wire = _parse(data)
    batch = SampleBatch(
        fingerprints=np.frombuffer(wire.f, "<u8"),
        index=np.frombuffer(wire.i, "<u4"),
        timestamps=np.frombuffer(wire.t, "<i8"),
        values=np.frombuffer(wire.v, "<f8"),
        keys=_keys(wire.k),
        key_index=np.frombuffer(wire.ki, "<i4") if wire.k else None,
        key_times=_key_times(wire),
    )
    _check(batch)
    return batch


def rest(batch: SampleBatch, counted: int, known: Collection[bytes] = ()) -> SampleBatch:
    """What is left of a batch of which the first `counted` samples were counted, fewer than there are. Samples lose
    their key where it is among `known`, which stands in the store because of this batch, and would make them repeats of
    themselves; those of its second mention in the batch keep it."""
    index = batch.key_index
    if index is not None:
        first = {key: place for place, key in reversed(list(enumerate(batch.keys)))}
        own = [key in known and first[key] == place for place, key in enumerate(batch.keys)]
        free = np.array([*own, True])  # the last one is that of -1, no key
        index = np.where(free[index], np.int32(-1), index)[counted:]
    return replace(
        batch,
        index=batch.index[counted:],
        timestamps=batch.timestamps[counted:],
        values=batch.values[counted:],
        key_index=index,
    )


@dataclass(frozen=True, slots=True)
class JoinedBatches:
    """The samples of several records, one record after the other: `fingerprints[index[j]]`, `timestamps[j]` and
    `values[j]` are sample j, whichever record it came in."""

    fingerprints: UInt64s
    """Of the first record, then of the second...: a series is there once for every record that names it."""
    series_ends: Int64s
    """Of each record, where its fingerprints end."""
    index: Int64s
    timestamps: Int64s
    values: Float64s
    ends: Int64s
    """Of each record, where its samples end."""
    keyed: tuple[KeyedBatch, ...]
    """The records that have request keys."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class KeyedBatch:
    """Number `record` of the joined ones has request keys; `key_index` has an item per sample of it, -1 for none, and
    `key_times` one per key, 0 where it is not said."""

    record: int
    keys: tuple[bytes, ...]
    key_index: Int32s
    key_times: tuple[int, ...]


def join(records: Sequence[bytes]) -> tuple[JoinedBatches, dict[int, InvalidBatchError]]:
    """What `decode` gives for each record, as one; and, by position, why some cannot be read. Those are left out.

    For records of a few hundred samples several times as fast as `decode`, which spends its time on small arrays.
    """
    wires: dict[int, _Wire] = {}
    errors: dict[int, InvalidBatchError] = {}
    for at, data in enumerate(records):
        try:
            wires[at] = _parse(data)
        except InvalidBatchError as e:
            errors[at] = e
    joined = _joined(list(wires.values()))
    if not _sound(joined):
        for at in wires:
            try:
                decode(records[at])
            except InvalidBatchError as e:
                errors[at] = e
        joined = _joined([wire for at, wire in wires.items() if at not in errors])
    return joined, dict(sorted(errors.items()))


def _parse(data: bytes) -> _Wire:
    """The columns as bytes. Their lengths are checked, their values are not."""
    if not data:
        raise InvalidBatchError("the record is empty")
    if data[0] != VERSION:
        raise InvalidBatchError(f"version {data[0]} is not understood, this reader knows version {VERSION}")
    try:
        wire = _decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as e:
        raise InvalidBatchError(f"not a msgpack map of columns: {e}") from e
    n = len(wire.v) // 8
    fit = len(wire.v) == len(wire.t) == 2 * len(wire.i) == 8 * n and len(wire.f) % 8 == 0
    if not fit or n == 0 or (wire.k and _keys_misfit(wire, n)):
        raise InvalidBatchError(_misfit(wire))
    return wire


def _misfit(wire: _Wire) -> str:
    """What is wrong with the lengths."""
    sizes = {"f": 8, "i": 4, "t": 8, "v": 8} | ({"k": KEY_BYTES, "ki": 4} if wire.k else {})
    lengths: dict[str, int] = {name: len(getattr(wire, name)) for name in sizes}
    for name, size in sizes.items():
        if lengths[name] % size:
            return f"column {name} has {lengths[name]} bytes, no multiple of {size}"
    i, t, v = (lengths[name] // sizes[name] for name in "itv")
    if not i == t == v:
        return f"columns differ in length: i {i}, t {t}, v {v}"
    if not v:
        return "the batch holds no sample"
    if lengths["ki"] != 4 * v:
        return f"column ki has {lengths['ki'] // 4} items for {v} samples"
    return f"column kt has {len(wire.kt)} bytes for {lengths['k'] // KEY_BYTES} keys"


def _joined(wires: Sequence[_Wire]) -> JoinedBatches:
    series = np.fromiter((len(wire.f) // 8 for wire in wires), np.int64, len(wires))
    samples = np.fromiter((len(wire.v) // 8 for wire in wires), np.int64, len(wires))
    series_ends = np.cumsum(series)
    index = np.frombuffer(b"".join([wire.i for wire in wires]), "<u4") + np.repeat(series_ends - series, samples)
    return JoinedBatches(
        fingerprints=np.frombuffer(b"".join([wire.f for wire in wires]), "<u8"),
        series_ends=series_ends,
        index=index,
        timestamps=np.frombuffer(b"".join([wire.t for wire in wires]), "<i8"),
        values=np.frombuffer(b"".join([wire.v for wire in wires]), "<f8"),
        ends=np.cumsum(samples),
        keyed=tuple(
            KeyedBatch(at, _keys(wire.k), np.frombuffer(wire.ki, "<i4"), _key_times(wire))
            for at, wire in enumerate(wires)
            if wire.k
        ),
    )


def _sound(joined: JoinedBatches) -> bool:
    """`_check` of all records at once; False when any of them is wrong."""
    if not len(joined):
        return True
    begins = np.append(0, joined.ends[:-1])
    return bool(
        (np.maximum.reduceat(joined.index, begins) < joined.series_ends).all()
        and joined.timestamps.min() >= 0
        and joined.timestamps.max() < _MAX_TIMESTAMP_MS
        and np.isfinite(joined.values).all()
        and all(_keys_fit(keyed.key_index, keyed.keys) for keyed in joined.keyed)
    )


def _keys(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[i : i + KEY_BYTES] for i in range(0, len(data), KEY_BYTES))


def _key_times(wire: _Wire) -> tuple[int, ...]:
    if not wire.kt:
        return (0,) * (len(wire.k) // KEY_BYTES)
    return tuple(np.frombuffer(wire.kt, "<i8").tolist())


def _keys_misfit(wire: _Wire, samples: int) -> bool:
    keys, rest = divmod(len(wire.k), KEY_BYTES)
    return len(wire.ki) != 4 * samples or bool(rest) or len(wire.kt) not in (0, KEY_TIME_BYTES * keys)


def _keys_fit(key_index: Int32s, keys: tuple[bytes, ...]) -> bool:
    return int(key_index.max()) < len(keys) and int(key_index.min()) >= -1


def _check(batch: SampleBatch) -> None:
    """The values of the columns; their lengths are right already."""
    if int(batch.index.max()) >= len(batch.fingerprints):
        raise InvalidBatchError(f"column i points past the {len(batch.fingerprints)} series of the batch")
    if int(batch.timestamps.min()) < 0 or int(batch.timestamps.max()) >= _MAX_TIMESTAMP_MS:
        raise InvalidBatchError("column t holds a timestamp out of range")
    if not np.isfinite(batch.values).all():
        raise InvalidBatchError("column v holds a value that is not finite")
    if batch.key_index is not None and not _keys_fit(batch.key_index, batch.keys):
        raise InvalidBatchError(f"column ki points outside the {len(batch.keys)} keys of the batch")
