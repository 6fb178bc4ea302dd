"""How the promises stand, judged by what is stored alone."""

import pytest
from vigie_api.pipeline import proofs
from vigie_api.pipeline.proofs import CANARY_MS, STILL_MS, State
from vigie_runtime.bus.inspection import ClusterFacts, TopicFacts
from vigie_runtime.bus.positions import Log
from vigie_storage.partitions.checkpoint import Checkpoint, Position
from vigie_storage.partitions.checkpoint import Log as LogIdentity
from vigie_storage.partitions.reading import Counted

NOW = 1_790_000_000_000


def cluster(leaderless: int = 0, behind: int = 0) -> ClusterFacts:
    return ClusterFacts("one", 3, {"samples": TopicFacts(4, 3, leaderless, behind)})


def counted(offset: int, ago_ms: int = 0, lost: int = 0, cluster_id: str = "one") -> Counted:
    positions = {"10s": Position(offset), "1m": Position(0), "1h": Position(0)}
    return Counted(Checkpoint(LogIdentity(cluster_id, "topic"), 0, positions, {}, lost), NOW - ago_ms)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (None, State.UNKNOWN),
        (cluster(), State.KEPT),
        (cluster(behind=1), State.AT_RISK),
        (cluster(leaderless=1), State.BROKEN),
    ],
)
def test_durable_stands_as_the_brokers_stand(facts: ClusterFacts | None, state: State) -> None:
    assert proofs.durable(facts, NOW).state is state


def test_counted_is_kept_while_what_is_behind_moves() -> None:
    logs = {0: Log(0, 10), 1: Log(5, 9)}
    proof = proofs.counted(cluster(), logs, {0: counted(10, ago_ms=10 * STILL_MS), 1: counted(7, ago_ms=5)}, NOW)
    assert (proof.state, proof.proven_ms) == (State.KEPT, NOW - 5), "one that is read to its end may stand still"
    assert proof.numbers == {"partitions": 2, "lag": 2, "lost": 0, "still": 0}


def test_counted_is_at_risk_where_a_partition_stands_still_or_another_cluster_was_counted() -> None:
    still = proofs.counted(cluster(), {0: Log(0, 10)}, {0: counted(9, ago_ms=STILL_MS + 1)}, NOW)
    assert (still.state, still.numbers["still"]) == (State.AT_RISK, 1)
    other = proofs.counted(cluster(), {0: Log(0, 10)}, {0: counted(10, cluster_id="other")}, NOW)
    assert other.state is State.AT_RISK


def test_counted_is_broken_by_what_is_lost_also_while_kafka_is_away() -> None:
    assert proofs.counted(cluster(), {0: Log(0, 1)}, {0: counted(1, lost=3)}, NOW).state is State.BROKEN
    assert proofs.counted(None, {}, {0: counted(1, lost=3)}, NOW).state is State.BROKEN
    assert proofs.counted(None, {}, {0: counted(1)}, NOW).state is State.UNKNOWN
    assert proofs.counted(cluster(), {}, {}, NOW).state is State.UNKNOWN, "nothing was counted yet"


def test_what_retention_took_is_not_behind() -> None:
    assert proofs.behind_of(Log(8, 10), None) == 2
    assert proofs.behind_of(Log(8, 10), counted(3)) == 2
    assert proofs.behind_of(Log(0, 10), counted(12)) == 0


def test_alerts_are_proven_by_a_canary_of_the_last_minutes() -> None:
    assert proofs.alerts(None, None, 0, NOW).state is State.UNKNOWN
    proof = proofs.alerts(NOW - 1_500, NOW - 300, 2, NOW)
    assert (proof.state, proof.proven_ms, proof.numbers) == (State.KEPT, NOW - 300, {"tookMs": 1_200, "pending": 2})
    assert proofs.alerts(NOW - CANARY_MS - 1, NOW - CANARY_MS, 0, NOW).state is State.BROKEN


def test_what_was_set_aside_is_counted() -> None:
    assert proofs.set_aside(None, None).state is State.UNKNOWN
    proof = proofs.set_aside(Log(2, 5), NOW)
    assert (proof.state, proof.numbers, proof.proven_ms) == (State.KEPT, {"letters": 3}, NOW)
