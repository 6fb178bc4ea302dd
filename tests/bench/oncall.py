"""A storm of alerts, told by routes: ten thousand that begin to fire together, in a thousand groups, past a thousand
silences and two hundred routes, by an alerting process that has one core."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from msgspec.structs import replace
from vigie_alerting.routing.model import NAME, Receiver, Route, RoutingTree
from vigie_alerting.silences.active import Timing
from vigie_alerting.silences.model import Silence
from vigie_contracts.alerts import Channel
from vigie_query.matchers import Matcher, Operator
from vigie_storage.alerts.configuration import Kind

from tests.bench import cost
from tests.bench.alerting import BATCH_PATH, HIGH, LEVEL, LOW, Gateway, level_rule, shows
from tests.bench.report import Floor, Report, Row
from tests.bench.stack import Stack
from tests.bench.workload import BATCH
from tests.kit.wait import eventually_sync
from tests.kit.webhooks import Receiver as Webhook
from tests.kit.webhooks import receiver

ALERTS, GROUPS, SILENCES, ROUTES, RULES = 10_000, 1_000, 1_000, 200, 10
PATIENCE_S: Final = 120.0
DAY_MS: Final = 86_400_000


def measure(report: Report, runs: int, samples: int) -> None:
    """`samples` below a million asks for less of it: a smoke test."""
    share = min(1.0, samples / 1_000_000)
    alerts, groups = round(ALERTS * share), round(GROUPS * share)
    seconds: list[float] = []
    memory: list[float] = []
    cores: list[float] = []
    for _ in range(runs):
        with (
            tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory,
            Stack(Path(directory)) as stack,
            receiver() as webhook,
        ):
            row = _storm(report, stack, webhook, alerts, groups)
        seconds.append(row.seconds)
        memory.append(float(row.detail.split(" ")[0]))
        cores.append(row.cpu_us["alerting"] * row.samples / row.seconds / 1e6)
    name = f"{alerts:,} alerts in {groups:,} groups"
    report.floors += [
        Floor(f"{name}: first messages of all groups", "s", 10, 5, tuple(seconds), at_least=False),
        Floor(f"{name}: memory of alerting", "MiB", 500, 300, tuple(memory), at_least=False),
        Floor(f"{name}: CPU of alerting", "cores", 1.05, None, tuple(cores), at_least=False),
    ]


def _storm(report: Report, stack: Stack, webhook: Webhook, alerts: int, groups: int) -> Row:
    stack.start_ingest()
    stack.start_aggregator()
    stack.put_configuration(Kind.ROUTES, {NAME: _tree(webhook.url)})
    stack.put_configuration(Kind.SILENCE, {f"silence-{number}": _silence(number) for number in range(SILENCES)})
    url = stack.start_alerting()
    stack.put_rules([replace(level_rule(number, webhook.url), notification_channels=[]) for number in range(RULES)])
    eventually_sync(partial(shows, url, "vigie_alerting_rules", RULES), PATIENCE_S, interval=0.5, retry_on=(OSError,))
    own = stack.pids()["alerting"]
    with suppress(AttributeError, OSError):  # where a process can be held to a core
        for thread in [own, *(one.id for one in psutil.Process(own).threads())]:
            psutil.Process(thread).cpu_affinity([0])
    gateway = Gateway(stack.url)
    _post(gateway, alerts, groups, LOW)  # registers the series
    stack.wait_counted()
    before = len(webhook.deliveries)
    pids = stack.pids()
    with cost.measured(pids) as used:
        began = time.monotonic()
        _post(gateway, alerts, groups, HIGH)
        ended = _all_told(webhook, before, {f"group-{number}" for number in range(groups)})
    told, took = webhook.since(before), ended - began
    alerts_told = sum(len(one.alerts) + one.payload["truncatedAlerts"] for one in told)
    memory = cost.resident_mb(own) * 1e6 / 2**20
    exact = len({one.payload["groupLabels"]["group"] for one in told}) == groups and alerts_told <= alerts
    return report.add(
        Row(
            f"a storm of alerts, {ROUTES} routes, {SILENCES:,} silences",
            f"{alerts:,} in {groups:,} groups",
            alerts,
            took,
            used.per(alerts),
            exact=exact,
            detail=f"{memory:.0f} MiB; {len(told):,} messages about {alerts_told:,} alerts",
            unit="alert",
        )
    )


def _tree(webhook: str) -> RoutingTree:
    """A route and a receiver for each team, and a group for each value of `group`."""
    teams = range(ROUTES)
    return RoutingTree(
        route=Route(
            receiver="others",
            group_by=["group"],
            routes=[Route(matchers=[f'team="team-{team}"'], receiver=f"team-{team}") for team in teams],
        ),
        receivers={
            "others": Receiver(channels=[Channel("webhook", webhook)]),
            **{f"team-{team}": Receiver(channels=[Channel("webhook", f"{webhook}/{team}")]) for team in teams},
        },
    )


def _silence(number: int) -> Silence:
    """Of a team, for hosts that there are none of: each alert is compared with those of its team."""
    now = time.time_ns() // 1_000_000
    matchers = (
        Matcher("team", Operator.EQUAL, f"team-{number % ROUTES}"),
        Matcher("host", Operator.MATCHES, f"quiet-{number}-.*"),
    )
    timing = Timing(starts=now - DAY_MS, ends=now + DAY_MS)
    return Silence(matchers=matchers, timing=timing, comment="bench", created_by="bench", created_at=now - DAY_MS)


def _post(gateway: Gateway, alerts: int, groups: int, value: int) -> None:
    items = [
        f'{{"name":"{LEVEL}_{number % RULES}","type":"gauge","value":{value},"labels":{{"host":"h-{number}",'
        f'"group":"group-{number % groups}","team":"team-{number % groups % ROUTES}"}}}}'
        for number in range(alerts)
    ]
    for first in range(0, alerts, BATCH):
        gateway.post(BATCH_PATH, f'{{"metrics":[{",".join(items[first : first + BATCH])}]}}')


def _all_told(webhook: Webhook, before: int, groups: set[str]) -> float:
    """When the last group told something first. Raises AssertionError."""
    first: dict[str, float] = {}
    read = before

    def all_told() -> bool:
        nonlocal read
        new = webhook.since(read)
        read += len(new)
        for delivery in new:
            first.setdefault(delivery.payload["groupLabels"]["group"], delivery.at)
        return groups <= first.keys()

    eventually_sync(all_told, PATIENCE_S, interval=0.01)
    return max(first[group] for group in groups)
