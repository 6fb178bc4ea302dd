"""What a running Vigie can prove of its promises, from what is stored: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vigie_runtime.bus.inspection import ClusterFacts
from vigie_runtime.bus.positions import Log
from vigie_storage.partitions.reading import Counted

STILL_MS: Final = 60_000
"""A partition that is behind and was not committed for so long stands still."""
CANARY_MS: Final = 180_000
"""So old the last canary may be: there is one every minute. As the shipped rule AlertsLate has it."""


class Name(StrEnum):
    """The promises of `docs/architecture.md` of which a running Vigie knows something."""

    DURABLE = "durable"
    COUNTED = "counted"
    ALERTS = "alerts"
    SET_ASIDE = "set-aside"


class State(StrEnum):
    KEPT = "kept"
    AT_RISK = "at-risk"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """Nobody can say it now."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A promise, how it stands, when that was last proven, and by which numbers."""

    name: Name
    state: State
    proven_ms: int | None
    numbers: Mapping[str, int]


def durable(cluster: ClusterFacts | None, newest_ms: int | None) -> Proof:
    """Accepted is durable: what is written is on every replica that there should be. Proven by the newest record that
    Kafka has acknowledged."""
    if cluster is None:
        return Proof(Name.DURABLE, State.UNKNOWN, None, {})
    topics = cluster.topics.values()
    leaderless = sum(one.leaderless for one in topics)
    behind = sum(one.behind for one in topics)
    numbers = {
        "brokers": cluster.brokers, "partitions": sum(one.partitions for one in topics),
        "leaderless": leaderless, "behind": behind,
    }  # fmt: skip
    state = State.BROKEN if leaderless else State.AT_RISK if behind else State.KEPT
    return Proof(Name.DURABLE, state, newest_ms, numbers)


def counted(cluster: ClusterFacts | None, logs: Mapping[int, Log], stored: Mapping[int, Counted], now_ms: int) -> Proof:
    """Counted exactly once: what is counted of each partition was committed with the offset up to which it is. Proven
    by the newest commit. A record that retention took before it was counted breaks it for good."""
    lost = sum(one.checkpoint.lost for one in stored.values())
    proven = max((one.committed_ms for one in stored.values()), default=None)
    if cluster is None or not stored:
        return Proof(Name.COUNTED, State.BROKEN if lost else State.UNKNOWN, proven, {"lost": lost} if stored else {})
    behind = {partition: lag for partition, log in logs.items() if (lag := behind_of(log, stored.get(partition))) > 0}
    elsewhere = sum(one.checkpoint.log.cluster_id != cluster.cluster_id for one in stored.values())
    still = sum(partition in stored and now_ms - stored[partition].committed_ms > STILL_MS for partition in behind)
    numbers = {"partitions": len(stored), "lag": sum(behind.values()), "lost": lost, "still": still}
    state = State.BROKEN if lost else State.AT_RISK if still or elsewhere else State.KEPT
    return Proof(Name.COUNTED, state, proven, numbers)


def behind_of(log: Log, stored: Counted | None) -> int:
    """Records of the log that are not counted yet."""
    at = log.begin if stored is None else stored.checkpoint.fine.offset
    return max(0, log.end - max(at, log.begin))


def alerts(due_ms: int | None, told_ms: int | None, pending: int, now_ms: int) -> Proof:
    """Alerts are not lost: a canary goes the whole way every minute. Proven by the last one that arrived."""
    if due_ms is None or told_ms is None:
        return Proof(Name.ALERTS, State.UNKNOWN, None, {"pending": pending})
    state = State.KEPT if now_ms - due_ms <= CANARY_MS else State.BROKEN
    return Proof(Name.ALERTS, state, told_ms, {"tookMs": max(0, told_ms - due_ms), "pending": pending})


def set_aside(letters: Log | None, newest_ms: int | None) -> Proof:
    """Bad input harms nobody: what cannot be read is set aside, and reading goes on. Proven by the newest dead letter,
    where there ever was one."""
    if letters is None:
        return Proof(Name.SET_ASIDE, State.UNKNOWN, None, {})
    return Proof(Name.SET_ASIDE, State.KEPT, newest_ms, {"letters": letters.end - letters.begin})
