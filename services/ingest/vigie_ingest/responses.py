"""What requests are answered with: status, body and headers, and the two ASGI messages that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct
from vigie_contracts import problems
from vigie_runtime.errors import ProblemError
from vigie_web.connection import Header, Send, respond

from vigie_ingest.idempotency import Replay

JSON: Final[Header] = (b"content-type", b"application/json")
_PROBLEM: Final[Header] = (b"content-type", problems.CONTENT_TYPE.encode())
_REPLAYED: Final[Header] = (b"idempotency-replayed", b"true")
_NO_CONTENT: Final = 204
_encode: Final = msgspec.json.Encoder().encode


class Response(Struct, gc=False):
    """A complete HTTP answer, but for its length."""

    status: int
    body: bytes
    headers: list[Header]
    """Its own: the limits' headers are added to it."""


def created(body: Struct) -> Response:
    """201, as JSON."""
    return Response(201, _encode(body), [JSON])


def replay(first: Replay) -> Response:
    """The stored answer of the first request."""
    return Response(first.status, first.body, [*first.headers, _REPLAYED])


def problem(error: ProblemError, path: str, _headers: Mapping[bytes, bytes]) -> Response:
    """An RFC 9457 answer."""
    headers = [_PROBLEM, *error_headers(error)]
    # Paths and reasons may hold what the sender wrote; half a surrogate pair cannot be written as JSON.
    text = path.encode("utf-8", "replace").decode()
    return Response(error.status, _encode(error.problem(text)), headers)


def error_headers(error: ProblemError) -> list[Header]:
    """What the answer to an error needs whatever its body looks like: `Retry-After` and the like."""
    return [(name.encode(), value.encode()) for name, value in error.headers().items()]


async def send(response: Response, send: Send) -> None:
    """The ASGI messages."""
    headers, body = response.headers, response.body
    if response.status != _NO_CONTENT:  # which may not say a length
        headers.append((b"content-length", b"%d" % len(body)))
    await respond(send, response.status, headers, body)
