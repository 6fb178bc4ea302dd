"""Request bodies: read with a limit and a deadline, decompressed with the limit enforced on the way, and held within
a budget of memory that all requests share."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from types import coroutine
from typing import Any, Final, Protocol

from vigie_contracts import limits
from vigie_publishing.errors import BufferFullError
from vigie_web.connection import Receive

from vigie_ingest.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    ClientGoneError,
    InvalidRequestError,
    MalformedBodyError,
    UnsupportedEncodingError,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Decompress = Callable[[bytes, int], bytes]
"""The bytes of a body, and how many it may become: what is in it. Never holds much more than that, and raises
BodyTooLargeError beyond it, MalformedBodyError for what it cannot read."""

Codings = Mapping[str, Decompress | None]
"""By Content-Encoding, lower case. `identity`, which a request without one means, is there if it is taken: None."""

IDENTITY: Final = "identity"
_CHUNK: Final = 1 << 20
_INLINE_ENCODED: Final = 128 * 1024
_INLINE_DECODED: Final = 512 * 1024
"""Bodies that are longer, before or after decompression, are decompressed beside the event loop: bytes."""
_ZSTD_WINDOW_LOG: Final = 23
"""Memory that a zstd frame may ask for: 8 MiB, what RFC 9659 allows for HTTP."""
_MAX_FRAMES: Final = 256
"""Each frame copies the rest of the body: without a bound, many tiny ones would cost quadratic time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the body of a request may be, bytes."""

    sent: int = limits.MAX_BODY_BYTES
    unpacked: int = limits.MAX_DECOMPRESSED_BYTES


ANY: Final = Bounds()
"""What holds for every intake that says nothing else."""


class Budget:
    """How many bytes of request bodies are held, and the limit. Without it, many slow or strongly compressed bodies
    would add up."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Raises BufferFullError, having taken nothing, when it would be too much."""
        if self.held + size > self.limit:
            raise BufferFullError
        self.held += size

    def give(self, size: int) -> None:
        """Give back bytes that were taken."""
        self.held -= size


class Part(Budget):
    """A part of another budget, with a limit of its own: what it holds counts there too."""

    def __init__(self, limit: int, whole: Budget) -> None:
        super().__init__(limit)
        self._whole = whole

    # Both count by themselves: this runs for every request, and calls would be half of what it costs.
    def take(self, size: int) -> None:
        whole = self._whole
        if self.held + size > self.limit or whole.held + size > whole.limit:
            raise BufferFullError
        self.held += size
        whole.held += size

    def give(self, size: int) -> None:
        self.held -= size
        self._whole.held -= size


