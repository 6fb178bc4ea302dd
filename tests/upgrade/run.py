"""One rolling upgrade and the way back, under load: every service of the last release is replaced by today's beside it.

The servers are started once, and their data stays. Each step starts the newcomer, sends while both run, asks both the
same questions, ends the elder as an orchestrator does (SIGTERM), and sends on. All the while alerts fire and resolve, a
target is probed, and a live stream of each release is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
from vigie_standalone.embedded.process import Process

from tests.chaos import answered, stored
from tests.chaos.alerts import AlertLedger, Crossings, differences, drained, make_rules, repeats, told
from tests.chaos.ledger import Difference, Ledger, compare, listed, totals
from tests.chaos.load import Plan, Sender, Series, running
from tests.chaos.run import caught_up
from tests.chaos.system import OwnServers, Services, connect
from tests.kit.wait import eventually, unique
from tests.kit.webhooks import Receiver, receiver
from tests.upgrade.base import Release
from tests.upgrade.live import followed
from tests.upgrade.probed import Shop, shop
from tests.upgrade.reads import compared

TENANT: Final = "upgrade"
FORWARD: Final = ("ingest", "aggregator", "alerting", "healthcheck", "push", "api")
"""Writers before their readers; on the way back the other way round."""
SAMPLES: Final = 2_000
"""Accepted at least, of each half of a step."""
AT_ONCE: Final = 3
"""Alerts."""
LET_GO: Final = 4
"""Probes without a check, at most: one that is under way when its prober stops, and the last ones, not stored yet."""
STEP_S: Final = 120.0
STOP_S: Final = 30.0
Say = Callable[[str], None]


@dataclass
class Result:
    """What happened; `passed` only if nothing at all differs."""

    commit: str
    ledger: Ledger
    alerts: AlertLedger
    steps: int = 0
    reports: int = 0
    """Of an app, that were accepted."""
    probes: int = 0
    longest_gap: float = 0.0
    """Seconds between two probes of a target that is probed every second."""
    followed: int = 0
    """Alerts that both live streams told."""
    differences: list[Difference] = field(default_factory=list[Difference])
    problems: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """All steps were taken, something was counted and told, and everything is as it must be."""
        something = self.ledger.samples and self.alerts.transitions and self.reports and self.probes and self.followed
        return bool(something) and self.steps == 2 * len(FORWARD) and not (self.differences or self.problems)


class Upgrade:
    """One system with its traffic. `running` is the process of each service that is the only one between two steps."""

    def __init__(self, services: Services, release: Release, webhook: Receiver, target: Shop, say: Say) -> None:
        self.services, self.webhook, self.target, self.say = services, webhook, target, say
        self.result = Result(release.commit, Ledger(TENANT, "ledger"), AlertLedger("ledger_alerts"))
        self.elder, self.today = str(release.python), services.python
        self.running: dict[str, Process] = {}
        self.client, self.database = connect(services.addresses, services.database)
        self.sender = Sender([], self.result.ledger)
        self.plan = Plan(Series(self.result.ledger, 200), seed=1)
        self.crossings = Crossings(self.sender, self.database, TENANT, self.result.alerts)

    async def aclose(self) -> None:
        """Close what is the verifier's own."""
        await self.sender.aclose()
        await self.client.close()

    def url(self, process: Process) -> str:
        """Where it answers."""
        return self.services.urls[process.name]

    async def start(self, service: str, python: str | Path) -> Process:
        """One more process of a service, of the release that this Python belongs to."""
        self.services.python = python
        makers: dict[str, Callable[[], Process]] = {
            "ingest": self.services.gateway,
            "aggregator": self.services.aggregator,
            "alerting": self.services.alerting,
            "api": self.services.api,
        }
        make = makers.get(service, lambda: self.services.other(service))
        return await asyncio.to_thread(make)

    async def begin(self) -> None:
        """Everything of the last release, with rules and a target made by it."""
        for service in FORWARD:
            self.running[service] = await self.start(service, self.elder)
        self.sender.use([self.url(self.running["ingest"])])
        await make_rules(self.url(self.running["alerting"]), self.result.alerts, self.webhook.url)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            added = {"name": "shop", "url": self.target.url, "interval": 1000, "timeout": 1000, "failureThreshold": 2}
            made = await client.post(f"{self.url(self.running['healthcheck'])}/api/health/services", json=added)
            assert made.status_code == 201, made.text

    async def step(self, service: str, python: str | Path, what: str) -> None:
        """Replace the only process of a service."""
        before, after = self.running[service], await self.start(service, python)
        both = [before, after]
        if service == "ingest":
            self.sender.use([self.url(one) for one in both])
        if service == "push":
            self.result.followed += await followed([self.url(one) for one in both], self.traffic)
        else:
            async with self.traffic():
                pass
        await self._caught_up()
        elder, newer = both if python == self.today else reversed(both)
        self.result.differences += await compared(service, self.url(elder), self.url(newer))
        async with self.traffic():
            await asyncio.to_thread(before.stop, STOP_S)
            if before.failed or before.returncode == -signal.SIGKILL:
                self.result.problems.append(f"{before.name} {before.ending}: {before.log_tail(5)}")
            if service == "ingest":
                self.sender.use([self.url(after)])
        self.running[service] = after
        self.result.steps += 1
        self.say(f"{what}: {service}, {self.result.ledger.samples} samples, {self.result.alerts.transitions} alerts")

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """While the block runs, and until enough was accepted: samples, reports of an app, alerts that fire and end."""
        goal, told_goal = self.result.ledger.samples + SAMPLES, self.result.alerts.transitions + 1
        crossing = asyncio.create_task(self.crossings.run(AT_ONCE))
        async with running(self.sender, self.plan, rate=30.0, share=lambda: 1.0):
            await self._report()
            yield
            await eventually(
                lambda: self.result.ledger.samples >= goal and self.result.alerts.transitions >= told_goal, STEP_S
            )
            await self._report()
        self.crossings.stop()
        await crossing

    async def _report(self) -> None:
        """One report of the app `shop`, sent again with its key until it is accepted."""
        number = self.result.reports + 1
        body = {"userId": "user-1", "metrics": {"cpu": {"usage": number}}, "timestamp": time.time()}
        headers = {"idempotency-key": uuid.uuid4().hex}
        async with httpx.AsyncClient(timeout=15, trust_env=False) as client:

            async def accepted() -> bool:
                url = self.sender.gateways[-1]
                answer = await client.post(f"{url}/api/apps/shop/metrics", json=body, headers=headers)
                assert answer.is_success, answer.text
                return True

            await eventually(accepted, STEP_S, retry_on=(AssertionError, httpx.HTTPError))
        self.result.reports = number

    async def _caught_up(self) -> None:
        """To the end of what was accepted until now: the prober goes on writing."""
        kafka = self.services.addresses.kafka
        await caught_up(self.database, kafka, log=await stored.ends(kafka))

    async def settled(self, when: str) -> None:
        """Everything that was accepted is in the stores and is read, exactly."""
        ledger, database = self.result.ledger, self.database
        await self._caught_up()
        found = await stored.counts(database, ledger)
        self.result.differences += compare(ledger, found, f"MongoDB, {when}")
        self.result.differences += await answered.differences(self.url(self.running["api"]), ledger)

        async def kept() -> bool:
            count = await database.reports.count_documents({"tenant": TENANT})
            assert count == self.result.reports, f"{count} of {self.result.reports} reports"
            return True

        await self.noted(eventually(kept, STEP_S))
        series, samples, total = totals(ledger.expected().windows["10s"])
        self.say(f"{when}: {series} series, {samples} samples, sum {total:.0f}, {self.result.reports} reports")

    async def end(self) -> None:
        """What was told, and what was probed."""
        await self.noted(drained(self.database, TENANT))
        deliveries = self.webhook.deliveries
        self.result.differences += differences(self.result.alerts, await told(self.database, TENANT), deliveries)
        if again := repeats(deliveries):
            self.result.problems.append(f"{again.total()} notifications came more than once")
        await self.noted(self._probed())

    async def _probed(self) -> None:
        self.result.probes, self.result.longest_gap = self.target.asked, self.target.longest_gap
        checks = await self.database.health_checks.find({"tenant": TENANT}).to_list()
        incidents = await self.database.health_incidents.count_documents({"tenant": TENANT})
        least = self.target.asked - LET_GO
        assert least <= len(checks) <= self.target.asked, f"{len(checks)} checks of {self.target.asked} probes"
        assert not incidents, f"{incidents} incidents of a target that was never down"
        assert self.target.longest_gap < Shop.LONGEST_GAP_S, f"not probed for {self.target.longest_gap:.1f} s"

    async def noted(self, step: Awaitable[Any]) -> None:
        try:
            await step
        except AssertionError as error:
            self.result.problems.append(str(error))


