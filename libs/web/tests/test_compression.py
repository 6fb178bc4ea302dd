"""Answers are compressed as they are asked for, and as HTTP says."""

import asyncio
import gzip
import sys
from collections.abc import Callable
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response, StreamingResponse
from vigie_web.compression import MIN_BYTES, Compression, accepted_coding
from vigie_web.middleware import HeadAsGet

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "".join(f'vigie_bookings_total{{service="booking-{number}"}} {number}\n' for number in range(5_000))
UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None), ("identity", None), ("br", None), ("gzip", "gzip"), ("GZIP", "gzip"), ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1.0, zstd;q=0.5", "gzip"), ("gzip; q=0.8 , zstd ;q=0.9", "zstd"),
        ("gzip;q=0", None), ("gzip;q=0, zstd;q=0.001", "zstd"), ("*", "zstd"), ("*;q=0", None),
        ("zstd;q=0, *", "gzip"), ("gzip, *;q=0", "gzip"), ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"), ("identity;q=0", None), ("gzip;q=x", None), ("gzip;q=nan", None),
        (",;,", None), ("not-gzip, gzip2", None), ("gzip" + "," * 1_020, "gzip"), ("gzip" + "," * 1_021, None),
    ],
)  # fmt: skip
def test_the_coding_is_the_one_that_the_client_likes_best(accept: str, coding: str | None) -> None:
    assert accepted_coding(accept) == coding


async def ask(app: Any, accept: str = "gzip", method: str = "GET") -> tuple[Headers, bytes, list[bytes]]:
    """Headers and body, and its parts as they were sent."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()  # the client stays

    scope = {"type": "http", "method": method, "path": "/", "headers": [(b"accept-encoding", accept.encode())]}
    await HeadAsGet(Compression(app))(scope, receive, send)
    parts = [message["body"] for message in sent[1:]]
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(parts) - 1) + [False]
    return Headers(raw=sent[0]["headers"]), b"".join(parts), parts


def streamed(**how: Any) -> Response:
    async def pieces() -> Any:
        for at in range(0, len(TEXT), 30_000):
            yield TEXT[at : at + 30_000]

    return StreamingResponse(pieces(), **how)


@pytest.mark.parametrize("coding", UNPACK)
@pytest.mark.parametrize("whole", [True, False])
async def test_text_is_compressed_whole_and_in_pieces(coding: str, whole: bool) -> None:
    made = Response(TEXT, media_type="text/plain") if whole else streamed(media_type="text/plain")
    headers, body, parts = await ask(made, coding)
    assert UNPACK[coding](body).decode() == TEXT
    assert len(body) < len(TEXT) / 4
    assert (headers["content-encoding"], headers["vary"]) == (coding, "Accept-Encoding")
    assert headers.get("content-length") == (str(len(body)) if whole else None)
    assert whole or len(parts) > 1, "it goes out while it is made"


async def test_head_has_the_headers_of_get() -> None:
    get, body, _ = await ask(JSONResponse(["x"] * MIN_BYTES))
    head, nothing, _ = await ask(JSONResponse(["x"] * MIN_BYTES), method="HEAD")
    assert head == get
    assert nothing == b""
    assert int(head["content-length"]) == len(body)


async def test_what_is_not_worth_it_goes_as_it_is_and_says_that_it_depends() -> None:
    headers, body, _ = await ask(JSONResponse({"short": True}))
    assert body == b'{"short":true}'
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept-Encoding"
    headers, body, _ = await ask(Response(TEXT, media_type="text/plain", headers={"vary": "Accept"}), "identity")
    assert body.decode() == TEXT
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "made",
    [
        Response(TEXT, media_type="image/png"),
        Response(TEXT, media_type="text/event-stream"),
        Response(TEXT, media_type="text/plain", headers={"content-encoding": "br"}),
        Response(TEXT, 206, media_type="text/plain"),
        Response(status_code=304, headers={"etag": '"x"'}),
    ],
)
async def test_what_is_no_text_or_has_a_coding_is_left_alone(made: Response) -> None:
    headers, body, _ = await ask(made)
    assert body == made.body
    assert headers.get("content-encoding") in (None, "br")
    assert "vary" not in headers


async def test_answers_to_post_are_not_compressed_for_secrets_are_among_them() -> None:
    headers, body, _ = await ask(JSONResponse({"secret": "x" * MIN_BYTES}), method="POST")
    assert b"secret" in body
    assert "content-encoding" not in headers


async def test_a_strong_tag_becomes_weak() -> None:
    for given in ('"x"', 'W/"x"'):
        headers, *_ = await ask(Response(TEXT, media_type="text/css", headers={"etag": given}))
        assert headers["etag"] == 'W/"x"'
