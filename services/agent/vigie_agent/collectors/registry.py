"""Every collector. To add one: its file, and its line here."""

from __future__ import annotations

from concurrent.futures import Executor

from vigie_agent.collectors import memory, network, uptime
from vigie_agent.collectors.base import Collector, InThread
from vigie_agent.collectors.cpu import Processors
from vigie_agent.collectors.directories import Directories, DirectoryWalk
from vigie_agent.collectors.disks import Disks
from vigie_agent.collectors.pressure import PressureFiles
from vigie_agent.collectors.processes import ProcessTable
from vigie_agent.collectors.services import Services
from vigie_agent.patterns import patterns
from vigie_agent.settings import AgentSettings
from vigie_agent.systemd.bus import SystemdBus


def collectors(settings: AgentSettings, bus: SystemdBus, threads: Executor, walker: Executor) -> list[Collector]:
    """One of each. `walker` has one thread."""
    return [
        InThread("cpu", Processors().read, threads),
        InThread("memory", memory.read, threads),
        InThread("disks", Disks(settings.sites_dir).read, threads),
        InThread("network", network.read, threads),
        InThread("processes", ProcessTable().read, threads),
        InThread("pressure", PressureFiles().read, threads),
        InThread("uptime", uptime.read, threads),
        Directories(DirectoryWalk(settings.sites_dir), walker, settings.walk_ms / 1000),
        Services(bus, patterns(settings.service_pattern)),
    ]
