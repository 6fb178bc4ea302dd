"""What is around the items: content types, encodings, limits, methods, paths, time."""

import asyncio
import gzip
import os
from typing import Any

import pytest
from backports import zstd
from vigie_contracts import limits
from vigie_ingest.intakes import INTAKES

from tests.kit.cpu import cpu_at_most

from .test_history import SUPERADMIN

PATH = "/api/metrics/custom"
GOOD = b'{"name":"m","type":"gauge","value":1}'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "zstd", "identity", ""])
async def test_encoded_body_is_decoded(gateway: Any, encoding: str) -> None:
    encode = {"gzip": gzip.compress, "zstd": zstd.compress}.get(encoding.lower().removeprefix("x-"), bytes)
    reply = await gateway.post(PATH, encode(GOOD), {"content-encoding": encoding})
    assert reply.status == 201, reply.body


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
async def test_body_of_several_frames_is_one_body(gateway: Any, compress: Any) -> None:
    encoding = "gzip" if compress is gzip.compress else "zstd"
    body = compress(GOOD[:10]) + compress(b"") + compress(GOOD[10:])
    assert (await gateway.post(PATH, body, {"content-encoding": encoding})).status == 201


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_bomb_is_refused_while_decompressing(gateway: Any, encoding: str, compress: Any) -> None:
    bomb = compress(bytes(300_000_000))
    with cpu_at_most(2):
        reply = await gateway.post(PATH, bomb, {"content-encoding": encoding})
    assert reply.status == 413
    assert str(limits.MAX_DECOMPRESSED_BYTES) in reply.json["detail"]


@pytest.mark.parametrize("cut", [5, -1, -9])
@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_truncated_body_is_malformed(gateway: Any, encoding: str, compress: Any, cut: int) -> None:
    reply = await gateway.post(PATH, compress(GOOD + os.urandom(50))[:cut], {"content-encoding": encoding})
    assert reply.status == 400, reply.body
    assert encoding in reply.json["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("body", [b"plain text", GOOD, b"\x1f\x8b", gzip.compress(GOOD) + b"junk"])
async def test_body_that_is_not_what_its_encoding_says_is_malformed(gateway: Any, encoding: str, body: bytes) -> None:
    assert (await gateway.post(PATH, body, {"content-encoding": encoding})).status == 400


async def test_very_many_tiny_frames_are_refused(gateway: Any) -> None:
    reply = await gateway.post(PATH, gzip.compress(b"") * 10_000, {"content-encoding": "gzip"})
    assert reply.status == 400
    assert "frames" in reply.json["detail"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "gzip, zstd", "\xff"])
async def test_other_encodings_are_refused_and_the_good_ones_named(gateway: Any, encoding: str) -> None:
    reply = await gateway.post(PATH, GOOD, {"content-encoding": encoding})
    assert reply.status == 415
    assert reply.headers["accept-encoding"] == "gzip, zstd, identity"


async def test_repeated_encoding_header_is_several_encodings(gateway: Any) -> None:
    reply = await gateway.request(
        "POST", PATH, gzip.compress(GOOD), [("content-encoding", "gzip"), ("content-encoding", "gzip")]
    )
    assert reply.status == 415


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"', "text/json"]
)
async def test_json_content_types_are_taken(gateway: Any, media: str) -> None:
    assert (await gateway.post(PATH, GOOD, {"content-type": media})).status == 201


@pytest.mark.parametrize("path", [intake.path for intake in INTAKES])
async def test_absent_content_type_is_refused(gateway: Any, path: str) -> None:
    gateway.authenticator.principal = SUPERADMIN
    reply = await gateway.request("POST", path, GOOD)
    assert reply.status == 415
    assert reply.json["detail"].startswith("Content-Type: ")
    assert reply.headers["accept-post"]


