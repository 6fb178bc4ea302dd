"""Compressed answers: gzip and zstd, as `Accept-Encoding` asks.

Only answers to GET (and so HEAD) are compressed. Tokens, keys and passwords are shown in answers to POST alone, and
what is compressed beside something that a stranger chose can be guessed from its length (BREACH).
"""

from __future__ import annotations

import asyncio
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIN_BYTES: Final = 1024
"""A shorter answer fits into one packet as it is."""
_MAX_ACCEPT: Final = 1024
"""Characters of `Accept-Encoding`; browsers send 30. A longer one is not read: that would hold up the others."""
_INLINE_BYTES: Final = 64 * 1024
"""More at once is compressed beside the event loop, because the others would notice."""
_GZIP_LEVEL: Final = 5
_ZSTD_LEVEL: Final = 3
_COMPRESSIBLE: Final = re.compile(
    r"text/(?!event-stream)|application/(?:[\w.-]+\+)?(?:json|xml)|application/(?:javascript|openmetrics-text)|image/svg"
)
_NO_BODY: Final = (204, 206, 304)
"""206 is a part of what is not compressed."""


CODINGS: Final[dict[str, Callable[[], Any]]] = {
    "zstd": lambda: zstd.ZstdCompressor(_ZSTD_LEVEL),
    "gzip": lambda: zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
}
"""Each makes a stream with `compress` and, for its end, `flush`. The first is taken by clients that like both alike."""


def accepted_coding(accept: str) -> str | None:
    """The coding that a client likes best (RFC 9110, 12.5.3); None: as it is, also when nothing we have is accepted."""
    if len(accept) > _MAX_ACCEPT:
        return None
    quality: dict[str, float] = {}
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality[name] = _quality(parameters)
    best, most = None, max(quality.get("identity", 0.0), 0.0)
    for coding in CODINGS:
        liked = quality.get(coding, quality.get("*", 0.0))
        if liked > 0 and (liked > most or (best is None and liked == most)):
            best, most = coding, liked
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


class Compression:
    """ASGI middleware. Answers that have a coding, are short, or are no text go as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        accept = ",".join(Headers(scope=scope).getlist("accept-encoding"))
        await self._app(scope, receive, _Answer(send, accepted_coding(accept)).send)


class _Answer:
    """One answer, on its way. Its head waits for the first part of the body: that says whether it is worth it."""

    def __init__(self, send: Send, coding: str | None) -> None:
        self._send, self._coding = send, coding
        self._head: Message | None = None
        self._stream: Any = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        head, self._head = self._head, None
        if head is not None:
            self._stream = self._chosen(head, more or len(body) >= MIN_BYTES)
        if self._stream is not None:
            body = await _compressed(self._stream, body, last=not more)
        if head is not None:
            if self._stream is not None and not more:
                MutableHeaders(scope=head)["content-length"] = str(len(body))
            await self._send(head)
        if body or not more:  # else it is still collected in the stream
            await self._send({**message, "body": body})

    def _chosen(self, head: Message, long: bool) -> Any:
        """The stream for the answer, which its headers tell of; None for one that goes as it is."""
        headers = MutableHeaders(scope=head)
        if not _is_compressible(head["status"], headers):
            return None
        headers.add_vary_header("Accept-Encoding")
        if self._coding is None or not long:
            return None
        headers["content-encoding"] = self._coding
        del headers["content-length"]
        if headers.get("etag", "").startswith('"'):
            headers["etag"] = f"W/{headers['etag']}"  # the same text in other bytes
        return CODINGS[self._coding]()


def _is_compressible(status: int, headers: Headers) -> bool:
    media = headers.get("content-type", "").lower()
    return status not in _NO_BODY and "content-encoding" not in headers and _COMPRESSIBLE.match(media) is not None


async def _compressed(stream: Any, data: bytes, *, last: bool) -> bytes:
    def work() -> bytes:
        done = stream.compress(data)
        return done + stream.flush() if last else done

    return await asyncio.to_thread(work) if len(data) > _INLINE_BYTES else work()
