"""Verdicts and reasons of http."""

from __future__ import annotations

import asyncio
import base64
import gzip
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from backports import zstd
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations, JsonCondition
from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.base import Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_runtime.egress import Egress
from vigie_runtime.expressions import Expressions

from services.healthcheck.tests.asking import LOOPBACK, answer, outcome
from services.healthcheck.tests.servers import hangs, says, server
from tests.kit.wait import eventually


async def test_http_up_has_phases_and_facts() -> None:
    async with server(says(answer(200, b"hello"))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert set(got.phases) == {"resolve", "connect", "processing", "transfer"}
    assert sum(got.phases.values()) <= got.duration_s
    assert got.facts == {
        "probe_http_status_code": 200.0, "probe_http_content_length": 5.0, "probe_http_redirects": 0.0,
        "probe_http_ssl": 0.0, "probe_failed_due_to_regex": 0.0,
    }  # fmt: skip


async def test_http_status_that_is_not_asked_for_is_down() -> None:
    async with server(says(answer(503))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
        assert (got.verdict, got.reason) == (Verdict.DOWN, "it answered with status 503")
        assert got.facts["probe_http_status_code"] == 503.0
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(statuses=["503"]))
        assert got.verdict is Verdict.UP


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/again", "redirected more than 5 times"),
        ("ftp://127.0.0.1/", "redirected to a connection that is not encrypted, or to no web address"),
        ("http://[", "redirected to what is no web address"),
    ],
)
async def test_http_redirects_that_lead_nowhere(location: str, reason: str) -> None:
    async with server(says(answer(302, Location=location))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.DOWN, reason)


async def test_http_redirects_to_what_should_have_been_quoted_are_followed() -> None:
    asked: list[bytes] = []

    async def moves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answer(301, Location="/é") if len(asked) == 1 else answer(200))
        await writer.drain()

    async with server(moves) as target:
        assert (await outcome("http", f"http://127.0.0.1:{target.port}/")).reason == ""
    assert asked[1] == b"GET /%C3%A9 HTTP/1.1\r\n"


async def test_http_redirect_to_an_address_inside_is_not_followed() -> None:
    async with server(says(answer(302, Location="http://169.254.169.254/latest"))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/")
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the host has no address that may be called")


async def test_http_secrets_stay_with_their_origin() -> None:
    got: dict[str, bytes] = {}

    def recording(name: str, said: bytes):
        async def handler(reader: Any, writer: Any) -> None:
            got[name] = await reader.read(65536)
            writer.write(said)
            await writer.drain()

        return handler

    async with server(recording("other", answer(200))) as other:
        away = answer(307, Location=f"http://127.0.0.1:{other.port}/")
        async with server(recording("first", away)) as target:
            found = await outcome("http", f"http://u:s3cret@127.0.0.1:{target.port}/", headers={"X-Key": "s3cret2"})
    assert found.verdict is Verdict.UP
    assert b"authorization: Basic dTpzM2NyZXQ=" in got["first"]
    assert b"s3cret2" in got["first"]
    assert b"s3cret2" not in got["other"]
    assert b"authorization" not in got["other"].lower()


@pytest.mark.parametrize("status", [307, 308])
async def test_http_body_stays_with_its_origin_too(status: int) -> None:
    async with server(hangs) as other:
        away = answer(status, Location=f"http://127.0.0.1:{other.port}/")
        async with server(says(away)) as target:
            url = f"http://127.0.0.1:{target.port}/"
            found = await outcome("http", url, method="POST", body=b"password=s3cret", deadline_s=1.0)
        assert not other.arrived.is_set()
    reason = "redirected with its body to another origin, which is not to get it"
    assert (found.verdict, found.reason) == (Verdict.DOWN, reason)


async def test_http_headers_with_line_ends_are_not_sent() -> None:
    async with server(hangs) as target:
        headers: Mapping[str, str] = {"X": "a\r\nHost: b"}
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", headers=headers)
    assert got.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("expect", "verdict", "reason"),
    [
        ({"body_matches": ["(?i)WELCOME"]}, Verdict.UP, ""),
        ({"body_matches": ["goodbye"]}, Verdict.DOWN, "the answer does not match goodbye"),
        ({"body_not_matches": ["welc"]}, Verdict.DOWN, "the answer matches welc"),
        ({"json": [JsonCondition("$.a")]}, Verdict.DOWN, "the answer is not JSON"),
        ({"max_bytes": 3}, Verdict.DOWN, "the answer is larger than 3 bytes"),
        ({"max_bytes": 7}, Verdict.UP, ""),
        ({"statuses": ["xyz"]}, Verdict.UNKNOWN, "the statuses of the target cannot be read"),
        ({"body_matches": ["("]}, Verdict.UNKNOWN, "the conditions of the target cannot be read"),
    ],
)
async def test_http_conditions(expect: dict[str, Any], verdict: Verdict, reason: str) -> None:
    async with server(says(answer(200, b"welcome"))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(**expect))
    assert (got.verdict, got.reason) == (verdict, reason)
    assert got.facts["probe_http_status_code"] == 200.0
    assert set(got.phases) == {"resolve", "connect", "processing", "transfer"}


