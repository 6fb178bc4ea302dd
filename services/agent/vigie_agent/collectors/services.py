"""systemd services whose names match: state, process, uptime, memory, CPU time, restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from vigie_contracts.hosts import MAX_SERVICES, MAX_TEXT_CHARS, ServiceReport, ServiceState

from vigie_agent.collectors.base import Look, Parts
from vigie_agent.errors import BusAwayError
from vigie_agent.patterns import concerns
from vigie_agent.systemd.bus import SERVICE, UNIT, BusRefusedError, SystemdBus, UnitStatus

AT_ONCE: Final = 16
"""Services that are asked about at a time."""
LIMIT_S: Final = 8.0
USERS: Final = "service_users"
"""The part of this name: service -> the account it runs as."""
_RUNNING: Final = frozenset({"active", "reloading", "activating", "deactivating"})
_MAX_USERS_KNOWN: Final = 10_000


class Services:
    """A collector. `local` are the patterns that are set on this machine."""

    name: str = "services"

    def __init__(self, bus: SystemdBus, local: Sequence[str]) -> None:
        self._bus, self._local = bus, local
        self._users: dict[str, str] = {}

    async def collect(self, look: Look) -> Parts:
        """`services`, and the account of each."""
        try:
            async with asyncio.timeout(LIMIT_S):
                units = self._wanted(await self._bus.units(self._local), look)
                gate = asyncio.Semaphore(AT_ONCE)
                return {
                    "services": list(await asyncio.gather(*(self._report(unit, look, gate) for unit in units))),
                    USERS: dict(self._users),
                }
        except TimeoutError:
            look.missing(self.name, f"systemd did not answer within {LIMIT_S:g} s")
        except (BusAwayError, BusRefusedError) as e:
            look.missing(self.name, e)
        return {}

    def _wanted(self, units: Sequence[UnitStatus], look: Look) -> list[UnitStatus]:
        wanted = sorted(unit for unit in units if concerns(unit.name, self._local, look.service_patterns))
        odd = sum(not concerns(unit.name, self._local, ()) for unit in units)
        if odd:
            look.missing(self.name, f"{odd} services have names that a report cannot have")
        if len(wanted) > MAX_SERVICES:
            look.missing(self.name, f"{len(wanted) - MAX_SERVICES} of {len(wanted)} services are left out")
        return wanted[:MAX_SERVICES]

    async def _report(self, unit: UnitStatus, look: Look, gate: asyncio.Semaphore) -> ServiceReport:
        """One that cannot be asked about costs its own numbers only."""
        report = ServiceReport(name=unit.name, state=_state(unit.active), sub_state=unit.sub[:MAX_TEXT_CHARS])
        if not unit.path or (unit.active not in _RUNNING and unit.active != "failed"):
            return report
        async with gate:
            try:
                await self._fill(report, unit)
            except (BusRefusedError, TypeError, ValueError) as e:
                look.missing(f"services.{unit.name}", e)
        return report

    async def _fill(self, report: ServiceReport, unit: UnitStatus) -> None:
        report.restarts = _count(await self._bus.get(unit.path, SERVICE, "NRestarts"))
        if unit.name not in self._users:
            if len(self._users) >= _MAX_USERS_KNOWN:
                self._users.clear()
            self._users[unit.name] = str(await self._bus.get(unit.path, SERVICE, "User") or "")
        if unit.active not in _RUNNING:
            return
        report.pid = _count(await self._bus.get(unit.path, SERVICE, "MainPID")) or None
        report.memory_bytes = _count(await self._bus.get(unit.path, SERVICE, "MemoryCurrent"))
        used_ns = _count(await self._bus.get(unit.path, SERVICE, "CPUUsageNSec"))
        report.cpu_time_ms = None if used_ns is None else used_ns // 1_000_000
        since_us = _count(await self._bus.get(unit.path, UNIT, "ActiveEnterTimestamp"))
        if since_us and unit.active in {"active", "reloading"}:
            report.uptime = round(max(0.0, time.time() - since_us / 1e6), 1)


def _state(active: str) -> ServiceState:
    try:
        return ServiceState(active)
    except ValueError:  # a newer systemd
        return ServiceState.UNKNOWN


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else None
