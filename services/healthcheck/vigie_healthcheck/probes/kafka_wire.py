"""As much of Kafka's protocol as the probe needs: its requests before version 9 are plain numbers and lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vigie_healthcheck.probes.wire import Wire

_CLIENT: Final = "vigie"
_CORRELATION: Final = 1
_MAX_BYTES: Final = 1024 * 1024
_MAX_ENTRIES: Final = 100_000


class NotKafka(Exception):  # noqa: N818 - of the other side
    """What came is no answer of Kafka's."""


def text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2) + encoded


def data(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def array(entries: Sequence[bytes]) -> bytes:
    return len(entries).to_bytes(4) + b"".join(entries)


class Reader:
    """An answer, read from its beginning. All methods raise NotKafka when it is too short."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self._at = answer, 0

    def _next(self, size: int) -> bytes:
        piece = self._answer[self._at : self._at + size]
        if len(piece) != size:
            raise NotKafka
        self._at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self._next(size), signed=True)

    def text(self) -> str:
        """Empty too when there is none."""
        return self._next(max(self.number(2), 0)).decode(errors="replace")

    def data(self) -> bytes:
        return self._next(max(self.number(4), 0))

    def skip(self, *what: int | type[str]) -> None:
        """Over numbers of so many bytes, and texts."""
        for one in what:
            self.number(one) if isinstance(one, int) else self.text()

    def times(self) -> Iterator[int]:
        """Once for each entry of the array that comes next."""
        entries = self.number(4)
        if entries > _MAX_ENTRIES:
            raise NotKafka
        return iter(range(entries))


async def call(wire: Wire, key: int, version: int, body: bytes) -> Reader:
    """The answer to one request. Raises Failed when the connection ends, NotKafka."""
    request = key.to_bytes(2) + version.to_bytes(2) + _CORRELATION.to_bytes(4) + text(_CLIENT) + body
    wire.writer.write(data(request))
    size = int.from_bytes(await wire.exactly(4), signed=True)
    if not 4 <= size <= _MAX_BYTES:
        raise NotKafka
    answer = Reader(await wire.exactly(size))
    if answer.number(4) != _CORRELATION:
        raise NotKafka
    return answer
