"""The same samples for everybody: bodies for Vigie, Prometheus and VictoriaMetrics, and what must come out."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cramjam
import numpy as np
from vigie_contracts.series import Kind, SeriesKey, series_key

BATCH = 500
"""Samples in one request."""
NAME = "bench_request_duration"


@dataclass(frozen=True)
class Workload:
    """`series` series, each with `per_series` samples, `per_window` of them in every 10 s window; values are integers.

    Samples go round robin over the series, so that a batch holds as many different series as it can: the hard case.
    """

    series: int
    per_series: int
    per_window: int
    end_ms: int

    @property
    def samples(self) -> int:
        return self.series * self.per_series

    @property
    def density(self) -> str:
        return f"{self.per_window} samples/window"

    @cached_property
    def keys(self) -> list[SeriesKey]:
        return [series_key("default", NAME, Kind.HISTOGRAM, labels(i)) for i in range(self.series)]

    def timestamp(self, step: int) -> int:
        """Of the sample number `step` of each series; the last one is at `end_ms`."""
        return self.end_ms - (self.per_series - 1 - step) * (10_000 // self.per_window)

    def value(self, series: int, step: int) -> int:
        return (series * 7 + step * 13) % 1_000 + 1

    @cached_property
    def expected_sums(self) -> np.ndarray:
        """Sum of the values of each series."""
        steps = np.arange(self.per_series)
        return np.array([int(((i * 7 + steps * 13) % 1_000 + 1).sum()) for i in range(self.series)])

    def batches(self) -> Iterator[list[tuple[int, int]]]:
        """(series, step) of the samples of each request."""
        order = [(i, step) for step in range(self.per_series) for i in range(self.series)]
        for begin in range(0, len(order), BATCH):
            yield order[begin : begin + BATCH]

    def halves(self, bodies: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Of two samples a series: the bodies with the first ones, and with the second ones."""
        assert self.per_series == 2
        assert self.series % BATCH == 0
        return bodies[: len(bodies) // 2], bodies[len(bodies) // 2 :]

    def vigie_bodies(self) -> list[bytes]:
        """Bodies of POST /api/metrics/batch, about 210 bytes a sample."""
        heads = [
            f'{{"name":"{NAME}","type":"histogram","labels":{json.dumps(labels(i))},"value":'
            for i in range(self.series)
        ]
        return [
            (
                '{"metrics":['
                + ",".join(f'{heads[i]}{self.value(i, s)},"timestamp":{self.timestamp(s)}}}' for i, s in batch)
                + "]}"
            ).encode()
            for batch in self.batches()
        ]

    def single_bodies(self, count: int) -> list[bytes]:
        """Bodies of POST /api/metrics/custom."""
        return [
            json.dumps(
                {
                    "name": NAME,
                    "type": "histogram",
                    "labels": labels(i % self.series),
                    "value": self.value(i % self.series, i // self.series),
                    "timestamp": self.timestamp(i // self.series),
                }
            ).encode()
            for i in range(count)
        ]

    def remote_write_bodies(self) -> list[bytes]:
        """Snappy-compressed protobuf of Prometheus remote-write 1.0."""
        heads = [
            b"".join(message(1, text(1, n) + text(2, v)) for n, v in [("__name__", NAME), *labels(i).items()])
            for i in range(self.series)
        ]
        bodies: list[bytes] = []
        for batch in self.batches():
            series: dict[int, list[bytes]] = {}
            for i, s in batch:
                series.setdefault(i, []).append(message(2, sample(self.value(i, s), self.timestamp(s))))
            request = b"".join(message(1, heads[i] + b"".join(samples)) for i, samples in series.items())
            bodies.append(bytes(cramjam.snappy.compress_raw(request)))
        return bodies

    def import_bodies(self) -> list[bytes]:
        """JSON lines of VictoriaMetrics' /api/v1/import: a line per series and request."""
        bodies: list[bytes] = []
        for batch in self.batches():
            series: dict[int, list[int]] = {}
            for i, s in batch:
                series.setdefault(i, []).append(s)
            lines = (
                json.dumps(
                    {
                        "metric": {"__name__": NAME, **labels(i)},
                        "values": [self.value(i, s) for s in steps],
                        "timestamps": [self.timestamp(s) for s in steps],
                    }
                )
                for i, steps in series.items()
            )
            bodies.append("\n".join(lines).encode())
        return bodies


def workload(series: int, samples: int, per_window: int) -> Workload:
    """About `samples` samples over `series` series, ending now, whole rounds."""
    return Workload(series, max(1, samples // series), per_window, int(time.time()) * 1000)


def labels(i: int) -> dict[str, str]:
    """Six labels, as a booking service has."""
    return {
        "service": f"booking-{i % 20}",
        "endpoint": f"/api/v1/resource/{i % 100}",
        "method": ("GET", "POST", "PUT", "DELETE")[i % 4],
        "status": str(200 + i % 5),
        "region": f"eu-west-{i % 3}",
        "instance": f"10.0.{i // 250 % 250}.{i % 250}:{8000 + i // 62_500}",
    }


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def message(number: int, payload: bytes) -> bytes:
    """A field of protobuf that holds bytes: a text, or another message."""
    return bytes((number << 3 | 2,)) + _varint(len(payload)) + payload


def text(number: int, value: str) -> bytes:
    return message(number, value.encode())


def sample(value: float, timestamp: int) -> bytes:
    """A `Sample` of remote write."""
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(timestamp)
