"""What an application uses: record now, and everything else happens in a thread."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from threading import RLock
from types import TracebackType
from typing import Self

from vigie_client.buffer import Buffer
from vigie_client.exit_hooks import EXIT_HOOKS
from vigie_client.host import HostNumbers
from vigie_client.sender import Sender
from vigie_client.tally import Stats, Tally
from vigie_client.transport import HttpTransport
from vigie_client.values import Labels, MetricType, NotRecordable, number, texts
from vigie_client.worker import Worker

DEFAULT_URL = "http://localhost:3000"
_NO_LABELS: Mapping[str, str] = {}


class Client:
    """Gauges, counters and histograms for Vigie, from any thread, from coroutines, and after a fork.

    Only the constructor raises: ValueError, for settings that cannot work. Everything else counts what went wrong in
    `stats()` and says so in the log (`vigie_client`). Recording takes microseconds and never waits for the network.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        service: str | None = None,
        labels: Labels | None = None,
        api_key: str | None = None,
        interval: float = 5.0,
        timeout: float = 10.0,
        exit_timeout: float = 5.0,
        max_buffered: int = 100_000,
        max_batch: int = 5_000,
        host_numbers: bool = False,
        handle_sigterm: bool = True,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Nothing is sent before `start`, `with` or `flush`.

        `url`: the front door, else the environment's VIGIE_URL, else http://localhost:3000. `api_key`, else
        VIGIE_API_KEY, is sent as `Authorization: Bearer`. `service` and `labels` are put on every metric. Seconds:
        `interval` between sendings, `timeout` of one attempt, `exit_timeout` for what is left at the end of the
        process. Bounds, in samples: `max_buffered` in memory, oldest dropped first, and `max_batch` in one request.
        `host_numbers`: also send those of this machine and process. `verify`: how to check the server's certificate.
        """
        if not 0 < interval <= 3600 or not 0 < timeout <= 600 or not 0 <= exit_timeout <= 600:
            raise ValueError("interval (up to 3600 s), timeout and exit_timeout (up to 600 s) must be positive")
        if not 1 <= max_batch <= 10_000 or max_buffered < 2:
            raise ValueError("max_batch must be 1 to 10,000, the gateway's limit, and max_buffered at least 2")
        self._url = url or os.environ.get("VIGIE_URL") or DEFAULT_URL
        self._api_key = api_key or os.environ.get("VIGIE_API_KEY") or None
        self._labels = _fixed_labels(service, labels)
        self._interval, self._timeout, self._exit_timeout = interval, timeout, exit_timeout
        self._max_buffered, self._max_batch = max_buffered, max_batch
        self._sigterm = handle_sigterm
        self._verify = verify
        self._lock = RLock()
        self._wanted = False
        self._closing = False
        self._collectors: list[Callable[[], None]] = []
        self._reset()
        if host_numbers:
            self.add_collector(HostNumbers(self).collect)
        EXIT_HOOKS.know(self)
        if handle_sigterm:  # now: the first request of a web application may come in another thread than the main one
            EXIT_HOOKS.arm()

    def gauge(self, name: str, value: float, labels: Labels | None = None) -> None:
        """The value now. Of several in 10 seconds the last is sent."""
        self._record(MetricType.GAUGE, name, value, labels)

    def counter(self, name: str, value: float = 1, labels: Labels | None = None) -> None:
        """An increment, not negative. Increments of the same 10 seconds are added up and sent as one."""
        self._record(MetricType.COUNTER, name, value, labels)

    def histogram(self, name: str, value: float, labels: Labels | None = None) -> None:
        """One observation. Every one is sent."""
        self._record(MetricType.HISTOGRAM, name, value, labels)

    @contextmanager
    def timer(self, name: str, labels: Labels | None = None) -> Generator[None]:
        """A histogram of the seconds that the block took, also when it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.histogram(name, time.perf_counter() - began, labels)

    def add_collector(self, collector: Callable[[], None]) -> None:
        """Call it in the sending thread before every sending: to record what has to be looked up."""
        self._collectors.append(collector)

    def start(self) -> None:
        """Send every `interval` seconds from now on. Starting twice is starting once."""
        if self._wanted and self._worker is not None and self._worker.alive:
            return
        with self._lock:
            self._wanted = True
            self._revive()

    def stop(self, timeout: float | None = None) -> bool:
        """Send what is left and end the thread. False when something is still unsent after `timeout` seconds
        (`exit_timeout` when None); it stays in the buffer, for another `start`."""
        with self._lock:
            self._wanted = False
            worker, self._worker = self._worker, None
        if worker is not None:  # without the lock: meanwhile a `start` on an event loop must not wait
            worker.stop(self._exit_timeout if timeout is None else timeout)
        with self._lock:
            if self._worker is None:
                EXIT_HOOKS.stopped(self)
        return len(self._buffer) == 0

    def flush(self, timeout: float = 10.0, *, hurry: bool = False) -> bool:
        """Wait until everything recorded so far was accepted or refused (or dropped). False after `timeout` seconds.
        `hurry`: as at the end of a process, without waiting out a back-off first."""
        with self._lock:
            worker = self._worker
            if worker is None or not worker.alive:
                self._revive(force=True)
                worker = self._worker
        reached = worker is not None and worker.flush(timeout, hurry=hurry)
        if not self._wanted:
            self.stop(0)
        return reached

    @property
    def exit_timeout(self) -> float:
        """Seconds that the end of a process may take."""
        return self._exit_timeout

    def stats(self) -> Stats:
        """What became of everything recorded so far."""
        return self._tally.stats(len(self._buffer))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """`stop`, and say in the log what could not be sent."""
        self._closing = True
        try:
            if not self.stop():
                self._tally.warn("left", "%d samples were left unsent", len(self._buffer))
        finally:
            self._closing = False

    def hurry(self, done: Callable[[], None]) -> bool:
        """For `exit_hooks`: send everything within the time for exits."""
        worker = self._worker
        if worker is None or not worker.alive:
            return False
        worker.hurry(self._exit_timeout, done)
        return True

    def forked(self) -> None:
        """For `exit_hooks`: drop the parent's samples and its connection. The thread starts with the first use."""
        self._lock = RLock()
        self._reset()

    def _record(self, kind: MetricType, name: str, value: float, labels: Labels | None) -> None:
        try:
            self._buffer.add(kind, name, texts(labels) if labels else _NO_LABELS, number(kind, value))
        except NotRecordable as problem:
            self._invalid(name, str(problem))
        except Exception as problem:  # noqa: BLE001  # the promise: metrics never break the application
            self._invalid(name, type(problem).__name__)  # its own text could raise again

    def _invalid(self, name: object, problem: str) -> None:
        shown = name[:200] if isinstance(name, str) else type(name).__name__  # printing anything else may raise
        self._tally.invalid(shown, problem)

    def _reset(self) -> None:
        self._tally = Tally()
        self._worker: Worker | None = None
        self._transport = HttpTransport(self._url, api_key=self._api_key, verify=self._verify)
        self._buffer = Buffer(
            self._max_buffered,
            self._tally,
            labels=self._labels,
            notify_at=min(self._max_batch, self._max_buffered // 2),
            notify=self._notified,
        )
        self._sender = Sender(
            self._buffer, self._tally, self._transport, max_batch=self._max_batch, timeout=self._timeout
        )

    def _notified(self) -> None:
        """The first sample waits, or a request is full."""
        worker = self._worker
        if worker is None:
            if self._wanted and not self._closing:  # this is the child of a fork
                self._revive()
        elif len(self._buffer) > 1:
            worker.wake()

    def _revive(self, *, force: bool = False) -> None:
        with self._lock:
            if (self._worker is not None and self._worker.alive) or not (self._wanted or force):
                return
            self._worker = Worker(
                self._buffer,
                self._tally,
                self._sender,
                interval=self._interval,
                collectors=self._collectors,
            )
            try:
                self._worker.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self._worker = None
                self._tally.warn("thread", "metrics cannot be sent now: %s", error)
                return
            EXIT_HOOKS.started(self)
            if self._sigterm:
                EXIT_HOOKS.arm()


class AsyncClient(Client):
    """The same for coroutines: recording is the same, what waits is awaited, and nothing blocks the event loop."""

    async def aflush(self, timeout: float = 10.0) -> bool:
        """`flush`, awaited."""
        return await asyncio.to_thread(self.flush, timeout)

    async def astop(self, timeout: float | None = None) -> bool:
        """`stop`, awaited."""
        return await asyncio.to_thread(self.stop, timeout)

    async def aclose(self) -> None:
        """`close`, awaited."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def _fixed_labels(service: str | None, labels: Labels | None) -> dict[str, str]:
    given: dict[str, str | int | float | bool] = dict(labels or {})
    if service is not None:
        given["service"] = service
    try:
        return dict(texts(given))
    except NotRecordable as problem:
        raise ValueError(f"labels: {problem}") from problem
