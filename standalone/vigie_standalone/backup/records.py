"""Records of Kafka in a file: one msgpack value after the other, each behind its length in four bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from vigie_contracts.limits import MAX_RECORD_BYTES

_LENGTH_BYTES: Final = 4
_MAX_BYTES: Final = 2 * MAX_RECORD_BYTES
"""A record with its key and headers."""


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """All of a record but where it lay."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class DamagedRecordsError(ValueError):
    """The file is not what was written."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SavedRecord)


def append(stream: BinaryIO, record: SavedRecord) -> bytes:
    """Write one more; gives what was written."""
    data = _encoder.encode(record)
    framed = len(data).to_bytes(_LENGTH_BYTES, "little") + data
    stream.write(framed)
    return framed


def read(file: Path) -> Iterator[SavedRecord]:
    """All of a file, in their order. Raises DamagedRecordsError."""
    with file.open("rb") as stream:
        while head := stream.read(_LENGTH_BYTES):
            size = int.from_bytes(head, "little")
            data = stream.read(size) if len(head) == _LENGTH_BYTES and size <= _MAX_BYTES else b""
            if len(data) != size:
                raise DamagedRecordsError(f"{file.name} is damaged")
            try:
                yield _decoder.decode(data)
            except (msgspec.DecodeError, msgspec.ValidationError) as e:
                raise DamagedRecordsError(f"{file.name} is damaged: {e}") from e
