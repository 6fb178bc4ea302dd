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

Fields that a newer writer adds are ignored; a newer version byte is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

VERSION: Final = 1
KEY_BYTES: Final = 16
_MAX_TIMESTAMP_MS: Final = 1 << 45  # the year 3084: what a window index of 32 bits can hold at 10 s

UInt64s = npt.NDArray[np.uint64]
UInt32s = npt.NDArray[np.uint32]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


class InvalidBatchError(ValueError):
    """The bytes are no SampleBatch that this version understands. The text says which column breaks which rule."""


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """`fingerprints[index[j]]`, `timestamps[j]`, `values[j]` are sample j; arrays may be read-only views."""

    fingerprints: UInt64s
    index: UInt32s
    timestamps: Int64s
    values: Float64s
    keys: tuple[bytes, ...] = ()
    key_index: Int32s | None = None

    def __len__(self) -> int:
        return len(self.values)


class _Wire(msgspec.Struct, omit_defaults=True):
    f: bytes
    i: bytes
    t: bytes
    v: bytes
    k: bytes = b""
    ki: bytes = b""


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
    return bytes((VERSION,)) + _encoder.encode(wire)


def decode(data: bytes) -> SampleBatch:
    """Read and check a record's value. Raises InvalidBatchError; never returns a batch that could harm a consumer."""
    if not data:
        raise InvalidBatchError("the record is empty")
    if data[0] != VERSION:
        raise InvalidBatchError(f"version {data[0]} is not understood, this reader knows version {VERSION}")
    try:
        wire = _decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as e:
        raise InvalidBatchError(f"not a msgpack map of columns: {e}") from e
    batch = SampleBatch(
        fingerprints=_column("f", wire.f, "<u8"),
        index=_column("i", wire.i, "<u4"),
        timestamps=_column("t", wire.t, "<i8"),
        values=_column("v", wire.v, "<f8"),
        keys=_keys(wire.k),
        key_index=_column("ki", wire.ki, "<i4") if wire.k else None,
    )
    _check(batch)
    return batch


def _column(name: str, data: bytes, dtype: str) -> npt.NDArray[Any]:
    try:
        return np.frombuffer(data, dtype)
    except ValueError as e:
        raise InvalidBatchError(f"column {name} has {len(data)} bytes, no multiple of its item size") from e


def _keys(data: bytes) -> tuple[bytes, ...]:
    if len(data) % KEY_BYTES:
        raise InvalidBatchError(f"column k has {len(data)} bytes, no multiple of {KEY_BYTES}")
    return tuple(data[i : i + KEY_BYTES] for i in range(0, len(data), KEY_BYTES))


def _check(batch: SampleBatch) -> None:
    n = len(batch.values)
    if n == 0:
        raise InvalidBatchError("the batch holds no sample")
    if not len(batch.index) == len(batch.timestamps) == n:
        raise InvalidBatchError(f"columns differ in length: i {len(batch.index)}, t {len(batch.timestamps)}, v {n}")
    if int(batch.index.max()) >= len(batch.fingerprints):
        raise InvalidBatchError(f"column i points past the {len(batch.fingerprints)} series of the batch")
    if int(batch.timestamps.min()) < 0 or int(batch.timestamps.max()) >= _MAX_TIMESTAMP_MS:
        raise InvalidBatchError("column t holds a timestamp out of range")
    if not np.isfinite(batch.values).all():
        raise InvalidBatchError("column v holds a value that is not finite")
    if batch.key_index is not None:
        if len(batch.key_index) != n:
            raise InvalidBatchError(f"column ki has {len(batch.key_index)} items for {n} samples")
        if int(batch.key_index.max()) >= len(batch.keys) or int(batch.key_index.min()) < -1:
            raise InvalidBatchError(f"column ki points outside the {len(batch.keys)} keys of the batch")
