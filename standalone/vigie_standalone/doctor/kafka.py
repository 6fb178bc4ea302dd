"""Kafka: brokers, topics, and how far what lies in them is counted."""

import asyncio
from collections.abc import Iterator, Mapping

from vigie_contracts.topics import DEAD, TOPICS, Topic
from vigie_runtime import clients
from vigie_runtime.bus import inspection, topics
from vigie_runtime.bus.inspection import ClusterFacts, TopicFacts
from vigie_runtime.errors import Retryable

from vigie_standalone.backup.connecting import BackupSettings
from vigie_standalone.doctor.findings import Finding, failed, ok, warning

SAFE_REPLICAS = 3
WHAT = "kafka"


async def examine(settings: BackupSettings, recorded: Mapping[str, int]) -> list[Finding]:
    """`recorded`: partitions of topics as MongoDB has them."""
    wanted = topics.deployed(settings, (topic for topic in TOPICS if topic.written_by))  # others nobody makes yet
    admin = clients.kafka_admin(settings)
    try:
        facts = await asyncio.to_thread(inspection.inspect, admin, [topic.name for topic in wanted])
    except Retryable as error:
        advice = "start it, or correct KAFKA_BOOTSTRAP_SERVERS, VIGIE_KAFKA_SECURITY_PROTOCOL and the login"
        return [failed(WHAT, f"{settings.kafka_bootstrap_servers} does not answer: {error}", advice)]
    return [*_brokers(facts), *(one for topic in wanted for one in judged(topic, facts, recorded.get(topic.name)))]


def _brokers(facts: ClusterFacts) -> Iterator[Finding]:
    text = f"{facts.brokers} broker{'s' if facts.brokers > 1 else ''}, cluster {facts.cluster_id}"
    if facts.brokers >= SAFE_REPLICAS:
        yield ok(WHAT, text)
    else:
        advice = "have three for production: with fewer, what was accepted is lost with one disk"
        yield warning(WHAT, text, advice)


def judged(topic: Topic, facts: ClusterFacts, recorded: int | None) -> Iterator[Finding]:
    """What there is to say of one topic. `recorded`: its partitions as MongoDB has them, None when it does not."""
    what, found = f"{WHAT} {topic.name}", facts.topics.get(topic.name)
    if found is None and recorded is None:
        yield warning(what, "is not there", "start the services: they make their topics")
    elif found is None:
        yield failed(what, "is not there any more", "start the services, which make it anew; what it held is lost")
    else:
        problems = [*_partitions(what, found, recorded), *_replicas(what, found, facts.brokers)]
        problems += _kept(what, topic, found)
        yield from problems or [ok(what, f"{found.partitions} partitions, {found.replicas} replicas")]


def _partitions(what: str, found: TopicFacts, recorded: int | None) -> Iterator[Finding]:
    if recorded is not None and found.partitions != recorded:
        text = f"has {found.partitions} partitions, and MongoDB has {recorded} recorded"
        yield failed(what, text, "see docs/runbooks/partition-count.md")
    if found.leaderless:
        yield failed(what, f"{found.leaderless} partitions have no leader", "bring the brokers back that have them")


def _replicas(what: str, found: TopicFacts, brokers: int) -> Iterator[Finding]:
    if found.behind and not found.leaderless:
        text = f"of {found.behind} partitions a replica is not in sync"
        yield warning(what, text, "look after the brokers: one more that is lost may stop writing")
    if found.replicas < min(SAFE_REPLICAS, brokers):
        text = f"{found.replicas} replicas on {brokers} brokers"
        yield warning(
            what, text, "raise them with kafka-reassign-partitions.sh: one broker that is lost takes data along"
        )
    least = found.config.get("min.insync.replicas", "1")
    if found.replicas >= SAFE_REPLICAS and least == "1":
        advice = "set it to 2, so that what was acknowledged is on two disks"
        yield warning(what, "min.insync.replicas is 1", advice)


def _kept(what: str, topic: Topic, found: TopicFacts) -> Iterator[Finding]:
    for name, wanted in topic.config.items():
        has = found.config.get(name, "")
        if name == "retention.ms" and has.lstrip("-").isdigit() and (int(has) < 0 or int(has) >= int(wanted)):
            continue
        if has != wanted and name in ("retention.ms", "cleanup.policy"):
            advice = f"set {name}={wanted} with kafka-configs.sh, unless that is meant"
            yield warning(what, f"{name} is {has or 'not known'}, and not {wanted}", advice)
    if topic is DEAD and found.partitions != DEAD.partitions:
        yield warning(what, f"has {found.partitions} partitions", "`vigie dead` reads one")
