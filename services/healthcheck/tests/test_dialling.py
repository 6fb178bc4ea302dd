"""A dead address of a host does not use up the deadline, and no socket is left."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import warnings

import pytest
from vigie_healthcheck.probes import dialling
from vigie_healthcheck.probes.dialling import dial, interleaved

from services.healthcheck.tests.servers import hangs, server

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

    async def connect(_address: str, _port: int) -> socket.socket:
        await both.wait()
        made.append(socket.socket())
        return made[-1]

    monkeypatch.setattr(dialling, "_connect", connect)
    monkeypatch.setattr(dialling, "DELAY_S", 0.01)
    dialled = asyncio.ensure_future(dial(["10.0.0.1", "10.0.0.2"], 1))
    await asyncio.sleep(0.05)
    both.set()
    won = await dialled
    await asyncio.sleep(0.01)
    assert [one.fileno() >= 0 for one in made].count(True) == 1
    assert won.fileno() >= 0
    won.close()


async def test_cancelling_closes_what_was_being_connected() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    full = [socket.create_connection(("127.0.0.1", port))]  # the queue is full: the next ones hang
    dialling_ = [asyncio.ensure_future(dial(["127.0.0.1"], port)) for _ in range(4)]
    await asyncio.sleep(0.05)
    for task in dialling_:
        task.cancel()
    done = await asyncio.gather(*dialling_, return_exceptions=True)
    for made in done:
        if isinstance(made, socket.socket):
            made.close()
    assert any(isinstance(one, asyncio.CancelledError) for one in done)
    await asyncio.sleep(0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()
    for one in (*full, listener):
        one.close()


def test_families_take_turns() -> None:
    assert interleaved(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert interleaved(["1.1.1.1", "2.2.2.2", "::1"]) == ["1.1.1.1", "::1", "2.2.2.2"]
    assert interleaved(["::1"]) == ["::1"]
