"""One run: start, load, kill, let it settle, compare, print."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio
from vigie_alerting.sender.sender import PER_CHANNEL
from vigie_contracts.tiers import TIERS

from tests.chaos import answered, stored
from tests.chaos.alerts import AlertLedger, Crossings, differences, drained, make_rules, repeats, told
from tests.chaos.kills import How, Killer, Victim, all_ready
from tests.chaos.ledger import Counts, Difference, Ledger, compare, listed, totals
from tests.chaos.load import Answers, Plan, Sender, Series, running
from tests.chaos.system import OwnServers, Services, connect
from tests.kit.wait import eventually, unique
from tests.kit.webhooks import Receiver, receiver

TENANT = "chaos"
ALERTS_AT_ONCE = 3
SETTLE_S = 240.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    kills: int
    seed: int
    minutes: float = 12.0
    gateways: int = 2
    aggregators: int = 2
    alertings: int = 2
    clusters: bool = False
    series: int = 300
    rate: float = 30.0


@dataclass
class Result:
    """What happened; `passed` only if nothing at all differs."""

    options: Options
    ledger: Ledger
    answers: Answers
    killer: Killer
    alerts: AlertLedger = field(default_factory=lambda: AlertLedger("alerts"))
    repeats: int = 0
    """Notifications that came more than once."""
    found: dict[str, Counts] = field(default_factory=dict[str, Counts])
    differences: list[Difference] = field(default_factory=list[Difference])
    problems: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Every promised kill was made, something was accepted, and every reader found exactly that."""
        done = self.killer.done.total() >= self.options.kills
        return done and not (self.problems or self.differences or self.answers.wrong) and self.answers.accepted > 0


def victims(servers: OwnServers, services: Services) -> list[Victim]:
    """Everything that may be hit. Weights are per kind, shared by its processes; services are hit most."""
    groups: list[tuple[str, list, How, float]] = [
        ("ingest", services.gateways, How.KILL, 24),
        ("aggregator", services.aggregators, How.KILL, 30),
        ("kafka", servers.kafka.brokers, How.KILL, 12),
        ("mongod", servers.mongo.members, How.KILL, 12),
        ("redis", [servers.redis.process], How.KILL, 8),
        ("alerting", services.alertings, How.KILL, 12),
        ("alerting", services.alertings, How.PAUSE, 3),
        ("aggregator", services.aggregators, How.PAUSE, 8),
        ("ingest", services.gateways, How.PAUSE, 4),
        ("mongod", servers.mongo.members, How.PAUSE, 2),
    ]
    return [Victim(kind, p, how, weight / len(group)) for kind, group, how, weight in groups for p in group]


async def run(options: Options, directory: Path, say: Say) -> Result:
    """Everything, from servers to the comparison. Raises only when the system cannot even start."""
    copies = 3 if options.clusters else 1
    servers = OwnServers(directory, brokers=copies, members=copies)
    services: Services | None = None
    began = time.monotonic()
    try:
        addresses = await asyncio.to_thread(servers.start)
        services = Services(directory, addresses, unique("chaos"), TENANT)
        await asyncio.to_thread(
            services.start,
            gateways=options.gateways,
            aggregators=options.aggregators,
            apis=1,
            alertings=options.alertings,
        )
        say(f"ready after {time.monotonic() - began:.0f} s: {options}")
        with receiver() as webhook:
            result = await _under_load(options, servers, services, webhook, say)
            await _settle(result, servers, services, webhook, say)
        result.seconds = time.monotonic() - began
        return result
    finally:
        if services:
            services.kill()
        servers.kill()


async def _under_load(options: Options, servers: OwnServers, services: Services, webhook: Receiver, say: Say) -> Result:
    ledger, alerts = Ledger(TENANT), AlertLedger("alerts")
    await make_rules(services.urls[services.alertings[0].name], alerts, webhook.url)
    sender = Sender(services.gateway_urls, ledger, options.seed)
    gap = min(5.5, 0.85 * options.minutes * 60 / max(1, options.kills))
    killer = Killer(victims(servers, services), options.seed, gap, say)
    plan = Plan(Series(ledger, options.series), options.seed)
    began, limit = time.monotonic(), options.minutes * 60

    def share() -> float:
        return 0.1 + (time.monotonic() - began) / (0.8 * min(limit, gap * options.kills + 1))

    client, database = connect(services.addresses, services.database)
    result = Result(options, ledger, sender.answers, killer, alerts)
    async with contextlib.aclosing(sender), client:
        crossings = Crossings(sender, database, TENANT, alerts)
        crossing = asyncio.create_task(crossings.run(ALERTS_AT_ONCE))
        async with running(sender, plan, rate=options.rate, share=share):
            await killer.run(options.kills, began + limit)
            say(f"{killer.done.total()} kills in {time.monotonic() - began:.0f} s; delivering what is under way")
        crossings.stop()
        await _noted(result, crossing)
    return result


