"""From an event that was accepted to the webhook that tells of it: under load, with many rules, many at once, after a
restart; and stock Prometheus with Alertmanager beside it."""

from __future__ import annotations

import http.client
import os
import re
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from msgspec.structs import replace
from vigie_contracts.alerts import Channel, Condition, Rule, RuleKind, Severity

from tests.bench import cost, paced, prometheus_alerts
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import Stack
from tests.bench.workload import BATCH
from tests.kit.wait import eventually_sync
from tests.kit.webhooks import Receiver, receiver

LEVEL: Final = "bench_level"
HIGH, LOW, THRESHOLD = 95, 5, 80
WANTED_RATE: Final = 100_000.0
"""Samples a second."""
LEAST_RATE: Final = 2_000.0
LATE_S: Final = 0.5
"""Alerting that is behind by more than that does not keep up."""
RULES, SERIES = 1_000, 10_000
MANY_RULES, MANY_SERIES = 10_000, 100_000
SCRAPE_S: Final = 10
"""Between the samples of a series, where there are many."""
CONNECTIONS: Final = 8
JSON: Final = {"Content-Type": "application/json"}
EVENTS, FEWEST, EVENTS_S = 300, 50, 90.0
"""How many, and how many at least when so many seconds have passed."""
AT_ONCE: Final = 1_000
PER_RULE: Final = 100
"""Of the alerts at once."""
PATIENCE_S: Final = 120.0
SETTLED_S: Final = 15.0
CPU_S: Final = 30.0


def measure(report: Report, runs: int, samples: int) -> None:
    """Everything once: one run takes minutes. `samples` below a million asks for less of it: a smoke test."""
    share = min(1.0, samples / 1_000_000)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        _under_load(report, stack, max(20, round(EVENTS * share)))
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory, Stack(Path(directory)) as stack:
        _many(report, stack, round(MANY_RULES * share), round(MANY_SERIES * share))
    prometheus_alerts.measure(report)


def _under_load(report: Report, stack: Stack, events: int) -> None:
    with receiver() as webhook:
        gateway, alerting = _all(stack, [level_rule(number, webhook.url) for number in range(RULES)])
        bodies = levels(SERIES, RULES)
        cost.send(stack.url + BATCH_PATH, bodies, CONNECTIONS, JSON)  # registers the series
        wanted = _affordable(stack, alerting, bodies)
        with paced.running(stack.url + BATCH_PATH, bodies, BATCH, wanted) as sent, cost.measured(stack.pids()) as used:
            began = time.monotonic()
            psutil.cpu_percent()  # from here on
            time.sleep(5)
            waits = [_event(gateway, webhook, 0)]
            while len(waits) < events and (len(waits) < FEWEST or time.monotonic() - began < EVENTS_S):
                waits.append(_event(gateway, webhook, len(waits)))
            seconds, busy = time.monotonic() - began, psutil.cpu_percent()
        _latency(report, waits, sent.rate, used, Spent(seconds, busy))
        _at_once(report, gateway, webhook)


@dataclass(frozen=True)
class Spent:
    """How long it took, and how much of the machine worked meanwhile, the load generator and others included."""

    seconds: float
    busy_percent: float


def _latency(report: Report, waits: Sequence[float], rate: float, used: cost.Cost, spent: Spent) -> None:
    """The rate is the one that was sent: where the machine cannot do more, that is what was measured."""
    name, samples = f"event to webhook, {rate:,.0f} samples/s, {RULES:,} rules", round(rate * spent.seconds)
    own = sum(used.seconds.values()) / spent.seconds
    load = f"{os.getloadavg()[0]:.1f} processes wanted to run on {os.cpu_count()} cores"
    report.add(
        Row(
            f"alerting, {RULES:,} rules",
            f"{rate:,.0f} of {WANTED_RATE:,.0f}/s",
            samples,
            spent.seconds,
            used.per(samples),
            exact=True,
            detail=f"{len(waits)} events told; Vigie took {own:.2f} cores, the machine was {spent.busy_percent:.0f} % "
            f"busy; {load}",
        )
    )
    p99 = statistics.quantiles(waits, n=100)[-1]
    per_million = used.seconds["alerting"] / samples * 1e6
    report.floors += [
        Floor(f"{name}: p50", "ms", None, 100, (statistics.median(waits) * 1e3,), at_least=False),
        Floor(f"{name}: p99", "ms", 300, 100, (p99 * 1e3,), at_least=False),
        Floor("samples sent meanwhile, of 100,000/s", "part", None, 1, (rate / WANTED_RATE,)),
        Floor("alerting: CPU", "s/M samples", 5, 2, (per_million,), at_least=False),
    ]


