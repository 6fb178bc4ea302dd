"""Start and stop of a service: named steps, undone in reverse order, each logged, the whole with a time-out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar

from vigie_runtime import logging
from vigie_runtime.errors import Retryable, StoreUnavailable, VigieError, reason_of

log = logging.get(__name__)

T = TypeVar("T")
EXIT_FAILED: Final = 1
EXIT_FORCED: Final = 130
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

START_S: Final = 60.0
"""So long a step of a start waits for a store that is away, or busy: services start together, and with it."""
_PAUSE_S: Final = 0.5

Down = Callable[[], Awaitable[object]]


async def patiently(doing: str, work: Callable[[], Awaitable[T]], deadline_s: float = START_S) -> T:
    """Do a step of a start, and again until the store lets it. MongoDB may start at the same moment as its services,
    and be slow while all of them make their collections. A service that ended would be started anew, but whoever waits
    for it would have given it up. What `work` has done in part is done again.

    Raises Retryable or StoreUnavailable when time is up."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            return await work()
        except (Retryable, StoreUnavailable) as e:
            if time.monotonic() >= end:
                raise
            log.warning("waiting for MongoDB", step=doing, reason=reason_of(e))
            await asyncio.sleep(_PAUSE_S)


class Lifespan:
    """Steps that were taken up, to be taken down in reverse. Use as an async context manager.

    async with Lifespan(shutdown_timeout_s=25) as life:
        await life.up("topics", topics.ensure(...))
        publisher = life.enter("publisher", ...)
    """

    def __init__(self, shutdown_timeout_s: float = 25.0) -> None:
        self._timeout_s = shutdown_timeout_s
        self._downs: list[tuple[str, Down]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def up(self, name: str, work: Awaitable[T]) -> T:
        """Do a step of the start."""
        started = time.monotonic()
        result = await work
        log.info("up", step=name, took_s=_since(started))
        return result

    async def enter(self, name: str, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context as a step; it is left at the stop."""
        result = await self.up(name, context.__aenter__())
        self.on_down(name, lambda: context.__aexit__(None, None, None))
        return result

    def on_down(self, name: str, down: Down) -> None:
        """Do this at the stop, before the steps that were taken earlier."""
        self._downs.append((name, down))

    def run(self, name: str, work: Coroutine[Any, Any, None], stop: Callable[[], None]) -> asyncio.Task[None]:
        """Run a part of the service in the background. At the stop `stop()` is called and its end awaited; when it
        ends or fails before, the service does (`wait`)."""
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task

        async def down() -> None:
            stop()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("ended with an error", step=name, reason=reason_of(error))

        self.on_down(name, down)
        return task

    async def wait(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set. Raises what a background part fails with; RuntimeError when one just ends."""
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopped, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if stop.is_set():
            return
        for name, task in self._tasks.items():
            if task.done():
                if task.cancelled():
                    raise RuntimeError(f"{name} was cancelled")
                raise task.exception() or RuntimeError(f"{name} ended by itself")

    async def __aenter__(self) -> Lifespan:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take everything down, each step in what is left of the time; none is skipped because another failed."""
        end = time.monotonic() + self._timeout_s
        while self._downs:
            name, down = self._downs.pop()
            started = time.monotonic()
            try:
                async with asyncio.timeout(max(0.1, end - started)):
                    await down()
            except TimeoutError:
                log.error("down: cut off, the time for the stop is over", step=name, took_s=_since(started))
            except Exception:  # whatever one step raises, the others must still go down
                log.exception("down: failed", step=name, took_s=_since(started))
            else:
                log.info("down", step=name, took_s=_since(started))
        for task in self._tasks.values():
            task.cancel()


class Worker(Protocol):
    """A service without an HTTP server of its own: `start` takes its steps up."""

    async def start(self, life: Lifespan) -> None: ...


def run_worker(worker: Worker, *, shutdown_timeout_s: float = 25.0) -> int:
    """Run until SIGTERM or SIGINT, or until a part fails. The exit code. A second signal ends the process at once."""
    return asyncio.run(_run(worker, shutdown_timeout_s))


async def _run(worker: Worker, shutdown_timeout_s: float) -> int:
    stop = asyncio.Event()
    starting = asyncio.current_task()
    on_signals(stop)
    try:
        async with Lifespan(shutdown_timeout_s) as life:
            interrupt = asyncio.create_task(_cancel_when(stop, starting))
            try:
                await worker.start(life)
            finally:
                interrupt.cancel()
            log.info("ready")
            await life.wait(stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    except VigieError as e:
        log.error(str(e))
        return EXIT_FAILED
    except Exception:  # a bug: logged as JSON like everything else, then the exit code tells the supervisor
        log.exception("the service failed")
        return EXIT_FAILED
    log.info("stopped")
    return 0


async def _cancel_when(stop: asyncio.Event, task: asyncio.Task[Any] | None) -> None:
    await stop.wait()
    if task is not None:
        task.cancel()


def on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at the first SIGTERM or SIGINT of this process; leave at once at the second."""
    loop = asyncio.get_running_loop()

    def handle(number: int) -> None:
        if stop.is_set():
            log.error("second signal: leaving at once", signal=signal.Signals(number).name)
            sys.stdout.flush()
            os._exit(EXIT_FORCED)
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, handle, number)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