async def _settle(result: Result, servers: OwnServers, services: Services, webhook: Receiver, say: Say) -> None:
    """Wait until all is counted, then read everything through every reader."""
    processes = [*servers.kafka.brokers, *servers.mongo.members, *services.processes()]
    try:
        await all_ready(processes)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the result
        result.problems.append(str(error))
    client, database = connect(services.addresses, services.database)
    cache = redis.asyncio.Redis.from_url(services.addresses.redis)
    async with client, contextlib.aclosing(_Closing(cache)):
        await _noted(result, caught_up(database, services.addresses.kafka))
        say("counted; comparing")
        await _noted(result, _from_store(result, database))
        await _noted(result, _from_cache(result, database, cache))
        await _noted(result, _from_api(result, services.urls[services.apis[0].name]))
        await _noted(result, _alerts(result, database, webhook))


class _Closing:
    """redis.asyncio calls it `aclose`, and so does `aclosing`."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def aclose(self) -> None:
        await self._client.aclose()


async def _noted(result: Result, step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the result
        result.problems.append(f"{type(error).__name__}: {error}")


async def caught_up(
    database: stored.Database, bootstrap: str, timeout: float = SETTLE_S, log: Mapping[int, int] | None = None
) -> None:
    """Wait until every tier of every partition is counted to the end of the log, or to where it ended when `log` was
    read. Raises AssertionError."""

    async def counted() -> bool:
        assert (lagging := await stored.behind(database, bootstrap, log=log)) == "", lagging
        return True

    await eventually(counted, timeout, interval=0.5)


async def _from_store(result: Result, database: stored.Database) -> None:
    result.found["MongoDB"] = found = await stored.counts(database, result.ledger)
    result.differences += compare(result.ledger, found, "MongoDB")


async def _from_cache(result: Result, database: stored.Database, cache: redis.asyncio.Redis) -> None:
    expected = result.ledger.expected(()).running

    async def same() -> bool:
        found = await stored.cached_running(cache, database, result.ledger)
        wrong = compare(result.ledger, Counts({}, found), "Redis", ())
        assert not wrong, f"{len(wrong)} of {len(expected)} series: {listed(wrong)}"
        return True

    await eventually(same, 60.0, interval=1.0)


async def _from_api(result: Result, url: str) -> None:
    result.found["api"] = found = await answered.counts(url, result.ledger)
    result.differences += compare(result.ledger, found, "api")


async def _alerts(result: Result, database: stored.Database, webhook: Receiver) -> None:
    """What was told, once nothing is left to be told."""
    await drained(database, TENANT)
    deliveries = webhook.deliveries
    result.differences += differences(result.alerts, await told(database, TENANT), deliveries)
    again = repeats(deliveries)
    result.repeats = again.total()
    hits = sum(count for label, count in result.killer.done.items() if label.startswith(("alerting", "mongod")))
    if result.repeats > hits * PER_CHANNEL or max(again.values(), default=0) > hits:
        result.problems.append(f"{result.repeats} notifications came again after {hits} kills")


def report(result: Result) -> str:
    """The printed ledger."""
    answers, killer = result.answers, result.killer
    lines = ["", "kills"]
    lines += [f"  {label:<24}{count:>8}" for label, count in sorted(killer.done.items())]
    lines += [f"  {'all':<24}{killer.done.total():>8} of {result.options.kills}, seed {result.options.seed}"]
    lines += [f"  ended by itself: {label}, {count} times" for label, count in killer.ended.items()]
    lines += ["requests"]
    for name in ("accepted", "retried", "unknown", "resolved", "replayed", "repeated"):
        lines.append(f"  {name:<24}{getattr(answers, name):>8}")
    lines.append("  attempts                " + ", ".join(f"{k}: {v}" for k, v in answers.attempts.most_common()))
    lines += ["samples accepted and found (series, samples, sum)"]
    expected = result.ledger.expected()
    for tier in TIERS:
        lines.append(_row(f"{tier.name} accepted", totals(expected.windows[tier.name])))
        lines += [
            _row(f"{tier.name} {where}", totals(counts.windows[tier.name]))
            for where, counts in result.found.items()
            if tier.name in counts.windows
        ]
    lines += [f"alerts\n  {'transitions to be told':<24}{result.alerts.transitions:>8}"]
    lines += [f"  {'told once more':<24}{result.repeats:>8}"]
    lines += [f"WRONG ANSWER {wrong}" for wrong in answers.wrong[:10]]
    lines += [f"PROBLEM {problem}" for problem in result.problems]
    if result.differences:
        lines += [f"{len(result.differences)} DIFFERENCES", listed(result.differences)]
    lines.append(f"{'PASS' if result.passed else 'FAIL'} after {result.seconds:.0f} s")
    return "\n".join(lines)


def _row(name: str, figures: tuple[int, int, float]) -> str:
    series, samples, total = figures
    return f"  {name:<24}{series:>8} {samples:>12} {total:>16.0f}"
