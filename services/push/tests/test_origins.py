"""Pages of other origins, on every transport: they may neither open a WebSocket, nor write, nor read an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from .served import READER, Served, served

STRANGER, FRIEND = "https://evil.example", "https://app.example.com"
CORS = "access-control-allow-origin"


@asynccontextmanager
async def page_of(origin: str, live: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """What a browser sends for a page of this origin."""
    headers = {"origin": origin, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    base = f"http://127.0.0.1:{live.port}"
    async with httpx2.AsyncClient(trust_env=False, timeout=30, headers=headers, base_url=base) as http:
        yield http


POLLING = "/socket.io/?EIO=4&transport=polling"
STREAM = f"/api/stream?channel=alerts&token={READER}"


async def opened(live: Served, path: str, origin: str) -> int:
    """The status with which a page's WebSocket is answered."""
    try:
        async with connect(f"ws://127.0.0.1:{live.port}{path}", origin=origin, proxy=None):  # pyright: ignore[reportArgumentType]
            return 101
    except InvalidStatus as e:
        return e.response.status_code


@pytest.mark.parametrize("path", [f"/ws?token={READER}", "/socket.io/?EIO=4&transport=websocket"])
async def test_a_strangers_page_opens_no_websocket(path: str) -> None:
    async with served(cors_origins=FRIEND) as live:
        assert await opened(live, path, STRANGER) == 403
        assert await opened(live, path, "null") == 403
        assert await opened(live, path, FRIEND) == 101
        assert await opened(live, path, f"http://127.0.0.1:{live.port}") == 101


async def test_a_strangers_page_can_neither_read_nor_write_by_polling() -> None:
    async with served(cors_origins=FRIEND) as live:
        async with page_of(STRANGER, live) as page:
            asked = await page.get(POLLING)  # browsers let it ask, and keep the answer from it
            assert CORS not in asked.headers
            for path in (POLLING, f"{POLLING}&sid=made-up"):
                assert (await page.post(path, content="40")).status_code == 403
            preflight = {"access-control-request-method": "POST"}
            assert CORS not in (await page.options(POLLING, headers=preflight)).headers
        async with page_of(FRIEND, live) as page:
            asked = await page.get(POLLING)
            assert (asked.status_code, asked.headers[CORS]) == (200, FRIEND)


async def test_a_strangers_page_cannot_read_a_script_of_the_polling() -> None:
    """JSONP would get around what browsers keep from pages; no client of ours needs it."""
    async with served() as live, page_of(STRANGER, live) as page:
        asked = await page.get(f"{POLLING}&j=0")
        assert asked.status_code == 422
        assert "sid" not in asked.text


async def test_a_strangers_page_cannot_read_a_stream() -> None:
    async with served(cors_origins=FRIEND) as live:
        async with page_of(STRANGER, live) as page, page.stream("GET", STREAM) as answer:
            assert CORS not in answer.headers
        async with page_of(FRIEND, live) as page, page.stream("GET", STREAM) as answer:
            assert (answer.status_code, answer.headers[CORS]) == (200, FRIEND)