def _at_once(report: Report, gateway: Gateway, webhook: Receiver) -> None:
    """Hosts that cross their thresholds in the same moment."""
    webhook.clear()
    items = [item(number // PER_RULE, f"once-{number}", HIGH) for number in range(AT_ONCE)]
    began = time.monotonic()
    for first in range(0, AT_ONCE, BATCH):
        gateway.post(BATCH_PATH, f'{{"metrics":[{",".join(items[first : first + BATCH])}]}}')
    told = _wait_for(webhook, {f"once-{number}" for number in range(AT_ONCE)})
    values = (told - began,)
    report.floors.append(Floor(f"{AT_ONCE:,} alerts at once, all told", "s", 10, 3, values, at_least=False))


def _many(report: Report, stack: Stack, rules: int, series: int) -> None:
    with receiver() as webhook:
        gateway, _ = _all(stack, [mixed_rule(number, webhook.url) for number in range(rules)])
        bodies = levels(series, rules)
        rate = series / SCRAPE_S
        cost.send(stack.url + BATCH_PATH, bodies, CONNECTIONS, JSON)
        with paced.running(stack.url + BATCH_PATH, bodies, BATCH, rate) as sent:
            time.sleep(SETTLED_S + 2 * SCRAPE_S)
            pids = {"alerting": stack.pids()["alerting"]}
            with cost.measured(pids) as used:
                time.sleep(CPU_S)
            memory = cost.resident_mb(pids["alerting"])
            waits = [_event(gateway, webhook, number) for number in range(0, 200, 10)]
        name = f"{rules:,} rules over {series:,} series"
        report.add(
            Row(
                f"alerting, {name}",
                f"{sent.rate:,.0f} of {rate:,.0f}/s",
                round(sent.rate * CPU_S),
                CPU_S,
                used.per(round(sent.rate * CPU_S)),
                exact=True,
                detail=f"{memory:.0f} MB; event to webhook {statistics.median(waits) * 1e3:.0f} ms",
            )
        )
        cores = used.seconds["alerting"] / CPU_S
        restart = _restart(stack, gateway, webhook)
        report.floors += [
            Floor(f"alerting, {name}: memory", "MiB", 1_024, 512, (memory * 1e6 / 2**20,), at_least=False),
            Floor(f"alerting, {name}: CPU", "cores", 1, 0.5, (cores,), at_least=False),
            Floor(f"alerting, {name}: restart to evaluating", "s", 5, 3, (restart,), at_least=False),
        ]


def _restart(stack: Stack, gateway: Gateway, webhook: Receiver) -> float:
    """Seconds from the start of a new process until somebody is told of what happened while there was none."""
    webhook.clear()
    stack.stop_alerting()
    gateway.post("/api/metrics/custom", item(0, "meanwhile", HIGH))
    began = time.monotonic()
    stack.start_alerting()
    return _wait_for(webhook, {"meanwhile"}) - began


def _all(stack: Stack, rules: Sequence[Rule]) -> tuple[Gateway, str]:
    """Everything is started, and has the rules. Also the URL of alerting."""
    stack.start_ingest()
    stack.start_aggregator()
    url = stack.start_alerting()
    stack.put_rules(rules)
    has_them = partial(shows, url, "vigie_alerting_rules", len(rules))
    eventually_sync(has_them, PATIENCE_S, interval=0.5, retry_on=(OSError,))
    return Gateway(stack.url), url


def _affordable(stack: Stack, alerting: str, bodies: list[bytes]) -> float:
    """Samples a second: the wanted rate, or half of it and so on, until this machine keeps up."""
    rate = WANTED_RATE
    while rate > LEAST_RATE:
        with paced.running(stack.url + BATCH_PATH, bodies, BATCH, rate) as sent:
            time.sleep(10)
            late = _metric(alerting, "vigie_alerting_behind_seconds")
        if late < LATE_S and sent.rate > 0.9 * rate:
            return rate
        rate /= 2
        stack.wait_counted()
        time.sleep(late)
    return rate


def shows(url: str, metric: str, least: float) -> bool:
    """Whether a gauge of a service has come to that."""
    return _metric(url, metric) >= least


def _metric(url: str, name: str) -> float:
    """A gauge of a service; 0 where it shows none."""
    with urllib.request.urlopen(f"{url}/internal/metrics", timeout=30) as answer:
        shown = re.search(rf"^{name} (\S+)", answer.read().decode(), re.MULTILINE)
    return float(shown[1]) if shown else 0.0


BATCH_PATH: Final = "/api/metrics/batch"


@dataclass
class Gateway:
    """One connection that stays open."""

    url: str

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=30)

    def post(self, path: str, body: str) -> None:
        """Returns when it is accepted. Raises LoadError when it is not."""
        self._connection.request("POST", path, body, JSON)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise cost.LoadError(f"{path}: {answer.status} {said[:300].decode(errors='replace')}")


def _event(gateway: Gateway, webhook: Receiver, number: int) -> float:
    """Seconds from the answer to an event until somebody is told of it. Each is a host of its own."""
    host = f"event-{number}"
    gateway.post("/api/metrics/custom", item(number, host, HIGH))
    accepted = time.monotonic()
    return max(0.0, _wait_for(webhook, {host}) - accepted)


def _wait_for(webhook: Receiver, hosts: set[str]) -> float:
    """When the last of these hosts was told of first. Raises AssertionError."""
    seen: dict[str, float] = {}
    read = 0

    def all_told() -> bool:
        nonlocal read
        new = webhook.since(read)
        read += len(new)
        for delivery in new:
            for _, labels in delivery.alerts:
                seen.setdefault(labels.get("host", ""), delivery.at)
        return hosts <= seen.keys()

    eventually_sync(all_told, PATIENCE_S, interval=0.005)
    return max(seen[host] for host in hosts)


def level_rule(number: int, webhook: str) -> Rule:
    """The newest value of each series of its own metric."""
    name = f"{LEVEL}_{number}"
    condition, channels = Condition.GREATER, [Channel("webhook", webhook)]
    return Rule(
        id=f"bench-{number}", tenant="default", name=name, metric_name=name, condition=condition, threshold=THRESHOLD,
        severity=Severity.HIGH, notification_channels=channels,
    )  # fmt: skip


def mixed_rule(number: int, webhook: str) -> Rule:
    """Of ten rules seven look at newest values, two at how they changed over five minutes, one at their sum."""
    plain, name = level_rule(number, webhook), f"{LEVEL}_{number}"
    if number % 10 < 7:
        return plain
    text = f"deriv({name}[5m]) > {THRESHOLD}" if number % 10 < 9 else f"sum({name}) > {THRESHOLD * 1_000}"
    return replace(plain, kind=RuleKind.EXPRESSION, expression=text, metric_name="", condition=None, threshold=None)


def item(number: int, host: str, value: int) -> str:
    """A sample of now, for a rule."""
    return f'{{"name":"{LEVEL}_{number}","type":"gauge","labels":{{"host":"{host}"}},"value":{value}}}'


def levels(series: int, rules: int) -> list[bytes]:
    """Bodies with a sample of each series, none of which crosses its threshold; as many of each rule."""
    items = [item(i % rules, f"h{i // rules}", LOW + i % 50) for i in range(series)]
    return [f'{{"metrics":[{",".join(part)}]}}'.encode() for part in _parts(items)]


def _parts(items: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]