@contextlib.asynccontextmanager
async def started(
    release: Release, directory: Path, what: str, say: Say, *, anonymous: str, partitions: int
) -> AsyncIterator[Upgrade]:
    """An upgrade, its servers started, its services not yet; in the end all of them are killed. `what`: of the names of
    its topics and its database."""
    servers = OwnServers(directory / "servers")
    services: Services | None = None
    try:
        addresses = await asyncio.to_thread(servers.start)
        more = {
            "VIGIE_ANONYMOUS": f"{TENANT}:{anonymous}",
            "VIGIE_PROBE_NETWORKS": "127.0.0.0/8",
            "VIGIE_PARTITIONS": str(partitions),
        }
        services = Services(directory, addresses, unique(what), TENANT, more)
        with receiver() as webhook:
            async with shop() as target:
                upgrade = Upgrade(services, release, webhook, target, say)
                async with contextlib.aclosing(upgrade):
                    yield upgrade
    finally:
        if services:
            services.kill()
        servers.kill()


async def run(release: Release, directory: Path, say: Say) -> Result:
    """Everything, from servers to the comparison. Raises when the system cannot start or a step cannot end."""
    began = time.monotonic()
    async with started(release, directory, "upgrade", say, anonymous="read,write,configure", partitions=4) as upgrade:
        await _walk(upgrade)
    upgrade.result.seconds = time.monotonic() - began
    return upgrade.result


