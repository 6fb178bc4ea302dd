"""The words of a host's report: every stored one is read, and what is out of bounds is none."""

from typing import Any

import msgspec
import pytest
from vigie_contracts import hosts, names
from vigie_contracts.hosts import HostReport
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.reports import Report
from vigie_contracts.series import Kind
from vigie_contracts.topics import REPORTS

LEAST: dict[str, Any] = {
    "host": "db-1", "timestamp": 1, "interval": 30, "agent": {"instance": "01234567", "version": "1"}
}  # fmt: skip


@pytest.mark.parametrize("payload", payloads("api.hosts.reports"), ids=lambda p: p.name)
def test_every_report_that_agents_send_is_read_and_every_bad_one_is_refused(payload: Payload) -> None:
    if not payload.good:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(payload.data, type=HostReport)
        return
    given = msgspec.json.decode(payload.data)
    for item in given if isinstance(given, list) else [given]:
        said = msgspec.convert(item, HostReport)
        body = said.body()
        assert msgspec.convert(body, HostReport) == said
        assert all(body[name] == item[name] for name in item if name != "agent")


def test_the_body_of_every_stored_report_of_a_host_is_a_report() -> None:
    stored = [msgspec.json.decode(one.data, type=Report) for one in payloads(REPORTS.name) if one.good]
    of_hosts = [report for report in stored if report.kind == hosts.KIND]
    assert of_hosts
    for report in of_hosts:
        said = msgspec.convert(report.body, HostReport)
        assert (said.host, said.timestamp) == (report.subject, report.timestamp)
        assert report.body[hosts.RECEIVED] >= report.timestamp


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""}, {"host": "../etc"}, {"host": "-x"}, {"host": "a\n"}, {"interval": 0}, {"timestamp": "now"},
        {"cpu": {"percent": -1}}, {"cpu": {"percent": float("nan")}}, {"memory": {"used": -1}},
        {"memory": {"used": 1 << 53}}, {"memory": {"used": 1.5}},
        {"sites": [{"site": "../x"}]}, {"services": [{"name": "a/b", "state": "active"}]},
        {"services": [{"name": "a", "state": "alive"}]}, {"services": [{"name": "a"}]},
        {"sites": [{"site": "a"}] * (hosts.MAX_SITES + 1)},
        {"agent": {"instance": "short", "version": "1"}}, {"agent": {"version": "1"}},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_no_report(wrong: dict[str, Any]) -> None:
    msgspec.convert(LEAST, HostReport)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(LEAST | wrong, HostReport)


def test_the_first_name_that_is_there_twice_is_found() -> None:
    assert hosts.repeated(["a", "b", "a", "b"]) == "a"
    assert hosts.repeated(["a", "b"]) is None


def test_totals_of_hosts_are_counters_and_the_rest_are_gauges() -> None:
    for name in names.HOSTS:
        counts = name.endswith("_total")
        assert names.kinds_of(name) == ({Kind.COUNTER, Kind.CUMULATIVE} if counts else {Kind.GAUGE}), name
