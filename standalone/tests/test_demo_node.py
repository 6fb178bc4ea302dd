"""The simulated node: always telemetry that the gateway takes, busy by day, counting its exercises from midnight."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from vigie_ingest.telemetry import decode_telemetry, fault
from vigie_standalone.accounts import DEMO_TENANT
from vigie_standalone.demo.node import EVERY_S, node_report

MONDAY = 1_795_392_000
DAY_S = 86_400


@given(st.integers(0, 4_000_000_000), st.integers(0, 100))
def test_every_report_is_taken(at: int, seed: int) -> None:
    said, _ = decode_telemetry(msgspec.json.encode(node_report(seed, at)))
    assert fault(said) is None
    assert said.tenant_id == DEMO_TENANT
    assert said.additional_data is not None
    assert all(0 <= said.additional_data[name] <= 100 for name in ("cpuUsage", "memoryUsage", "diskUsage"))


def test_users_come_by_day_and_exercises_only_add_up() -> None:
    day = [node_report(7, MONDAY + second) for second in range(0, DAY_S, EVERY_S)]
    noon, night = day[len(day) // 2], day[0]
    assert noon["activeUsers"] > 5 * max(1, night["activeUsers"])
    exercises = [report["exercisesCompletedToday"] for report in day]
    assert exercises == sorted(exercises)
    assert (exercises[0], exercises[-1] > 200) == (0, True)
    assert node_report(7, MONDAY + DAY_S)["exercisesCompletedToday"] == 0


def test_the_same_seed_and_time_say_the_same() -> None:
    assert node_report(7, MONDAY) == node_report(7, MONDAY) != node_report(8, MONDAY)
