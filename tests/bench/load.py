"""A load generator as a process of its own: posts prepared bodies over keep-alive connections as fast as it can.

`python -m tests.bench.load URL FILE CONNECTIONS GROUPS [HEADER ...]` prints one JSON object.
503 answers are repeated after a short wait.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

RETRY_S = 0.05
DEADLINE_S = 600


def write_bodies(path: Path, bodies: list[bytes]) -> None:
    """Length-prefixed bodies."""
    with path.open("wb") as f:
        for body in bodies:
            f.write(struct.pack("<I", len(body)))
            f.write(body)


def read_bodies(path: Path) -> list[bytes]:
    data, bodies, at = path.read_bytes(), [], 0
    while at < len(data):
        (n,) = struct.unpack_from("<I", data, at)
        bodies.append(data[at + 4 : at + 4 + n])
        at += 4 + n
    return bodies


class Load:
    """One run: the bodies are shared out to the connections as they become free."""

    def __init__(self, url: str, bodies: list[bytes], headers: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._host, self._port = parts.hostname, parts.port
        self._head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}"
        self._bodies = bodies
        self.requests = self.retried = 0
        self.refused: dict[int, str] = {}
        self.latencies: list[float] = []

    async def run(self, connections: int, groups: int) -> None:
        """With groups, body i goes to connection (i % groups) % connections, in order: for receivers that refuse
        samples of a series out of order. With 0 groups the next free connection takes the next body."""
        lanes = [iter(self._bodies)] * connections
        if groups:
            numbered = list(enumerate(self._bodies))
            lanes = [iter([b for i, b in numbered if i % groups % connections == c]) for c in range(connections)]
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(self._connection(lane))

    async def share(self, bodies: Iterator[bytes], connections: int) -> None:
        """All of them, over so many connections, however long that takes."""
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._connection(bodies))

    async def before(self) -> None:
        """Of every request, before it is sent."""

    async def _connection(self, bodies: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        for body in bodies:
            await self.before()
            request = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            while True:
                began = time.perf_counter()
                writer.write(request)
                status, answer = await self._answer(reader)
                if status != 503:
                    break
                self.retried += 1
                await asyncio.sleep(RETRY_S)
            self.latencies.append(time.perf_counter() - began)
            self.requests += 1
            if status >= 300:
                self.refused[status] = answer[:300].decode(errors="replace")
        writer.close()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 : lower.index(b"\r\n", at)]) if at >= 0 else 0
        return int(head[9:12]), await reader.readexactly(length) if length else b""


async def main() -> None:
    url, path, connections, groups, *headers = sys.argv[1:]
    load = Load(url, read_bodies(Path(path)), "".join(f"{h}\r\n" for h in headers))
    began = time.perf_counter()
    await load.run(int(connections), int(groups))
    seconds = time.perf_counter() - began
    latencies = sorted(load.latencies)
    result = {
        "seconds": seconds,
        "requests": load.requests,
        "retried": load.retried,
        "refused": load.refused,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
