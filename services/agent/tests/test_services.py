"""systemd services as a real message bus tells of them; a double of systemd is on it."""

from pathlib import Path

import pytest
from vigie_agent.collectors.base import Look
from vigie_agent.collectors.services import Services
from vigie_agent.configuration import Site
from vigie_agent.errors import BusAwayError
from vigie_agent.sites import assign
from vigie_agent.systemd.bus import BusRefusedError, SystemdBus
from vigie_contracts.hosts import ServiceState

from services.agent.tests.systemd_double import Unit, bus_daemon, systemd_double


async def test_services_are_seen_as_they_start_stop_and_fail(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-shop-api": Unit(restarts=3), "nginx": Unit(), "twoine-blog": Unit(loaded=False)}
        systemd.start("twoine-shop-api")
        bus = SystemdBus(systemd.address)
        collector = Services(bus, ["twoine-*"])
        look = Look()
        blog, shop = (await collector.collect(look))["services"]
        assert (shop.name, shop.state, shop.sub_state) == ("twoine-shop-api", ServiceState.ACTIVE, "running")
        assert (shop.memory_bytes, shop.cpu_time_ms, shop.restarts) == (32 << 20, 1500, 3)
        assert shop.pid == 4000
        assert 0 <= shop.uptime < 60
        assert (blog.name, blog.state, blog.pid) == ("twoine-blog", ServiceState.INACTIVE, None)
        assert look.unavailable == []
        systemd.stop("twoine-shop-api", failed=True)
        _, shop = (await collector.collect(look))["services"]
        assert (shop.state, shop.pid, shop.memory_bytes, shop.restarts) == (ServiceState.FAILED, None, None, 3)
        systemd.stop("twoine-shop-api")
        _, shop = (await collector.collect(look))["services"]
        assert (shop.state, shop.uptime) == (ServiceState.INACTIVE, None)
        bus.close()


async def test_one_odd_unit_does_not_silence_the_others(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit(), "twoine-b": Unit(), "twoine-näh": Unit(), "twoine-\x01": Unit()}
        for name in systemd.units:
            systemd.start(name)
        systemd.units["twoine-a"].odd = True
        look = Look()
        bus = SystemdBus(systemd.address)
        a, b = (await Services(bus, ["twoine-*"]).collect(look))["services"]
        assert (a.name, a.state, a.pid) == ("twoine-a", ServiceState.ACTIVE, None)
        assert (b.name, b.pid is not None) == ("twoine-b", True)
        assert {one.what for one in look.unavailable} == {"services", "services.twoine-a"}
        bus.close()


async def test_vigie_narrows_the_pattern_and_cannot_widen_it(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {name: Unit() for name in ("twoine-a", "twoine-b", "ssh")}
        bus = SystemdBus(systemd.address)
        collector = Services(bus, ["twoine-*"])
        found = await collector.collect(Look(service_patterns=["*a", "ssh"]))
        assert [one.name for one in found["services"]] == ["twoine-a"]
        bus.close()


async def test_a_machine_without_a_bus_says_so(tmp_path: Path) -> None:
    look = Look()
    found = await Services(SystemdBus(f"unix:path={tmp_path}/none"), ["twoine-*"]).collect(look)
    assert found == {}
    [said] = look.unavailable
    assert said.what == "services"
    assert said.reason.startswith("not available: no system bus")


async def test_a_bus_without_systemd_says_so(tmp_path: Path) -> None:
    async with bus_daemon(tmp_path) as address:
        look, bus = Look(), SystemdBus(address)
        assert await Services(bus, ["twoine-*"]).collect(look) == {}
        assert "no systemd on the bus" in look.unavailable[0].reason
        bus.close()


async def test_a_bus_that_was_restarted_is_spoken_to_again(tmp_path: Path) -> None:
    bus: SystemdBus | None = None
    for number in range(2):
        async with systemd_double(tmp_path) as systemd:
            bus = bus or SystemdBus(systemd.address)
            systemd.units = {f"twoine-{number}": Unit()}
            look = Look()
            collector = Services(bus, ["twoine-*"])
            found = await collector.collect(look) or await collector.collect(look)
            assert [one.name for one in found["services"]] == [f"twoine-{number}"]
    assert bus is not None
    bus.close()


async def test_jobs_end_as_systemd_says(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit(), "twoine-b": Unit(fails=True)}
        bus = SystemdBus(systemd.address)
        assert await bus.job("StartUnit", "twoine-a", 10) == "done"
        assert await bus.job("StartUnit", "twoine-b", 10) == "failed"
        assert (systemd.units["twoine-a"].active, systemd.units["twoine-b"].active) == ("active", "failed")
        with pytest.raises(BusRefusedError, match="not found"):
            await bus.job("StopUnit", "twoine-c", 10)
        systemd.delay_s = 30
        with pytest.raises(TimeoutError):
            await bus.job("RestartUnit", "twoine-a", 0.05)
        systemd.denied = True
        with pytest.raises(BusRefusedError, match="denied"):
            await bus.job("StopUnit", "twoine-a", 10)
        bus.close()
        with pytest.raises(BusAwayError):
            await SystemdBus(f"unix:path={tmp_path}/none").job("StopUnit", "twoine-a", 10)


async def test_services_belong_to_sites_by_name_and_else_by_account(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        users = {"twoine-shop": "", "twoine-shop-eu-api": "", "twoine-x": "anna", "twoine-y": "both"}
        systemd.units = {name: Unit(user=user) for name, user in users.items()}
        for name in systemd.units:
            systemd.start(name)
        sites = [
            Site("1", "shop"), Site("2", "shop-eu"), Site("3", "blog", "anna"), Site("4", "c", "both"),
            Site("5", "d", "both"),
        ]  # fmt: skip
        look, bus = Look(sites=sites), SystemdBus(systemd.address)
        found = await Services(bus, ["twoine-*"]).collect(look)
        assign(found["services"], look, ["twoine-"], found["service_users"])
        assert {one.name: one.site for one in found["services"]} == {
            "twoine-shop": "1", "twoine-shop-eu-api": "2", "twoine-x": "3", "twoine-y": None,
        }  # fmt: skip
        bus.close()
