"""A whole report of this machine: it fits the contract, whatever cannot be read."""

import asyncio
import getpass
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from vigie_agent import settings
from vigie_agent.collection import Collection, encoded
from vigie_agent.collectors.base import Collector, InThread, Look, readable
from vigie_agent.collectors.pressure import PressureFiles, parse
from vigie_agent.collectors.processes import ProcessTable
from vigie_agent.collectors.registry import collectors
from vigie_agent.configuration import Configuration, Limits, Site
from vigie_agent.systemd.bus import SystemdBus
from vigie_contracts.hosts import (
    MAX_REPORT_BYTES,
    AgentInfo,
    HostReport,
    ServiceReport,
    ServiceState,
    SiteReport,
)

NOW = 1_800_000_000_000


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(9)
    yield pool
    pool.shutdown(wait=False)


def found_settings(tmp_path: Path, **given: Any) -> settings.AgentSettings:
    return settings.load({}, host="web-1", state_dir=str(tmp_path), **given)


def whole(tmp_path: Path, threads: ThreadPoolExecutor) -> Collection:
    own = found_settings(tmp_path)
    bus = SystemdBus(f"unix:path={tmp_path}/no-bus")
    return Collection(own, collectors(own, bus, threads, threads), "0123456789abcdef")


async def test_this_machine_is_reported_and_the_report_fits_the_contract(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_bytes(b"x" * 1000)
    me = getpass.getuser()
    mine = Site("s1", "shop", me, str(tmp_path / "www"), Limits(memory_bytes=1 << 40, disk_bytes=4000))
    nobody = Site("s2", "blog", "no-such-account", str(tmp_path / "none"))
    collection = whole(tmp_path, threads)
    configuration = Configuration(sites=[mine, nobody])
    async with asyncio.timeout(50):
        while True:
            report = await collection.report(NOW, configuration)
            if report.sites[0].disk is not None and report.sites[0].cpu is not None:
                break
    read = msgspec.json.decode(encoded(report), type=HostReport)
    assert read == report
    assert (read.host, read.timestamp, read.interval) == ("web-1", NOW, 30)
    assert read.cpu is not None
    assert read.cpu.cores == os.cpu_count()
    assert read.memory is not None
    assert read.memory.total == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert read.disk is not None
    assert read.processes is not None
    assert (read.processes.total or 0) > 0
    shop, blog = read.sites
    assert shop.processes is not None
    assert shop.processes > 0
    assert shop.memory is not None
    assert (shop.memory.used_bytes or 0) > 1_000_000
    assert shop.disk is not None
    assert (shop.disk.used_bytes, shop.disk.file_count, shop.disk.percent) == (1000, 1, 25.0)
    assert (blog.cpu, blog.memory, blog.disk) == (None, None, None)
    said = {one.what: one.reason for one in read.agent.unavailable}
    assert said["sites.s2.account"] == "there is no account 'no-such-account'"
    assert said["services"].startswith("not available")


async def test_sites_are_left_out_when_nobody_wants_them(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    configuration = Configuration(site_stats_enabled=False, sites=[Site("s1", account="root")])
    assert (await whole(tmp_path, threads).report(NOW, configuration)).sites == []


async def test_a_collector_that_fails_or_hangs_costs_its_own_part_alone(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    released = Event()

    def hang(_look: Look) -> dict[str, Any]:
        released.wait(30)
        return {"users": 1}

    def broken(_look: Look) -> dict[str, Any]:
        raise ZeroDivisionError

    def denied(_look: Look) -> dict[str, Any]:
        raise PermissionError(13, "Permission denied")

    parts: list[Collector] = [
        InThread("users", hang, threads, limit_s=0.05),
        InThread("memory", broken, threads),
        InThread("network", denied, threads),
        InThread("uptime", lambda _look: {"uptime": 5.0}, threads),
    ]
    collection = Collection(found_settings(tmp_path), parts, "0123456789abcdef")
    try:
        report = await collection.report(NOW, Configuration())
        assert (report.uptime, report.users, report.memory) == (5.0, None, None)
        assert {one.what: one.reason for one in report.agent.unavailable} == {
            "users": "it took longer than 0.05 s",
            "memory": "ZeroDivisionError:",
            "network": "Permission denied",
        }
        again = await collection.report(NOW, Configuration())
        assert "hangs" in {one.what: one.reason for one in again.agent.unavailable}["users"]
    finally:
        released.set()


def test_usage_of_an_account_is_that_between_two_looks() -> None:
    table, look = ProcessTable(), Look(sites=[Site("me", account=getpass.getuser())])
    table.read(look)
    burned = sum(os.times()[:2])
    while sum(os.times()[:2]) < burned + 0.3:
        pass
    usage = table.read(look)["account_usage"]["me"]
    assert usage.percent > 10
    assert usage.cpu_s >= burned + 0.2


def test_pressure_is_read_and_its_absence_said(tmp_path: Path) -> None:
    line = "some avg10=1.50 avg60=2.25 avg300=0.10 total=123\nfull avg10=0.00 avg60=0.50 avg300=0.00 total=1\n"
    (tmp_path / "cpu").write_text(line)
    (tmp_path / "io").write_text("nonsense")
    look = Look()
    pressure = PressureFiles(tmp_path).read(look)["pressure"]
    assert pressure.cpu.some.avg60 == 2.25
    assert pressure.cpu.full.avg60 == 0.5
    assert (pressure.memory, pressure.io) == (None, None)
    assert [one.what for one in look.unavailable] == ["pressure.memory", "pressure.io"]
    with pytest.raises(ValueError, match="not one of"):
        parse("")


def test_a_report_of_too_many_services_is_cut_and_says_so() -> None:
    name = "twoine-" + "x" * 240
    report = HostReport(
        host="h", timestamp=NOW, interval=30, agent=AgentInfo(instance="01234567", version="1"),
        services=[ServiceReport(name=f"{name}{n}", state=ServiceState.ACTIVE) for n in range(2_000)],
        sites=[SiteReport(site=str(n)) for n in range(500)],
    )  # fmt: skip
    text = encoded(report)
    assert len(text) <= MAX_REPORT_BYTES
    read = msgspec.json.decode(text, type=HostReport)
    assert 0 < len(read.services) < 2_000
    assert read.agent.unavailable[0].what == "services"


def test_names_that_are_no_text_can_be_sent() -> None:
    look = Look()
    look.missing("disks." + os.fsdecode(b"/media/caf\xe9"), "gone")
    assert msgspec.json.decode(msgspec.json.encode(look.unavailable))[0]["what"] == "disks./media/caf?"
    assert len(readable("x" * 100_000)) < 100_000
