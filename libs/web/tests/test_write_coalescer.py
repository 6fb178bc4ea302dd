"""Writes of one turn of the event loop are one, in order, and none is lost."""

import asyncio

import pytest
from vigie_web.connection import WriteCoalescer


class Recorder:
    """A transport that writes down what is done with it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def get_extra_info(self, name: str) -> str:
        return name


@pytest.fixture
async def pair() -> tuple[Recorder, WriteCoalescer]:
    recorder = Recorder()
    return recorder, WriteCoalescer(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_writes_of_one_turn_are_sent_as_one(pair: tuple[Recorder, WriteCoalescer]) -> None:
    recorder, joined = pair
    joined.write(b"head")
    joined.write(b"body")
    assert recorder.done == []
    await turn()
    joined.write(b"next")
    await turn()
    assert recorder.done == [b"headbody", b"next"]


async def test_much_is_sent_at_once_and_in_order(pair: tuple[Recorder, WriteCoalescer]) -> None:
    recorder, joined = pair
    large = bytes(1 << 20)
    joined.write(b"head")
    joined.write(large)
    assert recorder.done == [b"head" + large]
    await turn()
    assert len(recorder.done) == 1


async def test_close_sends_what_is_held_and_abort_does_not(pair: tuple[Recorder, WriteCoalescer]) -> None:
    recorder, joined = pair
    joined.write(b"last")
    joined.close()
    joined.write(b"too late")
    await turn()
    assert recorder.done == [b"last", "close"]
    recorder.done.clear()
    joined.write(b"dropped")
    joined.abort()
    await turn()
    assert recorder.done == ["abort"]
    assert joined.get_extra_info("peername") == "peername"
