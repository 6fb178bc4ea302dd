"""Alerts that fire and resolve under load, a ledger of what must be told of each, and the comparison with what was.

A host's level crosses the threshold of its rule and comes back. The next crossing waits until the one before is stored,
so that what must happen is known however long anything was down; it does not wait until somebody was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2 as httpx
import msgspec
from pymongo.errors import PyMongoError
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.series import Kind, series_key

from tests.chaos import stored
from tests.chaos.ledger import Difference, Sample
from tests.chaos.load import Sender, single
from tests.kit.wait import eventually
from tests.kit.webhooks import Delivery

RULES = 8
"""Of which several processes get some each."""
HIGH, LOW, THRESHOLD = 95, 5, 80
EPISODES = 2
"""Of each host; more would be flapping."""
TOLD = frozenset({AlertState.FIRING, AlertState.RESOLVED})
DRAINED_S = 150.0
"""The lease of a process that was killed, and what waited behind it."""
CONFIRMED_S = 5.0
"""After its delivery a notification is confirmed by then, on a busy machine too."""
Told = dict[str, list[str]]
"""Host -> statuses, in order."""


@dataclass
class AlertLedger:
    """What must be told of each host."""

    prefix: str
    expected: Told = field(default_factory=lambda: defaultdict(list))

    @property
    def transitions(self) -> int:
        """All that must be told."""
        return sum(map(len, self.expected.values()))

    def name(self, rule: int) -> str:
        """Of the series that a rule looks at."""
        return f"{self.prefix}_level_{rule}"


def differences(ledger: AlertLedger, found: Told, deliveries: Sequence[Delivery]) -> list[Difference]:
    """What was not stored, or not told, exactly as it must be: nothing lost, nothing told out of order. A notification
    that came again counts once, as long as nothing newer about its alert came between."""
    heard: Told = defaultdict(list)
    last: dict[str, str] = {}
    for delivery in deliveries:
        for status, labels in delivery.alerts:
            host = labels["host"]
            if last.get(host) != delivery.id:
                heard[host].append(status)
            last[host] = delivery.id
    wrong: list[Difference] = []
    for where, told in (("transitions", found), ("notifications", heard)):
        for host in sorted(ledger.expected.keys() | told.keys()):
            a, b = ledger.expected.get(host, []), told.get(host, [])
            if a != b:
                wrong.append(Difference(where, host, None, a, b))
    return wrong


def repeats(deliveries: Sequence[Delivery]) -> Counter[str]:
    """How many times more than once each notification came."""
    counted = Counter(delivery.id for delivery in deliveries)
    return Counter({one: count - 1 for one, count in counted.items() if count > 1})


def unexplained(deliveries: Sequence[Delivery], deaths: Sequence[float]) -> list[str]:
    """Notifications that came again although no process died between its delivery and the time by which it should have
    been confirmed. `deaths`: when, seconds of `time.monotonic`."""
    last: dict[str, float] = {}
    wrong: list[str] = []
    for delivery in deliveries:
        before = last.get(delivery.id)
        if before is not None and not any(
            before <= death <= min(before + CONFIRMED_S, delivery.at) for death in deaths
        ):
            wrong.append(f"{delivery.id}, {delivery.at - before:.1f} s later")
        last[delivery.id] = delivery.at
    return wrong


async def make_rules(url: str, ledger: AlertLedger, webhook: str) -> None:
    """Through the API, as anybody would. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        for rule in range(RULES):
            body = {
                "name": f"level {rule}",
                "metricName": ledger.name(rule),
                "condition": ">",
                "threshold": THRESHOLD,
                "severity": "high",
                "notificationChannels": [{"type": "webhook", "destination": webhook}],
            }
            (await client.post("/api/alerts/rules", json=body)).raise_for_status()


