"""The words of node telemetry."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import telemetry
from vigie_contracts.payloads import payloads
from vigie_contracts.reports import Report, record_key
from vigie_contracts.telemetry import Telemetry
from vigie_contracts.topics import REPORTS


def test_every_number_has_a_metric_of_its_own() -> None:
    assert set(telemetry.METRICS) == {*telemetry.NUMBERS, *telemetry.ADDITIONAL_NUMBERS}
    assert len(set(telemetry.METRICS.values())) == len(telemetry.METRICS)


@pytest.mark.parametrize("payload", [p for p in payloads(REPORTS.name) if p.good], ids=lambda p: p.name)
def test_the_body_of_every_stored_report_of_a_node_is_telemetry(payload: object) -> None:
    report = msgspec.json.decode(payload.data, type=Report)
    if report.kind == telemetry.KIND:
        assert set(telemetry.REQUIRED_NUMBERS) <= set(msgspec.convert(report.body, Telemetry).numbers())


@given(st.dictionaries(st.sampled_from([*telemetry.ADDITIONAL_NUMBERS, "x"]), st.none() | st.booleans() | st.text()))
def test_what_is_no_number_is_no_number_of_the_additional_data(given_: dict[str, object]) -> None:
    said = Telemetry(uptime=1, active_users=2, exercises_completed_today=3, additional_data=given_)
    assert said.numbers() == {"uptime": 1.0, "activeUsers": 2.0, "exercisesCompletedToday": 3.0}


def test_the_known_numbers_of_the_additional_data_are_among_the_numbers() -> None:
    more = {"cpuUsage": 250, "memoryUsage": -1, "diskUsage": 1e13, "errorCount": 0, "platform": "linux"}
    said = Telemetry(uptime=1, active_users=2, exercises_completed_today=3, ai_latency=4, additional_data=more)
    assert {"aiLatency": 4.0, "cpuUsage": 250.0, "errorCount": 0.0}.items() <= said.numbers().items()
    assert not {"memoryUsage", "diskUsage"} & set(said.numbers())


def test_the_same_said_in_other_numbers_is_the_same_body() -> None:
    one = msgspec.json.decode(
        b'{"uptime":1,"activeUsers":2.0,"exercisesCompletedToday":3e0,"aiLatency":0.5}', type=Telemetry
    )
    assert (
        msgspec.json.encode(one.body()) == b'{"uptime":1,"activeUsers":2,"exercisesCompletedToday":3,"aiLatency":0.5}'
    )
    more = {"a": [1.0, None]}
    two = Telemetry(uptime=0, active_users=0, exercises_completed_today=0, version="", additional_data=more)
    assert two.body() == {
        "uptime": 0, "activeUsers": 0, "exercisesCompletedToday": 0, "version": "", "additionalData": more
    }  # fmt: skip
    assert msgspec.convert(two.body(), Telemetry) == two


@pytest.mark.parametrize("value", [-1, -0.001, 1e12 + 1, float("nan"), float("inf"), "1", True])
def test_a_number_out_of_bounds_is_no_telemetry(value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"uptime": value, "activeUsers": 0, "exercisesCompletedToday": 0}, Telemetry)


def test_reports_of_a_subject_share_a_key() -> None:
    assert record_key("acme", telemetry.SUBJECT) == b"acme/node"