@pytest.mark.parametrize(
    "media", ["text/plain", "application/xml", "application/json; charset=latin-1", "x", "multipart/form-data"]
)
async def test_other_content_types_are_refused(gateway: Any, media: str) -> None:
    reply = await gateway.post(PATH, GOOD, {"content-type": media})
    assert reply.status == 415
    assert reply.json["type"] == "/problems/unsupported-media-type"


async def test_announced_length_over_the_limit_is_refused_unread(gateway: Any) -> None:
    async def receive() -> Any:
        raise AssertionError("must not be read")

    for length in (str(limits.MAX_BODY_BYTES + 1), "9" * 5000):
        reply = await gateway.request("POST", PATH, headers={**JSON, "content-length": length}, receive=receive)
        assert reply.status == 413
        assert reply.headers["connection"] == "close"


async def test_chunked_body_is_cut_at_the_limit(gateway: Any) -> None:
    sent = 0

    async def receive() -> Any:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    assert (await gateway.request("POST", PATH, headers=JSON, receive=receive)).status == 413
    assert sent == 9
    assert gateway.bodies.held == 0


async def test_body_in_pieces_is_put_together(gateway: Any) -> None:
    assert (await gateway.post(PATH, b"", chunks=[GOOD[:5], b"", GOOD[5:], b""])).status == 201
    assert gateway.bodies.held == 0


async def test_slow_body_runs_into_its_deadline(gateway: Any) -> None:
    first = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        if (message := next(first, None)) is None:
            await asyncio.Event().wait()
        return message

    reply = await gateway.request("POST", PATH, headers=JSON, receive=receive)
    assert reply.status == 408
    assert reply.json["type"] == "/problems/request-timeout"
    assert gateway.bodies.held == 0


async def test_body_that_comes_late_but_in_time_is_taken(gateway: Any) -> None:
    async def receive() -> Any:
        await asyncio.sleep(0.01)  # the body is late by this much
        return {"type": "http.request", "body": GOOD, "more_body": False}

    assert (await gateway.request("POST", PATH, headers=JSON, receive=receive)).status == 201


@pytest.mark.parametrize("chunks", [[], [b"{"]])
async def test_sender_that_hangs_up_gets_no_answer_and_is_counted(gateway: Any, chunks: list[bytes]) -> None:
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in chunks]

    async def receive() -> Any:
        await asyncio.sleep(0)
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    assert (await gateway.request("POST", PATH, headers=JSON, receive=receive)).status == 0
    assert gateway.metric("vigie_ingest_requests_total", route=PATH, status="gone") == 1


async def test_more_bodies_than_the_gateway_may_hold_get_503(gateway: Any) -> None:
    gateway.bodies.take(gateway.state.settings.ingest_max_body_bytes)
    for chunks in ([GOOD], [GOOD[:5], GOOD[5:]]):
        reply = await gateway.post(PATH, b"", chunks=chunks)
        assert reply.status == 503
        assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", [PATH, "/api/metrics/business", "/api/metrics/batch", "/api/events"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_other_methods_are_405_with_allow(gateway: Any, path: str, method: str) -> None:
    reply = await gateway.request(method, path)
    assert reply.status == 405
    assert "POST" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/api/metrics", "/api/metrics/custom/", "/nope", "/api/metrics/\udcff"])
async def test_wrong_paths_are_404_problems(gateway: Any, path: str) -> None:
    for method in ("GET", "POST"):
        try:
            reply = await gateway.request(method, path)
        except UnicodeEncodeError:  # the double's own scope
            return
        assert reply.status == 404
        assert reply.json["type"] == "/problems/not-found"
        assert reply.headers["content-type"] == "application/problem+json"


async def test_bug_is_a_500_problem_without_its_inside(gateway: Any) -> None:
    gateway.publisher.fail = ZeroDivisionError("secret")
    reply = await gateway.post(PATH, GOOD)
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert reply.json["type"] == "/problems/internal-error"


async def test_requests_before_the_start_get_503(gateway: Any) -> None:
    gateway.state.resources = None
    reply = await gateway.post(PATH, GOOD)
    assert reply.status == 503
    assert reply.headers["retry-after"]
