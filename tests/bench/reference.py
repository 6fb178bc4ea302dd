"""What this machine does at best: the core of a stage's work with nothing around it, measured beside the stage.

A figure of a stage holds for one machine at one moment; how much more a stage costs than its core holds on any. The
bounds are those that were set in samples a second, over what these two did on the machine of that time:

| stage | floor, goal | its core did | so at most |
| --- | --- | --- | --- |
| gateway, batches | 0.7, 1.5 M samples/s/core | 2.56 | 3.7, 1.7 times |
| gateway, single | 15, 30 k requests/s/core | 45 | 3, 1.5 times |
| aggregator, 2,000 series, dense | 5, 10 M samples/s/core | 18.2 | 3.6, 1.8 times |
| aggregator, 200,000 series | 1.5, 4 M samples/s/core | 7.83 | 5.2, 2 times |

Run as a program, it is a bare ASGI app under uvicorn: it decodes metrics, drops them, and answers 201.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Final

import msgspec
import numpy as np
import uvicorn
from msgspec import Raw, Struct
from vigie_contracts.hosts import HostReport
from vigie_standalone.embedded.ports import free_port
from vigie_windows.sketch import GAMMA

from tests.bench import cost
from tests.bench.report import Row
from tests.bench.workload import Workload
from tests.kit.processes import http_ready
from tests.kit.wait import eventually_sync

CHUNK: Final = 50_000
BUCKETS: Final = 400
"""Of a sketch; values are below GAMMA ** BUCKETS."""


BATCH, SINGLE, REPORT = "/batch", "/single", "/report"


class Metric(Struct, gc=False):
    name: str
    type: str
    value: float
    labels: Raw
    timestamp: int


class Batch(Struct, gc=False):
    metrics: list[Metric]


_one: Final = msgspec.json.Decoder(Metric)
_many: Final = msgspec.json.Decoder(Batch)
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    BATCH: _many,
    SINGLE: _one,
    REPORT: msgspec.json.Decoder(HostReport),
}
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"16")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The whole of it."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if body:
        _DECODERS[scope["path"]].decode(body)
    await send({"type": "http.response.start", "status": 201, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b'{"success":true}'})


def bare_app(work: Workload, path: str, bodies: list[bytes], connections: int) -> Row:
    """The bodies, sent to the bare app as the gateway gets them."""
    seconds, spent = _dropped(path, bodies, connections)
    name = f"bare ASGI app, {path}"
    return Row(name, work.density, work.samples, seconds, spent.per(work.samples), exact=True, detail="dropped")


def bare_reports(bodies: list[bytes], connections: int) -> Row:
    """The same of reports of hosts."""
    seconds, spent = _dropped(REPORT, bodies, connections)
    name, count = f"bare ASGI app, {REPORT}", len(bodies)
    return Row(name, "", count, seconds, spent.per(count), exact=True, detail="dropped", unit="report")


def _dropped(path: str, bodies: list[bytes], connections: int) -> tuple[float, cost.Cost]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.reference", str(port)])
    try:
        eventually_sync(http_ready(url), 30, interval=0.1)
        with cost.measured({"app": process.pid}) as spent:
            sent = cost.send(url + path, bodies, connections, {"Content-Type": "application/json"})
    finally:
        process.terminate()
        process.wait(10)
    return sent["seconds"], spent


def fold_us(series: int, samples: int) -> float:
    """CPU microseconds for counting, adding and sketching one sample, of this process."""
    random = np.random.default_rng(7)
    which, values = random.integers(0, series, samples), random.integers(1, 1_000, samples).astype(np.float64)
    count, total, last = np.zeros(series, np.int64), np.zeros(series), np.zeros(series)
    least, most = np.full(series, np.inf), np.full(series, -np.inf)
    sketch = np.ones(series * BUCKETS, np.uint32)  # written, so that the memory is there
    per_bucket = 1 / np.log(GAMMA)
    began = time.process_time()
    for begin in range(0, samples, CHUNK):
        row, value = which[begin : begin + CHUNK], values[begin : begin + CHUNK]
        np.add.at(count, row, 1)
        np.add.at(total, row, value)
        np.minimum.at(least, row, value)
        np.maximum.at(most, row, value)
        last[row] = value
        np.add.at(sketch, row * BUCKETS + np.ceil(np.log(value) * per_bucket).astype(np.int64), 1)
    return (time.process_time() - began) / samples * 1e6


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
