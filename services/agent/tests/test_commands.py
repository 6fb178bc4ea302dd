"""Commands: done when they are allowed, in time and noted; at most once, wherever the agent is killed."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vigie_agent import settings
from vigie_agent.commander import FAILPOINT, Commander, Order
from vigie_agent.journal import INTERRUPTED, Journal
from vigie_agent.systemd.bus import SystemdBus
from vigie_agent.vigietime import passing
from vigie_contracts.commands import Action, Outcome
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from services.agent.tests.systemd_double import SystemdDouble, Unit, systemd_double
from tests.kit.wait import eventually

ALL = "start,stop,restart"


def order(number: int = 1, service: str = "twoine-a", action: Action = Action.RESTART, ms: int = 60_000) -> Order:
    return Order(f"{number:032x}", service, action, ms)


def commander(systemd: SystemdDouble, directory: Path, allowed: str = ALL) -> tuple[Commander, SystemdBus]:
    found = settings.load({}, host="web-1", state_dir=str(directory), allow_actions=allowed)
    bus = SystemdBus(systemd.address)
    return Commander(found, bus, Journal(directory / "journal")), bus


async def test_services_are_started_stopped_and_restarted_and_failures_are_told(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit(), "twoine-b": Unit(fails=True)}
        agent, bus = commander(systemd, tmp_path)
        for number, action in enumerate((Action.START, Action.RESTART, Action.STOP)):
            result = await agent.do(order(number, action=action))
            assert result is not None
            assert result.outcome is Outcome.DONE
        assert systemd.units["twoine-a"].active == "inactive"
        failed = await agent.do(order(10, "twoine-b", Action.START))
        assert failed is not None
        assert (failed.outcome, failed.message) == (Outcome.FAILED, "systemd says: failed")
        missing = await agent.do(order(11, "twoine-c"))
        assert missing is not None
        assert (missing.outcome, "not found" in missing.message) == (Outcome.REFUSED, True)
        systemd.denied = True
        denied = await agent.do(order(12))
        assert denied is not None
        assert (denied.outcome, "Permission denied" in denied.message) == (Outcome.REFUSED, True)
        bus.close()


async def test_what_is_not_allowed_here_is_refused_whoever_asks(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit(), "ssh": Unit()}
        agent, bus = commander(systemd, tmp_path, "restart")
        stop, foreign = await agent.do(order(1, action=Action.STOP)), await agent.do(order(2, "ssh"))
        assert stop is not None
        assert (stop.outcome, "not allowed on this machine" in stop.message) == (Outcome.REFUSED, True)
        assert foreign is not None
        assert (foreign.outcome, "none of the services" in foreign.message) == (Outcome.REFUSED, True)
        late = await agent.do(order(3, ms=0))
        assert late is not None
        assert late.outcome is Outcome.EXPIRED
        assert systemd.calls == []
        bus.close()


async def test_the_same_command_again_is_answered_and_not_done(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units, systemd.delay_s = {"twoine-a": Unit()}, 0.2
        agent, bus = commander(systemd, tmp_path)
        first, meanwhile = await asyncio.gather(agent.do(order()), agent.do(order()))
        assert {one.outcome if one else None for one in (first, meanwhile)} == {Outcome.DONE, None}
        assert await agent.do(order()) == (first or meanwhile)
        assert systemd.calls == [("RestartUnit", "twoine-a")]
        bus.close()


async def test_without_a_bus_nothing_is_done_and_that_is_said(tmp_path: Path) -> None:
    agent, _ = commander(SystemdDouble(f"unix:path={tmp_path}/none"), tmp_path)
    result = await agent.do(order())
    assert result is not None
    assert (result.outcome, "no system bus" in result.message) == (Outcome.REFUSED, True)


@dataclass
class Push:
    """The other end of the agent's connection: tells what waits until its result has come, as push does."""

    url: str = ""
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    acknowledges: bool = True
    connections: int = 0
    sockets: list[ServerConnection] = field(default_factory=list)
    ahead_s: float = 0.0
    """Of the clock of this machine."""
    tells_time: bool = True
    pings: int = 0

    def give(self, one: Order) -> None:
        data = {"id": one.id, "service": one.service, "action": one.action.value, "expiresInMs": one.expires_in_ms}
        self.waiting[one.id] = data | ({} if one.expires_at is None else {"expiresAt": one.expires_at})

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The configuration."""
        if not request.path.startswith("/api/agents/config"):
            return None
        return connection.respond(HTTPStatus.OK, "{}")

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.sockets.append(socket)
        self.keys.append(socket.request.headers.get("authorization") if socket.request else None)
        await socket.send('{"type":"welcome","connection":"c","heartbeatMs":25000}')
        self.asked.append(json.loads(await socket.recv()))
        await socket.send('{"type":"subscribed","subscription":"1","channel":"commands"}')
        telling = asyncio.create_task(self._tell(socket))
        try:
            async for text in socket:
                said = json.loads(text)
                if said["type"] == "ping":
                    self.pings += 1
                    if self.tells_time:
                        now_ms = round((time.time() + self.ahead_s) * 1000)
                        await socket.send(json.dumps({"type": "pong", "id": said["id"], "timestamp": now_ms}))
                    continue
                self.results.append(said)
                if self.acknowledges:
                    self.waiting.pop(said["id"], None)
                    await socket.send(json.dumps({"type": "ack", "id": said["id"]}))
        finally:
            telling.cancel()

    async def _tell(self, socket: ServerConnection) -> None:
        while True:
            for data in list(self.waiting.values()):
                await socket.send(json.dumps({"type": "command", "data": data}))
            await asyncio.sleep(0.1)  # as push polls its store


@asynccontextmanager
async def push() -> AsyncIterator[Push]:
    state = Push()
    async with serve(state.handle, "127.0.0.1", 0, process_request=state.answer) as server:
        state.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield state


@asynccontextmanager
async def agent_process(
    door: Push, systemd: SystemdDouble, directory: Path, failpoint: str = "", *, heard: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **os.environ, "VIGIE_URL": door.url, "VIGIE_API_KEY": "vk_agent", "VIGIE_AGENT_HOST": "web-1",
        "VIGIE_AGENT_STATE_DIR": str(directory), "VIGIE_AGENT_ALLOW_ACTIONS": ALL,
        "DBUS_SYSTEM_BUS_ADDRESS": systemd.address, FAILPOINT: failpoint,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vigie_agent", "run", env=environment,
        stdout=asyncio.subprocess.PIPE if heard else asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("failpoint", "done", "outcome"),
    [
        ("after_begin", 0, Outcome.UNKNOWN),
        ("after_done", 1, Outcome.UNKNOWN),
        ("after_end", 1, Outcome.DONE),
    ],
)
async def test_an_agent_that_is_killed_does_nothing_twice(
    tmp_path: Path, failpoint: str, done: int, outcome: Outcome
) -> None:
    async with systemd_double(tmp_path) as systemd, push() as door:
        systemd.units = {"twoine-a": Unit()}
        door.give(order())
        async with agent_process(door, systemd, tmp_path / "state", failpoint) as process:
            assert await asyncio.wait_for(process.wait(), 30) == 137
        assert len(systemd.calls) == done
        assert door.results == []
        async with agent_process(door, systemd, tmp_path / "state"):
            await eventually(lambda: door.results and not door.waiting)
        assert len(systemd.calls) == done, "never twice"
        assert {one["outcome"] for one in door.results} == {outcome.value}
        assert (INTERRUPTED in door.results[0]["text"]) is (outcome is Outcome.UNKNOWN)


@pytest.mark.fault
async def test_a_push_that_goes_before_it_acknowledges_gets_the_result_when_it_is_back(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd, push() as door:
        systemd.units, door.acknowledges = {"twoine-a": Unit()}, False
        door.give(order())
        async with agent_process(door, systemd, tmp_path / "state"):
            await eventually(lambda: door.results)
            door.acknowledges = True
            for socket in door.sockets:
                await socket.close(1012, "restarts")
            await eventually(lambda: not door.waiting)
        assert door.connections >= 2
        assert door.asked[0] == {"type": "subscribe", "channel": "commands", "host": "web-1"}
        assert set(door.keys) == {"Bearer vk_agent"}
        assert systemd.calls == [("RestartUnit", "twoine-a")]
        assert {one["outcome"] for one in door.results} == {"done"}


@pytest.mark.fault
@pytest.mark.parametrize("ahead_s", [0.0, 3600.0, -3600.0], ids=["same", "an hour ahead", "an hour behind"])
async def test_a_frozen_agent_that_thaws_does_nothing_that_is_over(tmp_path: Path, ahead_s: float) -> None:
    """Whatever its clock shows: what was told to it while it was frozen looks new to it."""
    async with systemd_double(tmp_path) as systemd, push() as door:
        systemd.units, door.ahead_s = {"twoine-a": Unit()}, ahead_s

        def by_vigie(one: Order, life_s: float) -> Order:
            return msgspec.structs.replace(one, expires_at=round((time.time() + ahead_s + life_s) * 1000))

        async with agent_process(door, systemd, tmp_path / "state") as process:
            door.give(by_vigie(order(1), 60))
            await eventually(lambda: len(door.results) == 1)
            process.send_signal(signal.SIGSTOP)
            door.give(by_vigie(order(2), 2.5))
            door.give(by_vigie(order(3), 60))
            await asyncio.sleep(2.6)  # by the clock that is the subject
            process.send_signal(signal.SIGCONT)
            await eventually(lambda: not door.waiting)
        outcomes = {one["id"]: one["outcome"] for one in door.results}
        assert outcomes == {order(1).id: "done", order(2).id: "expired", order(3).id: "done"}
        assert systemd.calls == [("RestartUnit", "twoine-a")] * 2


@pytest.mark.fault
async def test_what_is_over_before_systemd_is_asked_is_not_done(tmp_path: Path) -> None:
    """Frozen after it was noted: nothing was done, and nothing is."""
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit()}
        agent, bus = commander(systemd, tmp_path)
        passes = iter([0.0, 0.0, 500.0])
        agent._clock = lambda: next(passes)  # type: ignore[method-assign]
        late = await agent.do(order())
        assert late is not None
        assert late.outcome is Outcome.EXPIRED
        agent._clock = lambda: 0.0  # type: ignore[method-assign]
        assert await agent.do(order()) == late, "not later either"
        assert systemd.calls == []
        bus.close()


async def test_nothing_is_begun_while_nothing_is_known_of_vigies_clock(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit()}
        agent, bus = commander(systemd, tmp_path)
        timed = msgspec.structs.replace(order(), expires_at=1_800_000_000_000)
        assert await agent.do(timed) is None
        agent.vigie.learn(1_800_000_000_000 - 60_000, passing())
        done = await agent.do(timed)
        assert done is not None
        assert done.outcome is Outcome.DONE
        bus.close()


async def test_what_is_late_says_by_how_much_and_by_which_clock(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd:
        systemd.units = {"twoine-a": Unit()}
        agent, bus = commander(systemd, tmp_path)
        agent.vigie.learn(1_800_000_002_500, passing())
        late = await agent.do(msgspec.structs.replace(order(), expires_at=1_800_000_000_000))
        assert late is not None
        assert (late.outcome, "2.5 s too late by Vigie's clock" in late.message) == (Outcome.EXPIRED, True)
        assert systemd.calls == []
        bus.close()


@pytest.mark.fault
async def test_a_command_that_was_kept_on_its_way_is_not_begun_by_an_old_answer(tmp_path: Path) -> None:
    """As it is when the host of a virtual machine pauses it: no clock of the machine goes on meanwhile."""
    async with systemd_double(tmp_path) as systemd, push() as door:
        systemd.units = {"twoine-a": Unit()}
        async with agent_process(door, systemd, tmp_path / "state"):
            door.give(msgspec.structs.replace(order(1), expires_at=round((time.time() + 60) * 1000)))
            await eventually(lambda: len(door.results) == 1)
            door.ahead_s = 300.0  # so long it was paused, and does not know it
            door.give(msgspec.structs.replace(order(2), expires_at=round((time.time() + 60) * 1000)))
            await eventually(lambda: not door.waiting)
        assert [one["outcome"] for one in door.results if one["id"] == order(2).id][:1] == ["expired"]
        assert systemd.calls == [("RestartUnit", "twoine-a")]


@pytest.mark.fault
async def test_a_command_waits_until_vigie_says_what_time_it_is(tmp_path: Path) -> None:
    async with systemd_double(tmp_path) as systemd, push() as door:
        systemd.units, door.tells_time = {"twoine-a": Unit()}, False
        door.give(order())
        async with agent_process(door, systemd, tmp_path / "state", heard=True) as process:
            assert process.stdout is not None
            async with asyncio.timeout(30):
                while b"does not say what time it is" not in await process.stdout.readline():
                    pass
            assert (door.pings, door.results, systemd.calls) == (1, [], [])
            door.tells_time = True
            for socket in door.sockets:
                await socket.close(1012, "restarts")
            await eventually(lambda: not door.waiting)
        assert systemd.calls == [("RestartUnit", "twoine-a")]
