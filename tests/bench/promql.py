"""Questions in PromQL: Vigie and Prometheus on the same samples over HTTP; and a rule, evaluated again in memory."""

from __future__ import annotations

import http.client
import json
import math
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cramjam
import numpy as np
from vigie_query.promql.evaluation import Evaluation
from vigie_query.promql.label_sets import LabelSets
from vigie_query.promql.labels import labels_of
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import Node
from vigie_query.promql.reading import wanted
from vigie_query.promql.samples import Samples
from vigie_standalone.embedded.ports import free_port

from tests.bench import cost, peers
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import Stack
from tests.bench.workload import message, sample, text
from tests.kit.wait import eventually_sync

HOUR_S: Final = 3_600
STEP_S: Final = 10
"""Between the samples of a series."""
STEPS: Final = (HOUR_S + 600) // STEP_S
"""Samples of a series: of an hour, and of ten minutes before, so that every range is full: where a series begins,
versions of Prometheus guess differently."""
MINUTES: Final = 30 * 24 * 60
"""Samples of the one long series, a minute apart."""
RECENT_S: Final = 70 * 60
"""What goes into Prometheus by remote write, in two parts: it takes nothing that is an hour older than the newest."""
BODY_SAMPLES: Final = 5_000
BODIES: Final = 120
"""In memory at a time."""
COUNTER, BUCKET, LEVEL = "bench_requests_total", "bench_duration_seconds_bucket", "bench_level"
BOUNDS: Final = ("0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
ANSWER_S: Final = 120.0
JSON: Final = {"Content-Type": "application/json"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
FLOOR, GOAL = 3.0, 1.0
"""Of the time of Prometheus."""
ENOUGH_S: Final = 0.3
MOST_TURNS: Final = 20
"""What takes milliseconds is asked so often that one disturbance does not decide. No more: the questions go back in
time, and the samples begin a day before the longest of them."""
RULE: Final = f"sum by (service) (rate({COUNTER}[5m])) > 0"
RULE_RUNS: Final = 20


@dataclass(frozen=True)
class Data:
    """`series` counters and as many buckets for an hour, and one gauge for thirty days. No time is a whole step."""

    series: int
    end_s: int
    """A full hour; the last sample is 7 s before it."""

    def counters(self) -> list[tuple[str, dict[str, str], int]]:
        """Name, labels, and by how much it grows from sample to sample: each by another number."""
        one = [
            (COUNTER, {"service": f"booking-{i % 20}", "instance": f"10.0.{i // 250}.{i % 250}:8000"}, i + 1)
            for i in range(self.series)
        ]
        instances = self.series // len(BOUNDS)
        return one + [
            (BUCKET, {"service": f"booking-{i % 20}", "instance": f"10.0.{i // 250}.{i % 250}:8000", "le": le}, grows)
            for i in range(instances)
            for grows, le in enumerate(BOUNDS, 1 + i % 3)
        ]

    def second(self, step: int) -> int:
        """Of a sample."""
        return self.end_s - 7 - (STEPS - 1 - step) * STEP_S

    def levels(self) -> list[tuple[int, int]]:
        """Seconds and values of the gauge."""
        return [(self.end_s - 7 - 60 * (MINUTES - 1 - i), i * 13 % 1_000) for i in range(MINUTES)]

    def vigie_bodies(self) -> Iterator[bytes]:
        """Of POST /api/metrics/batch; all of a name together, in the order of time."""
        for items in self._batches():
            yield f'{{"metrics":[{",".join(items)}]}}'.encode()

    def _batches(self) -> Iterator[list[str]]:
        head = f'{{"name":"{LEVEL}","type":"gauge","timestamp":'
        levels = [f'{head}{second}000,"value":{value}}}' for second, value in self.levels()]
        yield from (levels[begin : begin + BODY_SAMPLES] for begin in range(0, len(levels), BODY_SAMPLES))
        for name in (COUNTER, BUCKET):
            heads = [
                (f'{{"name":"{name}","type":"counter","temporality":"cumulative","labels":{json.dumps(labels)},', grows)
                for which, labels, grows in self.counters()
                if which == name
            ]
            for step in range(STEPS):
                at = f'"timestamp":{self.second(step)}000,"value":'
                for begin in range(0, len(heads), BODY_SAMPLES):
                    yield [f"{head}{at}{1_000 + step * grows}}}" for head, grows in heads[begin : begin + BODY_SAMPLES]]

    def prometheus_bodies(self, begin_s: int, end_s: int) -> Iterator[bytes]:
        """Of remote write: what lies between these times, all samples of a series together."""
        levels = [message(2, sample(value, at * 1_000)) for at, value in self.levels() if begin_s <= at < end_s]
        yield _write(_series(LEVEL, {}, b"".join(levels)))
        steps = np.array([step for step in range(STEPS) if begin_s <= self.second(step) < end_s])
        written = [message(2, sample(0, self.second(step) * 1_000)) for step in steps.tolist()]
        rows = np.array([list(one) for one in written], np.uint8)
        value = slice(3, 11)  # behind two bytes of the message's head and one of the value's
        counters = self.counters()
        for first in range(0, len(counters), 100):
            request: list[bytes] = []
            for name, labels, grows in counters[first : first + 100]:
                rows[:, value] = (1_000.0 + steps * grows).view(np.uint8).reshape(len(steps), 8)
                request.append(_series(name, labels, rows.tobytes()))
            yield _write(*request)

    def openmetrics(self) -> str:
        """The gauge but for the newest, from which promtool makes a block: a receiver takes nothing that is so old."""
        lines = [f"{LEVEL} {value} {at}" for at, value in self.levels() if at < self.end_s - RECENT_S]
        return "\n".join([f"# TYPE {LEVEL} gauge", *lines, "# EOF\n"])


def _series(name: str, labels: dict[str, str], samples: bytes) -> bytes:
    pairs = [("__name__", name), *sorted(labels.items())]
    return message(1, b"".join(message(1, text(1, n) + text(2, v)) for n, v in pairs) + samples)


def _write(*series: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(b"".join(series)))


@dataclass(frozen=True)
class Question:
    """What is asked of both. `span_s` 0: at one time."""

    name: str
    query: str
    span_s: int
    step_s: int
    results: int
    """Series of its answer."""
    samples: int
    """That it is about."""

    def parameters(self, end_s: int) -> tuple[str, dict[str, Any]]:
        if not self.span_s:
            return "/api/v1/query", {"query": self.query, "time": end_s}
        return "/api/v1/query_range", {
            "query": self.query, "start": end_s - self.span_s, "end": end_s, "step": self.step_s,
        }  # fmt: skip


def questions(series: int) -> list[Question]:
    """Those of a dashboard."""
    return [
        Question("sum by (rate)", f"sum by (service) (rate({COUNTER}[5m]))", HOUR_S, 15, 20, series * STEPS),
        Question("topk", f"topk(10, {COUNTER})", 0, 0, 10, series),
        Question(
            "histogram_quantile",
            f"histogram_quantile(0.95, sum by (le) (rate({BUCKET}[5m])))",
            HOUR_S,
            15,
            1,
            series * STEPS,
        ),
        Question("one series, 30 d", LEVEL, 29 * 24 * HOUR_S, HOUR_S, 1, MINUTES),
    ]


class Server:
    """A query API under measurement."""

    def __init__(self, name: str, url: str, pids: dict[str, int]) -> None:
        parts = urllib.parse.urlsplit(url)
        self.name, self.pids = name, pids
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_S)

    def ask(self, question: Question, end_s: int) -> tuple[float, dict[str, Any]]:
        """Seconds until the whole answer was there, and its data. Raises LoadError for a refusal."""
        path, parameters = question.parameters(end_s)
        began = time.perf_counter()
        self._connection.request("POST", path, urllib.parse.urlencode(parameters), FORM)
        response = self._connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - began
        if response.status != 200:
            raise cost.LoadError(f"{self.name} refused {question.query}: {response.status} {body[:500].decode()}")
        return seconds, json.loads(body)["data"]

    def counted(self, data: Data) -> int:
        """Samples of the counters that it has."""
        found = 0
        for name in (COUNTER, BUCKET):
            asked = Question("count", f"sum(count_over_time({name}[2h]))", 0, 0, 1, 0)
            found += sum(int(one["value"][1]) for one in self.ask(asked, data.end_s)[1]["result"])
        return found


def measure(report: Report, runs: int, samples: int) -> None:
    """Both in turn, then the rule."""
    series = max(len(BOUNDS) * 20, samples // 100)
    data = Data(series, int(time.time()) // HOUR_S * HOUR_S)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, ExitStack() as stack:
        servers = [_vigie(stack, Path(directory), data)]
        if peers.PROMETHEUS.program() is None or shutil.which("promtool") is None:
            report.skip("Prometheus: there is no prometheus, or no promtool, on the PATH")
        else:
            servers.append(_prometheus(stack, Path(directory) / "prometheus", data))
        for question in questions(series):
            _compare(report, question, servers, data, runs)
    _rule(report, series, runs)


def _vigie(stack: ExitStack, directory: Path, data: Data) -> Server:
    vigie = stack.enter_context(Stack(directory))
    vigie.start_ingest()
    vigie.start_aggregator()
    _send(vigie.url + "/api/metrics/batch", data.vigie_bodies(), JSON, 16)
    vigie.wait_counted(coarse=True)
    url = vigie.start_api()
    pids = {name: pid for name, pid in vigie.pids().items() if name in ("api", "mongod", "redis")}
    return Server("Vigie", url, pids)


def _prometheus(stack: ExitStack, directory: Path, data: Data) -> Server:
    directory.mkdir()
    (directory / "levels").write_text(data.openmetrics())
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=768h", "--quiet"]
    subprocess.run([*command, directory / "levels", directory / "tsdb"], check=True, capture_output=True)
    port = free_port()
    process = stack.enter_context(peers.running(peers.PROMETHEUS, directory, port))
    url = f"http://127.0.0.1:{port}"
    for begin, end in ((RECENT_S, RECENT_S // 2), (RECENT_S // 2, 0)):
        bodies = data.prometheus_bodies(data.end_s - begin, data.end_s - end)
        _send(url + peers.PROMETHEUS.path, bodies, peers.PROMETHEUS.headers, peers.CONNECTIONS)
    server = Server("Prometheus", url, {"prometheus": process.pid})
    eventually_sync(lambda: server.counted(data) == len(data.counters()) * STEPS, 60, interval=1)
    return server


def _send(url: str, bodies: Iterator[bytes], headers: dict[str, str], connections: int) -> None:
    """All of them, so many at a time."""
    part: list[bytes] = []
    for body in bodies:
        part.append(body)
        if len(part) == BODIES:
            cost.send(url, part, connections, headers)
            part = []
    if part:
        cost.send(url, part, connections, headers)


def _compare(report: Report, question: Question, servers: list[Server], data: Data, runs: int) -> None:
    """Each server in turn, once without being measured; every time at another moment, so that no answer is kept."""
    seconds: dict[str, list[float]] = {server.name: [] for server in servers}
    answers: dict[str, dict[str, Any]] = {}
    spent: dict[str, dict[str, float]] = {server.name: dict.fromkeys(server.pids, 0.0) for server in servers}
    turn, turns = 0, runs
    while turn <= turns:
        for server in servers:
            with cost.measured(server.pids) as used:
                took, answers[server.name] = server.ask(question, data.end_s - turn * max(15, question.step_s))
            if turn:
                seconds[server.name].append(took)
                for name, cpu in used.seconds.items():
                    spent[server.name][name] += cpu
            else:
                turns = max(turns, min(MOST_TURNS, int(ENOUGH_S / took)))
        turn += 1
    expected = answers[servers[-1].name]
    for server in servers:
        median = statistics.median(seconds[server.name])
        report.add(
            Row(
                f"PromQL, {question.name}, {server.name}",
                f"{data.series:,} series",
                question.samples,
                median,
                {name: cpu / turns * 1e6 for name, cpu in spent[server.name].items()},
                exact=len(expected["result"]) == question.results and same(answers[server.name], expected),
                detail=f"{median * 1e3:.1f} ms",
                unit="query",
            )
        )
    if len(servers) == 2:
        ours, theirs = seconds.values()
        ratios = tuple(a / b for a, b in zip(ours, theirs, strict=True))
        report.floors.append(
            Floor(f"PromQL, Vigie over Prometheus: {question.name}", "x time", FLOOR, GOAL, ratios, at_least=False)
        )


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """The same series with the same values at the same times, up to rounding."""
    mine, others = _values(ours), _values(theirs)
    return mine.keys() == others.keys() and all(
        len(mine[labels]) == len(others[labels])
        and all(
            a == c and math.isclose(float(b), float(d), rel_tol=1e-9)
            for (a, b), (c, d) in zip(mine[labels], others[labels], strict=True)
        )
        for labels in mine
    )


def _values(data: dict[str, Any]) -> dict[str, list[tuple[float, str]]]:
    return {json.dumps(one["metric"], sort_keys=True): one.get("values") or [one["value"]] for one in data["result"]}


def _rule(report: Report, series: int, runs: int) -> None:
    """What an alert costs each time: its samples are in memory, its plan is made, its time moves on."""
    data = Data(series, HOUR_S * 24)
    samples = _in_memory(data)
    node = parse(RULE)
    evaluate(node, samples, data.end_s)
    found = tuple(evaluate(node, samples, data.end_s - run) for run in range(runs * RULE_RUNS))
    name = f"PromQL, a rule over {series:,} series in memory, again"
    report.floors.append(Floor(name, "ms", 10, 2, found, at_least=False))


def evaluate(node: Node, samples: Samples, at_s: int) -> float:
    """Milliseconds that one evaluation takes."""
    at_ms = at_s * 1_000
    began = time.perf_counter()
    [asked] = wanted(node, Evaluation({}, at_ms, at_ms), 0)
    vector = Evaluation({asked.selector: samples}, at_ms, at_ms).vector(node, np.array([at_ms], np.int64))
    took = time.perf_counter() - began
    assert len(vector.labels) == 20
    return took * 1e3


def _in_memory(data: Data) -> Samples:
    """The counters' last ten minutes."""
    steps = np.arange(STEPS - 60, STEPS)
    counters = [one for one in data.counters() if one[0] == COUNTER]
    grows = np.array([each for _, _, each in counters])
    return Samples(
        LabelSets(labels_of({"__name__": name, **labels}) for name, labels, _ in counters),
        np.arange(len(counters) + 1) * len(steps),
        np.tile(np.array([data.second(step) * 1_000 for step in steps.tolist()], np.int64), len(counters)),
        (1_000.0 + grows[:, None] * steps).ravel(),
    )