async def _walk(upgrade: Upgrade) -> None:
    await upgrade.begin()
    async with upgrade.traffic():
        upgrade.say(f"all of {upgrade.result.commit[:12]} runs")
    for service in FORWARD:
        await upgrade.step(service, upgrade.today, "upgraded")
    await upgrade.settled("all of today")
    for service in reversed(FORWARD):
        await upgrade.step(service, upgrade.elder, "went back")
    await upgrade.settled("back again")
    await upgrade.end()


def report(result: Result) -> str:
    """The verdict with its figures."""
    lines = ["", f"rolling upgrade from {result.commit[:12]} and back: {result.steps} services replaced"]
    figures = {
        "samples accepted": result.ledger.samples,
        "reports accepted": result.reports,
        "alerts told": result.alerts.transitions,
        "told by both streams": result.followed,
        "probes": result.probes,
    }
    lines += [f"  {name:<24}{count:>8}" for name, count in figures.items()]
    lines += [f"  {'longest without a probe':<24}{result.longest_gap:>8.1f} s"]
    lines += [f"PROBLEM {problem}" for problem in result.problems]
    if result.differences:
        lines += [f"{len(result.differences)} DIFFERENCES", listed(result.differences)]
    lines.append(f"{'PASS' if result.passed else 'FAIL'} after {result.seconds:.0f} s")
    return "\n".join(lines)
