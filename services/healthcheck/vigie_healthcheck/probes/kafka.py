"""`kafka://broker:9092` and `kafkas://` (TLS): up when that broker answers and, with a topic, the topic can be used.

Only this broker is asked, over our own connection: a client would go on to the addresses that it advertises.

Options: `topic`, all of whose partitions must have a leader; `saslMechanism` of a login (`PLAIN`, `SCRAM-SHA-256`,
`SCRAM-SHA-512`); `serverName`. A broker that wants a login, and is given none, is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.kafka_wire import NotKafka, Reader, array, call, data, text
from vigie_healthcheck.probes.scram import Refused, Scram
from vigie_healthcheck.probes.wire import Wire, connected

_METADATA, _SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 3, 17, 18, 36
_METADATA_VERSION: Final = 4
"""The first that can be told not to create the topic; brokers from 0.11 to 4 know it."""
_UNKNOWN_TOPIC, _LEADER_NOT_AVAILABLE, _TOPIC_FORBIDDEN = 3, 5, 29
_ALGORITHMS: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


@dataclass(slots=True)
class _Topic:
    error: int
    partitions: int = 0
    leaderless: int = 0
    under_replicated: int = 0


async def kafka(question: Question, way: Way, phases: Phases) -> Facts:
    tls = question.parts().scheme == "kafkas"
    name = question.options.get("topic", "")
    try:
        async with connected(question, 9092, way, phases, tls=tls) as wire:
            facts = wire.facts()
            with phases.measure("processing"):
                await _check_version(wire)
                if question.login()[1]:
                    await _log_in(wire)
                brokers, topic = await _described(wire, name)
    except NotKafka:
        raise Failed("what answers is not Kafka") from None
    if brokers is None and name:
        raise Failed("the broker wants a login before it tells of topics", Verdict.UNKNOWN, facts)
    if brokers is not None:
        facts["probe_kafka_brokers"] = float(brokers)
    return facts if topic is None else _judged(topic, facts)


def _judged(topic: _Topic, facts: dict[str, float]) -> Facts:
    facts |= {
        "probe_kafka_partitions": float(topic.partitions),
        "probe_kafka_partitions_without_leader": float(topic.leaderless),
        "probe_kafka_partitions_under_replicated": float(topic.under_replicated),
    }
    if topic.error == _TOPIC_FORBIDDEN:
        raise Failed("the login may not see the topic", Verdict.UNKNOWN, facts)
    if topic.error == _UNKNOWN_TOPIC:
        raise Failed("the topic does not exist", facts=facts)
    if topic.error not in (0, _LEADER_NOT_AVAILABLE) or not topic.partitions:
        raise Failed(f"the broker cannot tell of the topic (error {topic.error})", facts=facts)
    if topic.leaderless:
        raise Failed(f"{topic.leaderless} of {topic.partitions} partitions of the topic have no leader", facts=facts)
    if topic.under_replicated:
        reason = f"{topic.under_replicated} of {topic.partitions} partitions of the topic lack replicas"
        raise Failed(reason, Verdict.DEGRADED, facts)
    return facts


async def _check_version(wire: Wire) -> None:
    answer = await call(wire, _API_VERSIONS, 0, b"")
    if answer.number(2) != 0:
        raise NotKafka
    known = {answer.number(2): (answer.number(2), answer.number(2)) for _ in answer.times()}
    least, most = known.get(_METADATA, (0, -1))
    if not least <= _METADATA_VERSION <= most:
        raise Failed("the broker is of a version that this prober cannot ask", Verdict.UNKNOWN)


async def _described(wire: Wire, topic: str) -> tuple[int | None, _Topic | None]:
    """How many brokers there are, and the topic. None of both when the broker wants a login."""
    asked = array([text(topic)] if topic else []) + b"\x00"  # do not create it
    try:
        answer = await call(wire, _METADATA, _METADATA_VERSION, asked)
    except (Failed, ConnectionError):
        if wire.question.login()[1]:
            raise
        return None, None  # whoever has not logged in is hung up on at this word
    answer.skip(4)  # throttled for
    brokers = 0
    for _ in answer.times():
        answer.skip(4, str, 4, str)  # its number, host, port and rack
        brokers += 1
    answer.skip(str, 4)  # the cluster's id, and its controller
    found = [_topic(answer) for _ in answer.times()]
    if topic and len(found) != 1:
        raise NotKafka
    return brokers, found[0] if topic else None


def _topic(answer: Reader) -> _Topic:
    topic = _Topic(answer.number(2))
    answer.skip(str, 1)  # its name, and whether it is Kafka's own
    for _ in answer.times():
        answer.skip(2, 4)  # its error, and its number
        leader = answer.number(4)
        replicas, in_sync = ([answer.number(4) for _ in answer.times()] for _ in range(2))
        topic.partitions += 1
        topic.leaderless += leader < 0
        topic.under_replicated += len(in_sync) < len(replicas)
    return topic


async def _log_in(wire: Wire) -> None:
    mechanism = wire.question.options.get("saslMechanism", "").upper() or "PLAIN"
    if mechanism != "PLAIN" and mechanism not in _ALGORITHMS:
        raise Failed("saslMechanism is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", Verdict.UNKNOWN)
    user, password = wire.question.login()
    if (await call(wire, _SASL_HANDSHAKE, 1, text(mechanism))).number(2) != 0:
        raise Failed(f"the broker does not take logins by {mechanism}")
    if mechanism == "PLAIN":
        await _say(wire, f"\0{user}\0{password}".encode())
        return
    scram = Scram(_ALGORITHMS[mechanism], user, password)
    try:
        challenge = await _say(wire, scram.first())
        scram.verify(await _say(wire, await scram.final(challenge)))
    except Refused:
        raise Failed("the broker does not prove that it knows the password") from None


async def _say(wire: Wire, words: bytes) -> bytes:
    answer = await call(wire, _SASL_AUTHENTICATE, 0, data(words))
    if answer.number(2) != 0:
        raise Failed("the user name or the password is wrong")
    answer.skip(str)
    return answer.data()
