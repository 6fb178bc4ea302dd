"""Keeps processes running: started in order, each when the one before is ready; restarted with back-off; stopped in
reverse order within a bound."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import ProcessError, StandaloneError

POLL_S = 0.2


class GaveUpError(StandaloneError):
    """A process that Vigie cannot do without fails by itself whenever it is started."""

    def __init__(self, process: Process, failures: int) -> None:
        super().__init__(
            f"{process.name} failed {failures} times in a row, each time by itself and soon after its start; the last "
            f"time it {process.ending}. So Vigie stops. Its data is kept; `vigie up` tries again.\n"
            f"The end of its log:\n{process.log_tail() or '(empty)'}"
        )


@dataclass(frozen=True)
class RestartPolicy:
    """Delays double from `first_s` to `longest_s`; a run of `healthy_s`, from when it was ready, starts them anew.

    Only what fails by itself, sooner than that after its start, `limit` times in a row and then once more, is given up.
    A process that is killed from outside is started again for ever; so is one that fails later, which may have waited
    for another all the time.
    """

    first_s: float = 0.5
    longest_s: float = 15.0
    healthy_s: float = 20.0
    limit: int = 8

    def delay(self, failures: int) -> float:
        """Seconds to wait before the restart that follows the `failures`-th failure in a row (from 1)."""
        doubled = min(failures - 1, 30)  # without a bound the power is no float any more after half a day
        return min(self.longest_s, self.first_s * 2**doubled)


@dataclass(frozen=True)
class Unit:
    """One supervised process. Without an optional one the others go on."""

    process: Process
    essential: bool = True
    start_timeout_s: float = 90.0
    stop_grace_s: float = 15.0


Say = Callable[[str, str], None]
"""(message, level)"""


class Supervisor:
    """Runs units until told to stop."""

    def __init__(
        self, say: Say, policy: RestartPolicy | None = None, changed: Callable[[], None] | None = None
    ) -> None:
        """`changed` is called after every restart: process ids are new then."""
        self._changed = changed or (lambda: None)
        self._say = say
        self._policy = policy or RestartPolicy()
        self._watched: list[tuple[Unit, asyncio.Task[None]]] = []
        self._starting: list[Unit] = []

    @property
    def units(self) -> list[Unit]:
        """What is watched, in starting order."""
        return [unit for unit, _ in self._watched]

    async def start(self, *units: Unit) -> None:
        """Start units side by side, wait until all are ready, and watch them from then on. Raises ProcessError."""
        for unit in units:
            unit.process.launch()
            self._starting.append(unit)
        for unit in units:
            await asyncio.to_thread(unit.process.wait_ready, unit.start_timeout_s)
            self._say(f"{unit.process.name} is ready", "info")
            self._starting.remove(unit)
            self.watch(unit)

    def watch(self, unit: Unit) -> None:
        """Keep an already started unit running."""
        self._watched.append((unit, asyncio.create_task(self._keep(unit), name=f"watch-{unit.process.name}")))

    async def failed(self) -> None:
        """Wait for ever; raises GaveUpError when an essential unit cannot be kept running."""
        done, _ = await asyncio.wait([task for _, task in self._watched], return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop every unit, last started first, each within its grace."""
        for unit in reversed(self._starting):  # its start failed, or was cut short
            await asyncio.to_thread(unit.process.stop, unit.stop_grace_s)
        self._starting = []
        for unit, task in reversed(self._watched):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if unit.process.alive:
                begin = time.monotonic()
                await asyncio.to_thread(unit.process.stop, unit.stop_grace_s)
                self._say(f"{unit.process.name} stopped in {time.monotonic() - begin:.1f} s", "info")
        self._watched = []

    def kill(self) -> None:
        """SIGKILL everything, at once."""
        for unit in self._starting:
            unit.process.kill()
        for unit, task in self._watched:
            task.cancel()
            unit.process.kill()

    async def _keep(self, unit: Unit) -> None:
        policy, process = self._policy, unit.process
        restarts = failures = 0  # in a row, and those of them that were its own
        began = time.monotonic()
        ready: float | None = began
        while True:
            while process.alive:  # noqa: ASYNC110 - nothing tells of a child's end without a thread each
                await asyncio.sleep(POLL_S)
            now = time.monotonic()
            restarts = 1 if ready is not None and now - ready >= policy.healthy_s else restarts + 1
            failures = failures + 1 if process.failed and now - began < policy.healthy_s else 0
            if failures > policy.limit:
                await self._give_up(unit, failures)
            delay = policy.delay(restarts)
            # What was not ready has been reported with its log.
            tail = process.log_tail() if process.failed and ready is not None else ""
            why = f"\nThe end of its log:\n{tail}" if tail else ""
            self._say(f"{process.name} {process.ending}; starting it again in {delay:g} s{why}", "warning")
            await asyncio.sleep(delay)
            began = time.monotonic()
            ready = time.monotonic() if await self._restart(unit) else None

    async def _restart(self, unit: Unit) -> bool:
        """Whether it became ready."""
        try:
            await asyncio.to_thread(unit.process.start, unit.start_timeout_s)
        except ProcessError as error:
            self._say(str(error), "error")
            return False
        self._say(f"{unit.process.name} runs again (process {unit.process.pid})", "info")
        self._changed()
        return True

    async def _give_up(self, unit: Unit, failures: int) -> None:
        if unit.essential:
            raise GaveUpError(unit.process, failures)
        self._say(f"{unit.process.name} failed {failures} times in a row and is left alone", "error")
        await asyncio.Event().wait()  # until it is cancelled with the others
