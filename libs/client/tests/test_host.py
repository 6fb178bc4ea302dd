"""Numbers of this machine, from this machine."""

import os
import threading

import psutil
import pytest
from vigie_client import Client, HostNumbers
from vigie_client.host import FIRST_LOOK_S
from vigie_contracts import names

from tests.kit import eventually_sync

SENT = {
    names.CPU_USAGE, names.MEMORY_USAGE, names.DISK_USAGE, names.MEMORY_USED, names.MEMORY_AVAILABLE,
    names.LOAD_AVERAGE, names.DISK_READ, names.DISK_WRITTEN, names.DISK_READS, names.DISK_WRITES,
    names.NETWORK_RECEIVED, names.NETWORK_SENT,
}  # fmt: skip
"""Of the names that summaries know, those of any client; an agent says more."""


class Recorded:
    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}
        self.counters: dict[str, list[float]] = {}
        self.labels: dict[str, object] = {}
        self.cores: dict[str, float] = {}

    def gauge(self, name, value, labels=None) -> None:
        if core := (labels or {}).get("core"):
            self.cores[core] = value
        else:
            self.gauges[name], self.labels[name] = value, labels

    def counter(self, name, value=1, labels=None) -> None:
        self.counters.setdefault(name, []).append(value)


def test_numbers_have_the_names_that_summaries_know_and_possible_values() -> None:
    recorded = Recorded()
    host = HostNumbers(recorded, host="here", process="worker-1")
    host.collect()
    assert (recorded.gauges.keys() | recorded.counters.keys()) >= SENT
    for name in (names.CPU_USAGE, names.MEMORY_USAGE, names.DISK_USAGE):
        assert 0 <= recorded.gauges[name] <= 100
        assert recorded.labels[name] == {"host": "here"}
    assert sorted(recorded.cores) == sorted(map(str, range(psutil.cpu_count())))
    assert all(0 <= usage <= 100 for usage in recorded.cores.values())
    assert recorded.gauges[names.MEMORY_AVAILABLE] > 0
    assert recorded.gauges["process_resident_memory_bytes"] > 1_000_000
    assert recorded.gauges["process_threads"] >= 1
    assert recorded.labels["process_threads"] == {"host": "here", "process": "worker-1"}


def test_totals_of_the_kernel_become_increments(tmp_path) -> None:
    recorded = Recorded()
    host = HostNumbers(recorded)
    host.collect()
    host.collect()
    for values in recorded.counters.values():
        assert values[0] == 0, "what was before the start is not counted"
        assert min(values) >= 0


def test_the_first_usage_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil's first look in a thread gives 0 for ever busy cores: it has to be one that waits."""
    waits: list[float | None] = []
    monkeypatch.setattr("psutil.cpu_percent", lambda wait, percpu: waits.append(wait) or [80.0, 20.0])
    recorded = Recorded()
    host = HostNumbers(recorded)
    thread = threading.Thread(target=lambda: (host.collect(), host.collect()))
    thread.start()
    thread.join()
    host.collect()
    assert waits == [FIRST_LOOK_S, None, FIRST_LOOK_S]
    assert recorded.gauges[names.CPU_USAGE] == 50
    assert recorded.cores == {"0": 80, "1": 20}


def test_number_that_cannot_be_read_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_):
        raise PermissionError("/proc is not yours")

    monkeypatch.setattr("psutil.net_io_counters", fails)
    monkeypatch.setattr("psutil.cpu_percent", lambda _, percpu: [5.0])
    monkeypatch.setattr("psutil.virtual_memory", fails)
    recorded = Recorded()
    HostNumbers(recorded).collect()
    assert names.NETWORK_SENT not in recorded.counters
    assert names.DISK_READ in recorded.counters
    assert "process_threads" in recorded.gauges


def test_client_sends_them_periodically(server) -> None:
    client = Client(server.url, service="agent", host_numbers=True, interval=0.05, handle_sigterm=False)
    client.start()
    eventually_sync(lambda: len(server.received) >= 3)
    client.stop()
    assert server.names() >= SENT
    load = {item["labels"]["period"] for item in server.counted if item["name"] == names.LOAD_AVERAGE}
    assert load == {"1m", "5m", "15m"}
    assert os.uname().nodename in {item["labels"]["host"] for item in server.counted}


def test_beside_an_agent_only_what_it_does_not_say_is_recorded() -> None:
    recorded = Recorded()
    numbers = HostNumbers(recorded, beside_agent=True)
    numbers.collect()
    numbers.collect()
    assert set(recorded.counters) == {names.DISK_READS, names.DISK_WRITES}
    assert recorded.gauges
    assert all(name.startswith("process_") for name in recorded.gauges)
