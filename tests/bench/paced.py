"""A load generator as a process of its own that posts the same bodies over and over at a steady rate.

`python -m tests.bench.paced URL FILE CONNECTIONS RATE` until its standard input ends; then it prints one JSON object.
A rate of 0 is as fast as it can.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Load, read_bodies, write_bodies

MOST_LATE_S = 1.0
"""What is later than that is not made up for: then the machine cannot do as much."""


class Paced:
    """Requests a second, so many at a time."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()
        self.stopping = False

    def bodies(self, bodies: list[bytes]) -> Iterator[bytes]:
        """Without end, until stopping."""
        return itertools.takewhile(lambda _: not self.stopping, itertools.cycle(bodies))

    async def turn(self) -> None:
        """Wait until the next request may be sent."""
        if not self._rate:
            return
        now = time.monotonic()
        self._next = max(self._next, now - MOST_LATE_S) + 1 / self._rate
        if self._next > now:
            await asyncio.sleep(self._next - now)


class PacedLoad(Load):
    """Every request in its turn."""

    def __init__(self, url: str, bodies: list[bytes], headers: str, pace: Paced) -> None:
        super().__init__(url, bodies, headers)
        self._pace = pace

    async def before(self) -> None:
        await self._pace.turn()


async def main() -> None:
    url, path, connections, rate = sys.argv[1:]
    pace, bodies = Paced(float(rate)), read_bodies(Path(path))
    load = PacedLoad(url, bodies, "Content-Type: application/json\r\n", pace)
    began = time.perf_counter()
    sending = asyncio.create_task(load.share(pace.bodies(bodies), int(connections)))
    await asyncio.to_thread(sys.stdin.read)
    pace.stopping = True
    await sending
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"rate": load.requests / seconds, "refused": load.refused}) + "\n")


@dataclass
class Sent:
    """What was achieved, once the block has ended."""

    rate: float = 0.0
    """Samples a second."""


@contextmanager
def running(url: str, bodies: list[bytes], samples: int, rate: float, connections: int = 8) -> Iterator[Sent]:
    """Load while the block runs: bodies of so many samples each, `rate` samples a second. Raises AssertionError when
    anything was refused."""
    sent = Sent()
    with tempfile.NamedTemporaryFile(suffix=".bodies") as file:
        write_bodies(Path(file.name), bodies)
        command = [sys.executable, "-m", "tests.bench.paced", url, file.name, str(connections), str(rate / samples)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield sent
            finally:
                said, _ = process.communicate(timeout=60)
    found = json.loads(said)
    assert not found["refused"], found["refused"]
    sent.rate = found["rate"] * samples


if __name__ == "__main__":
    asyncio.run(main())
