"""Server-sent events, read as a browser reads them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from .served import READER, WRITER, Served, nobody_left, served


class Stream:
    """The events of an answer."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def block(self) -> dict[str, str]:
        """The next event or comment; comments under ''."""
        found: dict[str, str] = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line and found:
                    return found
                name, _, value = line.partition(":")
                found[name] = value.strip()
        raise EOFError

    async def event(self, name: str) -> tuple[str, Any]:
        """Id and data of the next event of this name."""
        while (found := await self.block()).get("event") != name:
            continue
        return found.get("id", ""), json.loads(found["data"])


def address(live: Served) -> str:
    return f"http://127.0.0.1:{live.port}/api/stream"


@asynccontextmanager
async def stream_of(
    live: Served, channel: str = "alerts", token: str = READER, **headers: str
) -> AsyncIterator[Stream]:
    params = {"channel": channel, "token": token}
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=10) as http,
        http.stream("GET", address(live), params=params, headers=headers) as answer,
    ):
        yield Stream(answer)


async def test_events_come_at_once_though_the_client_would_take_compressed_ones() -> None:
    async with served() as live, stream_of(live, **{"accept-encoding": "gzip, zstd"}) as stream:
        head = stream.answer.headers
        assert head["content-type"].startswith("text/event-stream")
        assert (head["cache-control"], head["x-accel-buffering"]) == ("no-cache", "no")
        assert "content-encoding" not in head
        assert (await stream.block())["retry"] == "3000"
        assert (await stream.event("subscribed"))[1]["channel"] == "alerts"
        id_, data = await stream.event("alert")
        assert (id_, data["name"], data["seq"], data["type"]) == ("3", "alert 3", 1, "alert")
        live.alert(4)
        assert (await stream.event("alert"))[0] == "4"


async def test_a_browser_that_comes_back_gets_what_it_missed_and_nothing_twice() -> None:
    async with served() as live, stream_of(live, **{"last-event-id": "1"}) as stream:
        live.alert(3)
        live.alert(4)
        assert [(await stream.event("alert"))[0] for _ in range(3)] == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("channel", "token", "status", "kind"),
    [
        ("alerts", "forged", 401, "unauthenticated"),
        ("alerts", WRITER, 403, "forbidden"),
        ("weather", READER, 404, "not-found"),
    ],
)
async def test_what_is_refused_is_a_problem_document(channel: str, token: str, status: int, kind: str) -> None:
    async with served() as live, stream_of(live, channel, token) as stream:
        assert stream.answer.status_code == status
        assert json.loads(await stream.answer.aread())["type"] == f"/problems/{kind}"
        assert not len(live.sessions)


async def test_no_place_is_said_with_the_time_to_come_back() -> None:
    async with served(push_connections=1) as live, stream_of(live), stream_of(live) as other:
        assert other.answer.status_code == 503
        assert other.answer.headers["retry-after"]


async def test_a_stream_ends_after_its_time_and_when_its_user_is_blocked() -> None:
    async with served(push_stream_s=0.3, push_recheck_s=0.1) as live:
        async with stream_of(live) as stream:
            with pytest.raises(EOFError):
                await stream.event("never")
        async with stream_of(live) as stream:
            live.callers.gone.add(READER.encode())
            assert (await stream.event("closed"))[1]["code"] == 4401


async def test_head_ends_and_a_client_that_leaves_frees_its_place() -> None:
    async with served() as live:
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as http:
            answer = await http.head(address(live), params={"channel": "alerts", "token": READER})
        assert answer.status_code == 200
        async with stream_of(live) as stream:
            await stream.event("alert")
            assert len(live.sessions) == 1
        await nobody_left(live)


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    with capture_logs() as logs:
        await _cut_off()
    assert [one["event"] for one in logs if one["log_level"] not in ("debug", "warning")] == [
        "a stream was not read in time; its connection is closed"
    ]


async def _cut_off() -> None:
    async with served(push_write_timeout_s=0.3) as live:
        live.alerts.pad = "x" * 200_000
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        small.connect(("127.0.0.1", live.port))
        reader, writer = await asyncio.open_connection(sock=small, limit=1_024)
        writer.write(f"GET /api/stream?channel=alerts&token={READER} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readline()
        numbers = count(10)
        async with asyncio.timeout(20):
            while len(live.sessions):
                live.alert(next(numbers))
                await asyncio.sleep(0)
        writer.close()


async def test_a_stop_does_not_wait_for_streams() -> None:
    async with served() as live, stream_of(live) as stream:
        await stream.event("alert")
        live.server.should_exit = True
        with pytest.raises((EOFError, httpx2.RemoteProtocolError)):
            await stream.event("never")
        await nobody_left(live)
