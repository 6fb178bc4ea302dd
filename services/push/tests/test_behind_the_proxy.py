"""Live clients through the proxy of the compose stack: what it was written into, run by a real Caddy where there is
one."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.kit import eventually
from tools.proxy import CADDYFILE

from .served import READER, Served, nobody_left, served

TEXT = CADDYFILE.read_text(encoding="utf-8")
UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "origin": "https://evil.example",
}
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
FILES = re.compile(r"^\(dashboard\) \{.*?^\}$", re.MULTILINE | re.DOTALL)
"""The files of the dashboard, which are compressed, and are none of ours."""


def test_nothing_is_kept_back_or_compressed_on_its_way() -> None:
    """Caddy hands on what is `text/event-stream` at once, unless it is told otherwise."""
    directives = COMMENT.sub("", FILES.sub("", TEXT))
    for kept_back in ("flush_interval", "encode", "request_buffers", "response_buffers", "stream_timeout"):
        assert kept_back not in directives


@asynccontextmanager
async def proxied(live: Served, folder: Path) -> AsyncIterator[str]:
    """Host and port of a Caddy with the rules of the stack in front of push."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed: its rules were only read")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rules, _, _ = TEXT.partition("# What the proxy itself refuses")  # an older Caddy does not know `handle_errors 404`
    rules = rules.replace(":3000 {", f"http://127.0.0.1:{port} {{").replace("push:8080", f"127.0.0.1:{live.port}")
    config = folder / "Caddyfile"
    config.write_text(f"{rules}}}\n", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        caddy, "run", "--adapter", "caddyfile", "--config", str(config),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env={"HOME": str(folder)},
    )  # fmt: skip
    try:
        await eventually(lambda: _listens(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_events_come_at_once_and_a_client_that_leaves_is_noticed(tmp_path: Path) -> None:
    async with (
        served() as live,
        proxied(live, tmp_path) as host,
        httpx2.AsyncClient(trust_env=False, timeout=10, headers={"accept-encoding": "gzip, zstd"}) as http,
    ):
        url = f"http://{host}/api/stream?channel=alerts&token={READER}"
        async with asyncio.timeout(10), http.stream("GET", url) as answer:
            assert "content-encoding" not in answer.headers
            lines = answer.aiter_lines()
            for number in (3, 4, 5):  # the snapshot, then what is new
                while f'"alert {number}"' not in await anext(lines):
                    continue
                live.alert(number + 1)
        await nobody_left(live)


async def test_sockets_are_handed_on_and_those_of_strangers_refused(tmp_path: Path) -> None:
    async with served() as live, proxied(live, tmp_path) as host:
        for path in (f"/ws?token={READER}", "/socket.io/?EIO=4&transport=websocket"):
            async with asyncio.timeout(10), connect(f"ws://{host}{path}", proxy=None) as socket_:
                assert await socket_.recv()
            async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
                assert (await http.get(f"http://{host}{path}", headers=UPGRADE)).status_code == 403
