"""`vigie partitions`: traffic before and after, killed after every step, and nothing is lost, doubled or told twice."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from vigie_contracts.series import Kind, series_key
from vigie_contracts.topics import CHECKS, COMMANDS, REPORTS, SAMPLES, TARGETS

from tests.chaos import stored
from tests.chaos.alerts import AlertLedger, Crossings, differences, drained, make_rules, repeats, told
from tests.chaos.ledger import Ledger, Sample, compare, listed
from tests.chaos.load import Plan, Series, batch, single
from tests.chaos.system import Services
from tests.integration.test_late import now_ms
from tests.integration.world import World
from tests.kit.wait import eventually, unique
from tests.kit.webhooks import receiver

pytestmark = [pytest.mark.connected, pytest.mark.fault, pytest.mark.timeout(300)]

BEFORE, AFTER = 3, 6
LINES = (1, 3, 6)
"""Of the output of the command: it is killed when it has said so many, which is before, in and after what it changes in
Kafka."""


@pytest.fixture
def apart(rough: World, tmp_path: Path) -> Iterator[World]:
    """The servers of the rough world, with topics and a database of its own: others' partitions stay as they are."""
    names = {f"VIGIE_{topic.word.upper()}_TOPIC": unique(topic.word) for topic in (SAMPLES, REPORTS, CHECKS, COMMANDS)}
    targets = {f"VIGIE_{TARGETS.word.upper()}_TOPIC": unique(TARGETS.word)}
    environment = {**names, **targets, "VIGIE_PARTITIONS": str(BEFORE)}
    database = unique("divided")
    services = Services(tmp_path, rough.addresses, database, unique("tenant"), environment)
    yield replace(rough, services=services, database=rough.client[database])
    services.kill()


async def test_sums_stay_exact_and_alerts_are_told_once_whenever_it_is_killed(apart: World) -> None:
    services = apart.services
    await asyncio.to_thread(services.start, gateways=1, aggregators=1, alertings=1)
    ledger, alerts = apart.ledger("divided"), AlertLedger(unique("alerts").replace("-", "_"))
    firing = [series_key(services.tenant, alerts.name(rule), Kind.GAUGE, {"host": f"held-{rule}"}) for rule in range(3)]
    plan = Plan(Series(ledger, 90), 5)
    sent = [plan.request() for _ in range(60)]
    with receiver() as webhook:
        await make_rules(services.urls[services.alertings[0].name], alerts, webhook.url)
        async with apart.sender(ledger) as sender:
            for request in sent[:40]:
                await sender.deliver(request)
        async with apart.sender(apart.ledger("alerts")) as sender:
            for key in firing:  # each fires across the change, and is over only after it
                await sender.deliver(single(Sample(key, now_ms(), 95)))
                alerts.expected[dict(key.labels)["host"]].append("firing")
            await eventually(lambda: len(webhook.deliveries) == len(firing), 60)
            refused = await partitions(apart, str(AFTER))
            assert refused.returncode == 1
            assert "Vigie still runs" in refused.stderr, refused.stderr + refused.stdout
        async with apart.sender(ledger) as sender:
            services.aggregators[0].pause()  # what comes now lies in Kafka only
            for request in sent[40:]:
                await sender.deliver(request)
            half = batch([Sample(key, now_ms(), 7) for key in Series(ledger, 90).known(1.0)])
            await sender.deliver(half)
            assert sender.answers.wrong == []
        services.kill()

        for lines in LINES:
            await killed_after(apart, lines)
        other = await partitions(apart, str(4 * BEFORE))
        assert (other.returncode, f"`vigie partitions {AFTER}`" in other.stderr) == (1, True), other.stderr
        done = await partitions(apart, str(AFTER))
        assert done.returncode == 0, done.stderr + done.stdout
        assert f"There are {AFTER} partitions now" in done.stdout
        assert (await partitions(apart)).stdout.strip() == str(AFTER)
        await exact(apart, ledger)

        services = apart.services = divided(apart)
        await asyncio.to_thread(services.start, gateways=1, aggregators=2, alertings=1)
        await apart.forget()  # no answer is remembered: only the aggregators can tell a repeat
        nothing = apart.ledger("divided")
        async with apart.sender(nothing) as sender:
            for request in [*sent, half]:
                await sender.deliver(request)
            assert (sender.answers.wrong, sender.answers.replayed) == ([], 0)
        async with apart.sender(ledger, 3) as sender:
            for _ in range(30):
                await sender.deliver(plan.request(), repeat=True)
            grown = Series(ledger, 140)  # some of them new
            await sender.deliver(batch([Sample(key, now_ms(), 3) for key in grown.known(1.0)]))
        async with apart.sender(apart.ledger("alerts")) as sender:
            crossings = Crossings(sender, apart.database, services.tenant, alerts)
            running = asyncio.create_task(crossings.run(at_once=3))
            for key in firing:
                await sender.deliver(single(Sample(key, now_ms(), 5)))
                alerts.expected[dict(key.labels)["host"]].append("resolved")
            crossings.stop()
            await running
            assert sender.answers.wrong == []
        await exact(apart, ledger)
        homes = await stored.series_homes(apart.database, ledger)
        assert len({partition for partition, _ in homes}) == AFTER
        assert all(fingerprint % AFTER == partition for (partition, _), fingerprint in homes.items() if fingerprint > 0)
        await drained(apart.database, services.tenant)
        wrong = differences(alerts, await told(apart.database, services.tenant), webhook.deliveries)
        assert not wrong, listed(wrong)
        assert not repeats(webhook.deliveries)


def divided(apart: World) -> Services:
    """The services as they are started afterwards: as before, with the new number."""
    before = apart.services
    environment = {**before.environment, "VIGIE_PARTITIONS": str(AFTER)}
    after = Services(before.directory, apart.addresses, before.database, before.tenant, environment)
    after.group, after.rules = before.group, before.rules
    return after


async def exact(apart: World, ledger: Ledger) -> None:
    """Everything is counted once, in every tier."""
    topic = apart.services.environment["VIGIE_SAMPLES_TOPIC"]

    async def counted() -> bool:
        lagging = await stored.behind(apart.database, apart.addresses.kafka, topic=topic)
        assert lagging == "", lagging
        return True

    await eventually(counted, 60, interval=0.5)
    found = await stored.counts(apart.database, ledger, divided_from=BEFORE)
    wrong = compare(ledger, found, "MongoDB")
    assert not wrong, f"{len(wrong)} differences\n{listed(wrong)}"


async def partitions(apart: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with the variables that the services have."""
    process = command(apart, *arguments)
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


async def killed_after(apart: World, lines: int) -> None:
    """Begin, and kill it when it has said so many lines."""
    process = command(apart, str(AFTER))
    try:
        for _ in range(lines):
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline), "it ended before"
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)


def command(apart: World, *arguments: str) -> "subprocess.Popen[str]":
    """Started."""
    services = apart.services
    environment = {
        **os.environ,
        **apart.addresses.variables(),
        "VIGIE_MONGODB_DATABASE": services.database,
        "VIGIE_AGGREGATOR_GROUP": services.group,
        "VIGIE_RULES_TOPIC": services.rules,
        "VIGIE_KAFKA_SESSION_TIMEOUT_MS": "3000",
        **services.environment,
    }
    words = [sys.executable, "-m", "vigie_standalone", "partitions", *arguments, *(["--yes"] if arguments else [])]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