async def make_routes(url: str, groups: str, chain: str) -> None:
    """Every alert goes to a group by its rule, which tells at most once a second, and to an escalation chain: each
    tells a webhook of its own. Raises httpx.HTTPError."""
    night = {"type": "channel", "name": "night"}
    by_rule = {"receiver": "groups", "groupBy": ["alertname"], "groupInterval": "1s", "continue": True}
    tree = {
        "route": {"routes": [by_rule, {"receiver": "night", "groupBy": ["..."], "groupInterval": "1s"}]},
        "receivers": {
            "groups": {"channels": [{"type": "webhook", "destination": groups}]},
            "night": {"escalation": "night"},
        },
    }
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        channel = {"name": "night", "type": "webhook", "destination": chain}
        (await client.post("/api/alerts/channels", json=channel)).raise_for_status()
        (await client.put("/api/oncall/chains/night", json={"steps": [{"notify": [night]}]})).raise_for_status()
        (await client.put("/api/alerts/routes", json=tree)).raise_for_status()


def left_believing(deliveries: Sequence[Delivery]) -> list[str]:
    """What somebody who is told of groups must not be left with: an end of what was never told, an alert that is over
    and still fires as far as they know. Steps that came before their message was due are told as one."""
    wrong: list[str] = []
    last: dict[str, str] = {}
    seen: set[str] = set()
    for delivery in deliveries:
        if delivery.id in seen:
            continue
        seen.add(delivery.id)
        for status, labels in delivery.alerts:
            host = labels["host"]
            if status == "resolved" and last.get(host) != "firing":
                wrong.append(f"{host}: told that it is over, and before that {last.get(host, 'nothing')}")
            last[host] = status
    return wrong + [f"{host}: nobody said that it is over" for host, status in last.items() if status == "firing"]


async def told(database: stored.Database, tenant: str) -> Told:
    """By host, what transitions that people are told of are stored."""
    found: Told = defaultdict(list)
    async for document in database.alert_transitions.find({"tenant": tenant}).sort("order", 1):
        transition = msgspec.json.decode(document["data"], type=Transition)
        if transition.to_state in TOLD and "host" in transition.labels:
            found[transition.labels["host"]].append(transition.to_state.value)
    return found


class Crossings:
    """So many alerts at once, one host after the other, until stopped."""

    def __init__(self, sender: Sender, database: stored.Database, tenant: str, ledger: AlertLedger) -> None:
        self._sender, self._database, self._tenant, self._ledger = sender, database, tenant, ledger
        self._stored: Told = {}
        self._numbers = itertools.count()
        self._stopping = False

    def stop(self) -> None:
        """Begin no more hosts; those that were begun come to their end."""
        self._stopping = True

    async def run(self, at_once: int) -> None:
        """Until stopped, and again if asked. Raises AssertionError when a transition is not stored in time."""
        self._stopping = False
        looking = asyncio.create_task(self._look())
        try:
            await asyncio.gather(*(self._work() for _ in range(at_once)))
        finally:
            looking.cancel()

    async def _work(self) -> None:
        while not self._stopping:
            await self._host(next(self._numbers))

    async def _host(self, number: int) -> None:
        host = f"host-{number:05d}"
        key = series_key(self._tenant, self._ledger.name(number % RULES), Kind.GAUGE, {"host": host})
        for value, status in [(HIGH, AlertState.FIRING), (LOW, AlertState.RESOLVED)] * EPISODES:
            await self._sender.deliver(single(Sample(key, time.time_ns() // 1_000_000, value)))
            self._ledger.expected[host].append(status.value)
            await eventually(lambda: self._is_stored(host), DRAINED_S)

    def _is_stored(self, host: str) -> bool:
        return len(self._stored.get(host, ())) >= len(self._ledger.expected[host])

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(PyMongoError):  # it is what is killed
                self._stored = await told(self._database, self._tenant)
            await asyncio.sleep(0.3)


async def drained(database: stored.Database, tenant: str, timeout: float = DRAINED_S) -> None:
    """Wait until nothing is left to be told. Raises AssertionError."""

    async def empty() -> bool:
        soon = datetime.now(UTC) + timedelta(seconds=60)
        waiting = await database.alert_group_members.count_documents({"tenant": tenant, "due": {"$lt": soon}})
        assert not waiting, f"{waiting} alerts wait for a message of their group"
        left = await database.alert_outbox.count_documents({"tenant": tenant, "state": {"$ne": "sent"}})
        assert not left, f"{left} notifications were not delivered"
        return True

    await eventually(empty, timeout, interval=0.5)