class Bodies(Budget):
    """The budget of all senders, and the part of it for callers without a credential: they cannot keep out the others.

    The part is a quarter, or one body of the greatest length where that is more.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.strangers = Part(max(limit // 4, limits.MAX_DECOMPRESSED_BYTES), self)


async def read_body(  # noqa: PLR0917  # one caller, and a keyword costs time in each request
    headers: Mapping[bytes, bytes],
    receive: Receive,
    bounds: Bounds,
    codings: Codings,
    timeout_s: float,
    budget: Budget,
) -> bytes:
    """The body, decompressed. Raises a RequestError for every way in which it can be unusable.

    Its length is taken from the budget, and for the caller to give back; so is what was sent, from its first byte until
    it is decompressed, and what an error leaves behind is given back here.
    """
    decompress = _decompress(headers, codings)
    _check_length(headers, bounds.sent)
    # Nearly always the whole body is here already; a timer is set up only for those that make us wait.
    reading = _read_all(receive, bounds.sent, budget)
    try:
        waiting_for = reading.send(None)
    except StopIteration as done:
        data = done.value
    else:
        data = await _rest(reading, waiting_for, timeout_s)
    if decompress is None:
        return data
    try:
        body = await _unpacked(decompress, data, bounds.unpacked)
    finally:
        budget.give(len(data))
    budget.take(len(body))
    return body


async def _unpacked(decompress: Decompress, data: bytes, limit: int) -> bytes:
    if len(data) <= _INLINE_ENCODED:
        # Its length says nothing of what it becomes; that it is little, as nearly always, shows when it has become it.
        try:
            return decompress(data, min(limit, _INLINE_DECODED))
        except BodyTooLargeError:
            if limit <= _INLINE_DECODED:
                raise
    return await asyncio.to_thread(decompress, data, limit)


def _decompress(headers: Mapping[bytes, bytes], codings: Codings) -> Decompress | None:
    given = headers.get(b"content-encoding")
    name = "" if given is None else given.decode("latin-1").strip().lower()
    try:
        return codings["gzip" if name == "x-gzip" else name or IDENTITY]
    except KeyError:
        raise UnsupportedEncodingError(name, sorted(codings, key=IDENTITY.__eq__)) from None


def _check_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    length = headers.get(b"content-length")
    if length is None:
        return
    if not length.isdigit():
        raise InvalidRequestError("Content-Length: must be a number of bytes")
    # A length of very many digits is too large, whatever it says; int() would refuse it as a bug of ours.
    if len(length) > 18 or int(length) > limit:
        raise BodyTooLargeError(limit)


async def _rest(reading: Coroutine[Any, Any, bytes], waiting_for: Any, timeout_s: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_s):
            return await _resume(reading, waiting_for)
    except TimeoutError as e:
        raise BodyTimeoutError(timeout_s) from e


@coroutine
def _resume(started: Coroutine[Any, Any, bytes], waiting_for: Any) -> Generator[Any, Any, bytes]:
    """Go on with a coroutine that was stepped once by hand and waits for something."""
    while True:
        try:
            result = yield waiting_for
        except BaseException as e:  # noqa: BLE001  # thrown into the coroutine, as `await` would
            try:
                waiting_for = started.throw(e)
            except StopIteration as done:
                return done.value
        else:
            try:
                waiting_for = started.send(result)
            except StopIteration as done:
                return done.value


async def _read_all(receive: Receive, limit: int, budget: Budget) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLargeError(limit)
        budget.take(len(body))
        return body
    chunks: list[bytes] = []
    size = 0
    try:
        while message["type"] == "http.request":
            chunk = message.get("body", b"")
            if size + len(chunk) > limit:
                raise BodyTooLargeError(limit)
            budget.take(len(chunk))
            size += len(chunk)
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await receive()
        raise ClientGoneError
    except BaseException:  # a timeout and the end of the service among them
        budget.give(size)
        raise


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's object in the shape of bz2's, lzma's and zstd's."""

    def __init__(self) -> None:
        self._z = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._z.decompress(self._z.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._z.eof

    @property
    def unused_data(self) -> bytes:
        return self._z.unused_data


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


def decompress(encoding: str, data: bytes, limit: int = limits.MAX_DECOMPRESSED_BYTES) -> bytes:
    """All frames of a gzip or zstd body. Never holds more than `limit` bytes and one chunk of output."""
    make = _Gzip if encoding == "gzip" else _zstd
    out: list[bytes] = []
    size = frames = 0
    step = min(_CHUNK, limit + 1)
    while data:
        frame = make()
        if (frames := frames + 1) > _MAX_FRAMES:
            raise MalformedBodyError(f"the {encoding} body has more than {_MAX_FRAMES} frames")
        chunk = _step(frame, encoding, data, step)
        while True:
            size += len(chunk)
            if size > limit:
                raise BodyTooLargeError(limit, f"the body after {encoding} decompression")
            out.append(chunk)
            if frame.eof:
                break
            # No output without the end of the frame: it wants input that is not there.
            if not (chunk := _step(frame, encoding, b"", step)) and not frame.eof:
                raise MalformedBodyError(f"the {encoding} body is truncated")
        data = frame.unused_data
    return b"".join(out)


def _step(frame: _Decompressor, encoding: str, data: bytes, size: int) -> bytes:
    try:
        return frame.decompress(data, size)
    except (zlib.error, zstd.ZstdError, EOFError) as e:
        raise MalformedBodyError(f"the body is not valid {encoding}") from e


def _gzip_or_zstd(encoding: str) -> Decompress:
    return lambda data, limit: decompress(encoding, data, limit)


CODINGS: Final[Codings] = {IDENTITY: None} | {name: _gzip_or_zstd(name) for name in ("gzip", "zstd")}
"""What intakes take unless they say otherwise."""
