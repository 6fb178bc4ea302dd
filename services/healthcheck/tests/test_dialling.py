"""A dead address of a host does not use up the deadline, and no socket is left."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from vigie_healthcheck.probes import dialling
from vigie_healthcheck.probes.dialling import dial, interleaved

from services.healthcheck.tests.servers import hangs, server
from tests.kit.wait import eventually

REAL = dialling._connect


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is connected to. `10.0.0.x` never answers, `10.0.1.x` refuses; whatever else is real."""
    tried: list[str] = []

    async def connect(address: str, port: int) -> socket.socket:
        tried.append(address)
        if address.startswith("10.0.0."):
            await asyncio.Event().wait()
        if address.startswith("10.0.1."):
            raise ConnectionRefusedError
        return await REAL(address, port)

    monkeypatch.setattr(dialling, "_connect", connect)
    return tried


async def test_a_dead_first_address_costs_a_quarter_of_a_second(dialled: list[str]) -> None:
    before = asyncio.all_tasks()
    async with server(hangs) as target:
        began = time.monotonic()
        (await dial(["10.0.0.1", "127.0.0.1"], target.port)).close()
        assert 0.2 < time.monotonic() - began < 2.0
        await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() - before if "_connect" in repr(task)] == []


async def test_a_refused_address_costs_nothing(dialled: list[str]) -> None:
    async with server(hangs) as target:
        began = time.monotonic()
        (await dial(["10.0.1.1", "10.0.1.2", "127.0.0.1"], target.port)).close()
        assert time.monotonic() - began < 0.2
    assert dialled == ["10.0.1.1", "10.0.1.2", "127.0.0.1"]


async def test_no_more_than_eight_addresses_are_tried(dialled: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await dial([f"10.0.1.{i}" for i in range(20)], 1)
    assert len(dialled) == 8


async def test_the_loser_of_a_race_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    both = asyncio.Event()

    waiting = 0

    async def connect(_address: str, _port: int) -> socket.socket:
        nonlocal waiting
        waiting += 1
        await both.wait()
        made.append(socket.socket())
        return made[-1]

    monkeypatch.setattr(dialling, "_connect", connect)
    monkeypatch.setattr(dialling, "DELAY_S", 0.01)
    dialled = asyncio.ensure_future(dial(["10.0.0.1", "10.0.0.2"], 1))
    await eventually(lambda: waiting == 2)
    both.set()
    won = await dialled
    await eventually(lambda: [one.fileno() >= 0 for one in made] == [one is won for one in made])
    assert len(made) == 2
    won.close()


async def test_cancelling_closes_what_was_being_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    async def never(one: socket.socket, _address: object) -> None:
        made.append(one)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    monkeypatch.setattr(dialling, "DELAY_S", 0.01)
    dialled = asyncio.ensure_future(dial(["10.0.0.1", "10.0.0.2"], 1))
    await eventually(lambda: len(made) == 2)
    dialled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialled
    await eventually(lambda: all(one.fileno() < 0 for one in made))


def test_families_take_turns() -> None:
    assert interleaved(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert interleaved(["1.1.1.1", "2.2.2.2", "::1"]) == ["1.1.1.1", "::1", "2.2.2.2"]
    assert interleaved(["::1"]) == ["::1"]
