"""systemd's manager on the system bus: which units there are, their properties, and jobs on them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from vigie_agent.errors import BusAwayError
from vigie_agent.patterns import SUFFIX

SYSTEMD: Final = "org.freedesktop.systemd1"
PATH: Final = "/org/freedesktop/systemd1"
MANAGER: Final = f"{SYSTEMD}.Manager"
UNIT: Final = f"{SYSTEMD}.Unit"
SERVICE: Final = f"{SYSTEMD}.Service"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
CALL_S: Final = 5.0
"""The longest that one call may take."""
MAX_UNITS: Final = 5_000
_UNSET: Final = (1 << 64) - 1
"""How systemd says that it does not count something."""
_ALIASES: Final = frozenset({"alias", "bad"})


class BusRefusedError(Exception):
    """systemd, or the bus, does not do what it was asked."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name
        """That of the D-Bus error."""


class JobLostError(BusAwayError):
    """The bus went away after systemd was asked: nobody knows what became of it."""


class UnitStatus(NamedTuple):
    """A unit, without `.service`. `path` is empty of one that is not loaded."""

    name: str
    active: str
    sub: str
    path: str


MAX_EARLY: Final = 64
"""Ends of jobs that are kept for whoever is just being told the job's name."""


class SystemdBus:
    """One connection, made when it is needed and again after it broke. For one event loop."""

    def __init__(self, address: str | None = None) -> None:
        """`address` of the bus; None: the system's (DBUS_SYSTEM_BUS_ADDRESS)."""
        self._address = address
        self._bus: MessageBus | None = None
        self._connecting = asyncio.Lock()
        self._jobs: dict[str, asyncio.Future[str]] = {}
        self._early: dict[str, str] = {}

    async def units(self, patterns: Sequence[str]) -> list[UnitStatus]:
        """The services whose names match, those that are only installed too. Raises BusAwayError, BusRefusedError."""
        wanted = [f"{one}{SUFFIX}" for one in patterns]
        listed = await self.call(MANAGER, "ListUnitsByPatterns", "asas", [[], wanted])
        found = {
            unit[0].removesuffix(SUFFIX): UnitStatus(unit[0].removesuffix(SUFFIX), unit[3], unit[4], unit[6])
            for unit in listed[0][:MAX_UNITS]
            if unit[0].endswith(SUFFIX) and unit[2] != "not-found"
        }
        try:
            files = await self.call(MANAGER, "ListUnitFilesByPatterns", "asas", [[], wanted])
        except BusRefusedError:  # a manager that is older, or somebody who may not
            return list(found.values())
        for path, state in files[0][:MAX_UNITS]:
            name = str(path).rpartition("/")[2].removesuffix(SUFFIX)
            if state not in _ALIASES and not name.endswith("@"):
                found.setdefault(name, UnitStatus(name, "inactive", "dead", ""))
        return list(found.values())

    async def get(self, path: str, interface: str, name: str) -> Any:
        """A property; None when systemd does not count it. Raises BusAwayError, BusRefusedError."""
        [variant] = await self.call(PROPERTIES, "Get", "ss", [interface, name], path)
        return None if variant.value == _UNSET else variant.value

    async def job(self, method: str, name: str, timeout: float) -> str:
        """`StartUnit`, `StopUnit` or `RestartUnit`, and how the job ended: `done`, `failed`, `timeout`, ... Raises
        BusAwayError, BusRefusedError: nothing was done; JobLostError; TimeoutError when the job goes on."""
        await self.call(MANAGER, "Subscribe", "", [])
        try:
            [path] = await self.call(MANAGER, method, "ss", [f"{name}{SUFFIX}", "replace"])
        except BusAwayError as e:
            raise JobLostError(str(e)) from None
        if (result := self._early.pop(path, None)) is not None:
            return result
        future = self._jobs[path] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._jobs.pop(path, None)

    async def call(self, interface: str, member: str, signature: str, body: list[Any], path: str = PATH) -> list[Any]:
        """A method of systemd's. Raises BusAwayError, BusRefusedError."""
        bus = await self._connected()
        message = Message(SYSTEMD, path, interface, member, signature=signature, body=body)
        try:
            async with asyncio.timeout(CALL_S):
                reply = await bus.call(message)
        except TimeoutError:
            raise BusAwayError(f"{member} was not answered within {CALL_S:g} s") from None
        except (OSError, EOFError, DBusError) as e:
            self.close()
            raise BusAwayError(str(e) or "the bus has closed the connection") from None
        if reply is None:
            raise BusAwayError("the bus has closed the connection")
        if reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply.body else ""
            if reply.error_name in _NOBODY:
                raise BusAwayError(f"no systemd on the bus: {text or reply.error_name}")
            raise BusRefusedError(reply.error_name or "", text)
        return reply.body

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        bus, self._bus = self._bus, None
        self._early.clear()
        if bus is not None and bus.connected:
            bus.disconnect()
        for future in self._jobs.values():
            if not future.done():
                future.set_exception(JobLostError("the bus went away while the job was done"))

    async def _connected(self) -> MessageBus:
        async with self._connecting:
            if self._bus is not None and self._bus.connected:
                return self._bus
            self.close()
            try:
                async with asyncio.timeout(CALL_S):
                    bus = await MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM).connect()
                    await bus.call(_match_jobs())
            except TimeoutError:
                raise BusAwayError("the system bus does not answer") from None
            except (OSError, EOFError, AuthError, InvalidAddressError, DBusError) as e:
                raise BusAwayError(f"no system bus: {getattr(e, 'strerror', None) or e}") from None
            bus.add_message_handler(self._signal)
            self._bus = bus
            return bus

    def _signal(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member == "JobRemoved" and message.path == PATH:
            _, path, _, result = message.body
            future = self._jobs.get(path)
            if future is None:
                self._early[path] = result  # of jobs of others too
                while len(self._early) > MAX_EARLY:
                    del self._early[next(iter(self._early))]
            elif not future.done():
                future.set_result(result)


_NOBODY: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.Disconnected",
    }
)
"""Errors of the bus that say that systemd is not there."""


def _match_jobs() -> Message:
    rule = f"type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved',path='{PATH}'"
    bus = "org.freedesktop.DBus"
    return Message(bus, "/org/freedesktop/DBus", bus, "AddMatch", signature="s", body=[rule])
