"""systemd's manager, doubled on a real message bus: units that start, stop and fail, with jobs and their signals.

On a `dbus-daemon` of its own, so that names, errors, signatures and signals are those of the bus itself. The double of
`python-dbusmock` needs dbus-python, which is built from source against libdbus: this one needs what the agent needs.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from time import time
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus
from vigie_agent.systemd.bus import MANAGER, PATH, SERVICE, SYSTEMD, UNIT

UNSET = (1 << 64) - 1
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass
class Unit:
    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    since: float = 0.0
    memory: int = UNSET
    cpu_ns: int = UNSET
    restarts: int = 0
    user: str = ""
    loaded: bool = True
    fails: bool = False
    """Its next start fails."""
    odd: bool = False
    """It answers no question about itself."""


@dataclass
class SystemdDouble:
    address: str
    units: dict[str, Unit] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every job that was asked for: method, unit."""
    delay_s: float = 0.0
    denied: bool = False
    jobs: int = 0

    def start(self, name: str) -> None:
        self.units[name].active, self.units[name].sub = "active", "running"
        unit = self.units[name]
        unit.pid, unit.since, unit.memory, unit.cpu_ns = 4000 + self.jobs, time(), 32 << 20, 1_500_000_000

    def stop(self, name: str, failed: bool = False) -> None:
        unit = self.units[name]
        unit.active, unit.sub = ("failed", "failed") if failed else ("inactive", "dead")
        unit.pid, unit.memory, unit.cpu_ns = 0, UNSET, UNSET

    def answer(self, message: Message) -> Message | None:
        member, body = message.member, message.body
        if member == "ListUnitsByPatterns":
            listed = [
                [f"{name}.service", name, "loaded", unit.active, unit.sub, "", _path(name), 0, "", "/"]
                for name, unit in self.units.items()
                if unit.loaded and any(fnmatchcase(f"{name}.service", one) for one in body[1])
            ]
            return Message.new_method_return(message, "a(ssssssouso)", [listed])
        if member == "ListUnitFilesByPatterns":
            files = [
                [f"/etc/systemd/system/{name}.service", "enabled"]
                for name in self.units
                if any(fnmatchcase(f"{name}.service", one) for one in body[1])
            ]
            return Message.new_method_return(message, "a(ss)", [files])
        if member == "Subscribe":
            return Message.new_method_return(message)
        if member == "Get":
            return self._get(message)
        if member in {"StartUnit", "StopUnit", "RestartUnit"}:
            return self._job(message)
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", member or "")

    def _get(self, message: Message) -> Message:
        interface, name = message.body
        unit = next((one for key, one in self.units.items() if _path(key) == message.path), None)
        if unit is None or unit.odd:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "Unknown object.")
        known = {
            (SERVICE, "MainPID"): ("u", unit.pid),
            (SERVICE, "NRestarts"): ("u", unit.restarts),
            (SERVICE, "MemoryCurrent"): ("t", unit.memory),
            (SERVICE, "CPUUsageNSec"): ("t", unit.cpu_ns),
            (SERVICE, "User"): ("s", unit.user),
            (UNIT, "ActiveEnterTimestamp"): ("t", int(unit.since * 1e6)),
        }
        signature, value = known[(interface, name)]
        return Message.new_method_return(message, "v", [Variant(signature, value)])

    def _job(self, message: Message) -> Message:
        name = message.body[0].removesuffix(".service")
        self.calls.append((message.member or "", name))
        if self.denied:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "Permission denied")
        if name not in self.units:
            text = f"Unit {name}.service not found."
            return Message.new_error(message, f"{SYSTEMD}.NoSuchUnit", text)
        self.jobs += 1
        path = f"/org/freedesktop/systemd1/job/{self.jobs}"
        result = self._do(message.member or "", name)
        asyncio.get_running_loop().call_later(self.delay_s, self._removed, self.jobs, path, name, result)
        return Message.new_method_return(message, "o", [path])

    def _do(self, method: str, name: str) -> str:
        unit = self.units[name]
        if method == "StopUnit":
            self.stop(name)
            return "done"
        if unit.fails:
            self.stop(name, failed=True)
            return "failed"
        self.start(name)
        return "done"

    def _removed(self, number: int, path: str, name: str, result: str) -> None:
        signal = Message(
            path=PATH, interface=MANAGER, member="JobRemoved", message_type=MessageType.SIGNAL,
            flags=MessageFlag.NO_REPLY_EXPECTED, signature="uoss", body=[number, path, f"{name}.service", result],
        )  # fmt: skip
        self.bus.send(signal)

    bus: Any = None


def _path(name: str) -> str:
    return f"{PATH}/unit/" + "".join(
        chr(c) if chr(c).isalnum() and c < 128 else f"_{c:02x}" for c in f"{name}.service".encode()
    )


@asynccontextmanager
async def bus_daemon(directory: Path) -> AsyncIterator[str]:
    """A message bus with nobody on it; its address."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("dbus-daemon is not on this machine (Debian: apt install dbus-daemon)")
    socket, configuration = directory / "bus", directory / "bus.conf"
    configuration.write_text(CONFIGURATION.format(socket=socket))
    process = await asyncio.create_subprocess_exec(
        program, "--nofork", "--print-address", f"--config-file={configuration}", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip()
        assert address, "dbus-daemon did not start"
        yield address
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def systemd_double(directory: Path) -> AsyncIterator[SystemdDouble]:
    """A bus with the double on it."""
    async with bus_daemon(directory) as address:
        double = SystemdDouble(address)
        bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
        double.bus = bus

        def handle(message: Message) -> Message | None:
            if message.message_type is MessageType.METHOD_CALL and message.path and message.path.startswith(PATH):
                return double.answer(message)
            return None

        bus.add_message_handler(handle)
        await bus.request_name(SYSTEMD)
        try:
            yield double
        finally:
            bus.disconnect()
