"""Compressed answers, unpacked with a bound: a bomb is refused while it grows, not after."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_INLINE_BYTES: Final = 32 * 1024
"""Longer answers are unpacked beside the event loop."""
_ZSTD_WINDOW_LOG: Final = 23
"""Memory that a zstd frame may ask for: 8 MiB, what RFC 9659 allows for HTTP."""


class Unusable(Exception):  # noqa: N818 - of the answer, not of the program
    """An answer that cannot be unpacked, or becomes too large."""


def _zlib(data: bytes, limit: int) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(32 + zlib.MAX_WBITS)
    return stream.decompress(data, limit), stream.eof


def _deflate(data: bytes, limit: int) -> tuple[bytes, bool]:
    """With the header of zlib as the RFC wants it, or without, as many servers send it."""
    try:
        return _zlib(data, limit)
    except zlib.error:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return stream.decompress(data, limit), stream.eof


def _zstd(data: bytes, limit: int) -> tuple[bytes, bool]:
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
    stream: Any = zstd.ZstdDecompressor(options=options)
    return stream.decompress(data, limit), stream.eof


CODINGS: Final[Mapping[str, Callable[[bytes, int], tuple[bytes, bool]]]] = {
    "gzip": _zlib, "deflate": _deflate, "zstd": _zstd,
}  # fmt: skip
"""By Content-Encoding: what is unpacked, at most so many bytes, and whether that is all."""


async def unpacked(body: bytes, coding: bytes, limit: int) -> bytes:
    """The answer as it was before its Content-Encoding. Raises Unusable."""
    name = coding.decode("latin-1").strip().lower().removeprefix("x-")
    if name in ("", "identity") or not body:
        return body
    unpack = CODINGS.get(name)
    if unpack is None:
        raise Unusable("the answer is compressed in a way that was not asked for")

    def work() -> tuple[bytes, bool]:
        return unpack(body, limit + 1)

    try:
        # A few bytes may become a megabyte: that is a millisecond.
        data, whole = work() if len(body) <= _INLINE_BYTES else await asyncio.to_thread(work)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise Unusable("the answer is compressed, but cannot be unpacked") from None
    if len(data) > limit:
        raise Unusable(f"the answer is larger than {limit} bytes when it is unpacked")
    if not whole:
        raise Unusable("the answer is compressed, and ends too early")
    return data