def _raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("ZSTD", zstd.compress),
        ("identity", bytes),
    ],
)
async def test_http_compressed_answers_are_unpacked_before_they_are_judged(coding: str, pack: Any) -> None:
    said = answer(200, pack(b'{"status":"ok"}'), Content_Encoding=coding)
    async with server(says(said)) as target:
        expect = Expectations(json=[JsonCondition("$.status", "ok")])
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=expect)
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts["probe_http_uncompressed_body_length"] == 15.0


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
async def test_http_bombs_are_refused_while_they_grow(pack: Any) -> None:
    bomb = pack(b"\0" * 5_000_000)
    said = answer(200, bomb, Content_Encoding="zstd" if pack is zstd.compress else "gzip")
    async with server(says(said)) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(body_matches=["x"]))
    assert got.reason == "the answer is larger than 1048576 bytes when it is unpacked"


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("gzip", b"not gzip", "the answer is compressed, but cannot be unpacked"),
        ("zstd", b"not zstd", "the answer is compressed, but cannot be unpacked"),
        ("gzip", gzip.compress(b"welcome" * 99)[:-9], "the answer is compressed, and ends too early"),
        ("br", b"x", "the answer is compressed in a way that was not asked for"),
    ],
)
async def test_http_answers_that_cannot_be_unpacked_are_down(coding: str, body: bytes, reason: str) -> None:
    async with server(says(answer(200, body, Content_Encoding=coding))) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(body_matches=["x"]))
    assert (got.verdict, got.reason) == (Verdict.DOWN, reason)


async def test_http_slow_is_degraded() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        await asyncio.sleep(0.05)  # what the target takes
        writer.write(answer(200))
        await writer.drain()

    async with server(slowly) as target:
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(slow_ms=20.0))
        assert got.verdict is Verdict.DEGRADED
        assert got.reason.endswith(" ms, longer than 20 ms")
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=Expectations(slow_ms=4_000.0))
        assert got.verdict is Verdict.UP


async def test_http_username_and_password_are_sent_and_a_header_of_the_target_wins() -> None:
    heard: list[bytes] = []

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(answer(200))
        await writer.drain()

    async with server(hears) as target:
        url = f"http://127.0.0.1:{target.port}/"
        await outcome("http", url, username="é", password="a:b")
        await outcome("http", url, username="u", password="p", headers={"Authorization": "Bearer t"})
    assert b"authorization: Basic " + base64.b64encode("é:a:b".encode()) in heard[0]
    assert b"authorization: Bearer t" in heard[1]
    assert b"Basic" not in heard[1]


async def test_where_answers_are_judged_many_may_wait_and_none_is_the_targets_fault() -> None:
    """One thread is held; the answer came at once, so the target is not down, and its time is not counted."""
    expressions = Expressions(at_once=1)
    way = Way(Egress(LOOPBACK), expressions=expressions)
    async with server(says(answer(200, b"welcome"))) as target:
        free = threading.Event()
        held = asyncio.ensure_future(expressions.question("x", Question("").tenant).run(lambda _: free.wait(10)))
        expect = Expectations(body_matches=["welcome"])
        question = Question(f"http://127.0.0.1:{target.port}/", expect=expect)
        late = await ask(PROBES["http"], question, 1.0, way)
        began = time.perf_counter()
        waiting = asyncio.ensure_future(ask(PROBES["http"], question, 30.0, way))
        await eventually(lambda: expressions._admitted[question.tenant] == 2)
        await asyncio.sleep(0.3)  # what nobody may take for the target's time
        free.set()
        waited = await waiting
        in_all = time.perf_counter() - began
        assert await held
    assert (late.verdict, late.reason) == (Verdict.UNKNOWN, "there was no time to judge the answer")
    assert (waited.verdict, waited.reason) == (Verdict.UP, "")
    assert waited.duration_s <= in_all - 0.3


async def test_an_expression_that_takes_long_holds_nobody_up() -> None:
    body = b"a" * 50_000
    gaps: list[float] = []

    async def ticks() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)  # how long a turn of the loop really takes
            gaps.append(time.perf_counter() - began)

    ticking = asyncio.ensure_future(ticks())
    async with server(says(answer(200, body))) as target:
        expect = Expectations(body_matches=["[a-z0-9]{1,150}zzz"])
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=expect)
    ticking.cancel()
    assert got.reason == "the answer does not match [a-z0-9]{1,150}zzz"
    assert len(gaps) > 5


async def test_an_expression_that_would_take_too_long_is_not_begun() -> None:
    async with server(says(answer(200, b"a" * conditions.MAX_BODY_BYTES))) as target:
        expect = Expectations(body_matches=["[a-z0-9]{1,150}zzz"])
        got = await outcome("http", f"http://127.0.0.1:{target.port}/", expect=expect)
        assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the conditions take too long for this answer")
        expect = Expectations(body_not_matches=["(?i)something that is nowhere to be found.*, in a sentence"])
        assert (await outcome("http", f"http://127.0.0.1:{target.port}/", expect=expect)).reason == ""
