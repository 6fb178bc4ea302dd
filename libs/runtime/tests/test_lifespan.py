"""A worker comes up in steps, goes down in reverse, within its time, and says so."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vigie_runtime import lifespan
from vigie_runtime.errors import Retryable, StoreUnavailable, VigieError
from vigie_runtime.lifespan import Lifespan, patiently

PROGRAM = str(Path(__file__).with_name("worker_process.py"))


async def test_steps_go_down_in_reverse_even_when_one_fails() -> None:
    order: list[str] = []

    async def down(name: str) -> None:
        order.append(name)
        if name == "b":
            raise ValueError

    async with Lifespan(5) as life:
        for name in "abc":
            await life.up(name, asyncio.sleep(0))
            life.on_down(name, lambda name=name: down(name))
    assert order == ["c", "b", "a"]


async def test_a_step_that_hangs_is_cut_off_and_the_others_still_go_down() -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("first")

    async with asyncio.timeout(5):
        async with Lifespan(0.2) as life:
            life.on_down("first", close)
            life.on_down("hangs", lambda: asyncio.sleep(60))  # never waited for: it is cut off
    assert closed == ["first"]


async def test_a_part_that_fails_ends_the_service() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async with Lifespan(1) as life:
        life.run("broken", broken(), lambda: None)
        with pytest.raises(ZeroDivisionError):
            await life.wait(asyncio.Event())


class Step:
    """Of a start: it fails so and so, one error after the other, and then goes well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def take(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "taken"


async def test_a_step_of_the_start_is_taken_again_while_the_store_is_away_or_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifespan, "_PAUSE_S", 0)
    step = Step(StoreUnavailable(), Retryable("stepping down"), StoreUnavailable())
    assert await patiently("preparing", step.take) == "taken"


@pytest.mark.parametrize("error", [StoreUnavailable(), Retryable("stepping down")])
async def test_a_start_is_given_up_with_what_the_store_said_last_when_time_is_over(error: Exception) -> None:
    step = Step(error, error)
    with pytest.raises(type(error)):
        await patiently("preparing", step.take, deadline_s=0)
    assert len(step.errors) == 1


async def test_what_time_does_not_heal_ends_the_start_at_once() -> None:
    step = Step(VigieError("another number of partitions"))
    with pytest.raises(VigieError):
        await patiently("preparing", step.take)


def start(how: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, PROGRAM, how], stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], message: str) -> list[str]:
    messages: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        messages.append(json.loads(line)["message"])
        if messages[-1] == message:
            return messages
    raise AssertionError(f"never said {message!r}: {messages}")


@pytest.mark.parametrize(("how", "ready", "code"), [("", "ready", 0), ("slow", "ready", 0), ("hang", "up", 0)])
def test_a_signal_stops_a_worker_within_its_time(how: str, ready: str, code: int) -> None:
    process = start(how)
    try:
        wait_for(process, ready)
        process.send_signal(signal.SIGTERM)
        rest = wait_for(process, "stopped")
        assert process.wait(10) == code
        assert any(message.startswith("down") for message in rest)
    finally:
        process.kill()


def test_a_worker_whose_part_fails_exits_with_an_error() -> None:
    process = start("fail")
    try:
        wait_for(process, "the service failed")
        assert process.wait(10) == 1
    finally:
        process.kill()
