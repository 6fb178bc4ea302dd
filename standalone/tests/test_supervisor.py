"""The supervisor: order, restarts, giving up, stopping."""

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.redis import Redis
from vigie_standalone.errors import ProcessError
from vigie_standalone.supervisor import GaveUpError, RestartPolicy, Supervisor, Unit

from tests.kit import eventually

QUICK = RestartPolicy(first_s=0.05, longest_s=0.1, limit=3)


class Stage:
    """Processes that tell what they do, and a supervisor that is heard."""

    def __init__(self, directory: Path, policy: RestartPolicy = QUICK) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.lines: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(lambda message, _level: self.said.append(message), policy, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def unit(self, name: str, code: str, *, essential: bool = True) -> Unit:
        ready = self.directory / f"{name}.ready"
        body = f"import time, sys, pathlib, signal\n{code.replace('READY', f'pathlib.Path({str(ready)!r}).touch()')}"
        process = Process(
            name,
            [sys.executable, "-u", "-c", body],
            log_path=self.directory / f"{name}.log",
            ready=ready.exists,
            on_line=lambda line: self.lines.append(f"{name}: {line}"),
        )
        return Unit(process, essential=essential, start_timeout_s=20, stop_grace_s=5)


STAY = "READY; time.sleep(60)"
SAY_GOODBYE = "signal.signal(15, lambda *_: (print('bye'), sys.exit(0))); READY; time.sleep(60)"


async def test_units_stop_in_reverse_order(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for name in ("first", "second"):
        await stage.supervisor.start(stage.unit(name, SAY_GOODBYE))
    await stage.supervisor.stop()
    await eventually(lambda: len(stage.lines) == 2)
    assert stage.lines == ["second: bye", "first: bye"]


async def test_killed_unit_is_started_again_and_the_change_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    unit = stage.unit("worker", STAY)
    await stage.supervisor.start(unit)
    first = unit.process.pid
    unit.process.kill()
    await eventually(lambda: unit.process.alive and unit.process.pid != first)
    await eventually(lambda: stage.changes == 1)
    assert any("starting it again" in message for message in stage.said)
    await stage.supervisor.stop()
    assert not unit.process.alive


async def test_essential_unit_that_keeps_failing_ends_everything_with_its_log(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.supervisor.start(stage.unit("broken", "READY; time.sleep(0.2); print('no disk'); sys.exit(4)"))
    with pytest.raises(GaveUpError, match=r"(?s)broken failed 4 times in a row.*ended with code 4.*no disk"):
        await asyncio.wait_for(stage.supervisor.failed(), 30)
    await stage.supervisor.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_unit_that_is_killed_from_outside_is_started_again_for_ever(tmp_path: Path, number: int) -> None:
    stage = Stage(tmp_path)
    unit = stage.unit("worker", "READY; signal.signal(2, lambda *_: sys.exit(130)); time.sleep(60)")
    await stage.supervisor.start(unit)
    watching = asyncio.create_task(stage.supervisor.failed())
    for kills in range(1, QUICK.limit + 3):
        await eventually(lambda kills=kills: stage.changes == kills - 1 and unit.process.alive)
        unit.process.signal(number)
        await eventually(lambda kills=kills: stage.changes == kills)
    assert not watching.done()
    watching.cancel()
    await stage.supervisor.stop()


@pytest.mark.connected
async def test_real_server_that_is_killed_again_and_again_comes_back(tmp_path: Path) -> None:
    stage, redis = Stage(tmp_path), Redis(tmp_path / "redis")
    await asyncio.to_thread(redis.start)
    assert redis.process is not None
    stage.supervisor.watch(Unit(redis.process))
    for kills in range(1, QUICK.limit + 3):
        await asyncio.to_thread(redis.process.kill)
        await eventually(lambda kills=kills: stage.changes == kills)
    await stage.supervisor.stop()


async def test_own_failures_between_which_a_unit_ran_well_are_not_in_a_row(tmp_path: Path) -> None:
    stage = Stage(tmp_path, replace(QUICK, healthy_s=0.1))
    unit = stage.unit("worker", "READY; time.sleep(0.15); sys.exit(4)")
    await stage.supervisor.start(unit)
    watching = asyncio.create_task(stage.supervisor.failed())
    await eventually(lambda: stage.changes > 2 * QUICK.limit)
    assert not watching.done()
    watching.cancel()
    await stage.supervisor.stop()


async def test_unit_that_fails_late_and_was_never_ready_is_tried_ever_less_often_and_says_why(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RestartPolicy(first_s=0.01, longest_s=0.04, healthy_s=0.1, limit=1))
    began = tmp_path / "began"
    code = f"""
again = pathlib.Path({str(began)!r}).exists()
pathlib.Path({str(began)!r}).touch()
if not again:
    READY
    time.sleep(60)
time.sleep(0.3)
print('no Kafka')
sys.exit(4)
"""
    unit = stage.unit("worker", code)
    await stage.supervisor.start(unit)
    (tmp_path / "worker.ready").unlink()
    unit.process.kill()
    watching = asyncio.create_task(stage.supervisor.failed())
    await eventually(lambda: sum("no Kafka" in message for message in stage.said) >= 4)
    assert not watching.done()
    delays = [message.rpartition(" in ")[2] for message in stage.said if "starting it again" in message]
    assert delays[:4] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]
    watching.cancel()
    await stage.supervisor.stop()


async def test_unit_that_crashes_by_itself_is_given_up_with_the_signal(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.supervisor.start(stage.unit("broken", "import os; READY; time.sleep(0.2); os.abort()"))
    with pytest.raises(GaveUpError, match=r"4 times in a row.* was ended by SIGABRT"):
        await asyncio.wait_for(stage.supervisor.failed(), 30)
    await stage.supervisor.stop()


async def test_optional_unit_that_keeps_failing_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.supervisor.start(stage.unit("worker", STAY))
    await stage.supervisor.start(stage.unit("extra", "READY; time.sleep(0.1); sys.exit(1)", essential=False))
    watching = asyncio.create_task(stage.supervisor.failed())
    await eventually(lambda: any("left alone" in message for message in stage.said))
    assert not watching.done()
    watching.cancel()
    await stage.supervisor.stop()


async def test_unit_that_cannot_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(ProcessError, match=r"(?s)ended with code 2.*Set MONGODB_URI"):
        await stage.supervisor.start(stage.unit("worker", "print('Set MONGODB_URI'); sys.exit(2)"))


def test_delays_double_up_to_a_bound() -> None:
    policy = RestartPolicy(first_s=0.5, longest_s=15)
    assert [policy.delay(n) for n in (1, 2, 3, 10, 5_000)] == [0.5, 1.0, 2.0, 15, 15]
