"""The thread that sends: every interval, when asked to, and a last time at the end.

A thread also under asyncio: encoding, compressing and waiting for the network must not happen on the event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from vigie_client.buffer import Buffer
from vigie_client.sender import Sender
from vigie_client.tally import Tally

log = logging.getLogger("vigie_client")
_GRACE_S = 1.0
_LOOK_S = 0.2
"""How often a waiting flush looks whether the thread is still there."""


@dataclass(slots=True)
class _FlushRequest:
    """What somebody wants of the thread."""

    mark: int
    """Up to which sample everything should be sent."""
    deadline: float | None = None
    """Until when (monotonic seconds) to try."""
    done: Callable[[], None] | None = None
    """Called when that is so, or when time is up."""
    hurry: bool = False
    """Do not wait out a back-off first."""
    stop: bool = False
    """End the thread then."""


class Worker:
    """One thread, from the first `start` to `stop`. Commands come through a queue whose `put` is safe in a signal
    handler, which locks and events are not."""

    def __init__(
        self,
        buffer: Buffer,
        tally: Tally,
        sender: Sender,
        *,
        interval: float,
        collectors: Sequence[Callable[[], None]],
    ) -> None:
        """`collectors` are called every `interval` seconds, before sending. The list may grow later."""
        self._buffer = buffer
        self._tally = tally
        self._sender = sender
        self._interval = interval
        self._collectors = collectors
        self._queue: SimpleQueue[_FlushRequest] = SimpleQueue()
        self._pending: list[_FlushRequest] = []
        self._due = False
        self._thread = Thread(target=self._run, name="vigie-client", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def wake(self) -> None:
        """Send now what waits. Safe in a signal handler."""
        self._queue.put(_FlushRequest(0))

    def flush(self, timeout: float, *, hurry: bool) -> bool:
        """Wait until everything recorded so far is accepted, refused or dropped; false when time was too short."""
        reached = Event()
        mark = self._buffer.mark()
        self._queue.put(_FlushRequest(mark, time.monotonic() + timeout, reached.set, hurry))
        end = time.monotonic() + timeout + _GRACE_S
        while self.alive and time.monotonic() < end and not reached.wait(_LOOK_S):
            pass
        return self._buffer.reached(mark)

    def hurry(self, timeout: float, done: Callable[[], None]) -> None:
        """Send everything at once, then call `done` in the thread, at the latest after `timeout` seconds and the rest
        of one attempt. Safe in a signal handler."""
        self._queue.put(_FlushRequest(self._buffer.mark(), time.monotonic() + timeout, done, hurry=True))

    def stop(self, timeout: float) -> None:
        """Send everything and end the thread; what could not be sent within `timeout` seconds stays in the buffer."""
        self._queue.put(_FlushRequest(self._buffer.mark(), time.monotonic() + timeout, hurry=True, stop=True))
        self._thread.join(timeout + _GRACE_S)

    def _run(self) -> None:
        tick = time.monotonic()  # the first collection is at once
        stopping = False
        while not stopping:
            if (now := time.monotonic()) >= tick:
                self._collect()
                self._due = True
                tick = max(tick + self._interval, now)
            wait = self._advance(now)
            stopping = self._finish_requests()
            if not stopping:
                self._wait_for_request(self._next_event_s(tick, wait))
        self._sender.close()

    def _advance(self, now: float) -> float | None:
        """One attempt when one is due; seconds until the next. None when there is nothing to do."""
        if not self._due:
            return None
        deadlines = [request.deadline for request in self._pending if request.hurry and request.deadline is not None]
        try:
            wait = self._sender.advance(min(deadlines) - now if deadlines else None)
        except Exception:  # a bug of ours must end neither the thread nor the application's trust in it
            log.exception("sending failed in a way that nobody expected")
            wait = self._interval
        self._due = wait is not None
        return wait

    def _collect(self) -> None:
        for collector in list(self._collectors):
            try:
                collector()
            except Exception as error:  # noqa: BLE001  # the application's own code
                self._tally.warn("collector", "a collector failed: %r", error)

    def _finish_requests(self) -> bool:
        """Tell those whose wish came true or whose time is up. True when one of them was to stop."""
        now = time.monotonic()
        open_, over = list[_FlushRequest](), list[_FlushRequest]()
        for request in self._pending:
            late = request.deadline is not None and now >= request.deadline
            (over if late or self._is_hopeless(request) or self._reached(request) else open_).append(request)
        self._pending = open_
        for request in over:
            if request.done is not None:
                request.done()
        return any(request.stop for request in over)

    def _reached(self, request: _FlushRequest) -> bool:
        """At the end of the process also what the client itself has to report."""
        return self._buffer.reached(request.mark) and not (request.hurry and self._sender.has_reports)

    def _is_hopeless(self, request: _FlushRequest) -> bool:
        """Whoever is in a hurry does not wait for the end of a pause that comes too late."""
        return request.hurry and request.deadline is not None and self._sender.paused_until > request.deadline

    def _next_event_s(self, tick: float, wait: float | None) -> float:
        """Seconds until something is to be done."""
        now = time.monotonic()
        ends = [tick, *(request.deadline for request in self._pending if request.deadline is not None)]
        return max(0.0, min(*ends, now + wait) - now) if wait is not None else max(0.0, min(ends) - now)

    def _wait_for_request(self, timeout: float) -> None:
        try:
            request = self._queue.get(timeout=timeout)
        except Empty:
            return
        self._due = True
        if request.hurry:
            self._sender.hurry()
        if request.deadline is not None:
            self._pending.append(request)
