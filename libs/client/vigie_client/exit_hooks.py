"""The end of a process: what waits is sent at a normal exit and on SIGTERM, and a fork does not send it twice.

SIGTERM is only handled where it would kill the process at once: a handler of the application's own stays as it is, and
the exit that it leads to is a normal one. After sending, the process ends by SIGTERM as it would have without us.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import weakref
from collections import deque
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vigie_client.client import Client


class _ExitHooks:
    def __init__(self) -> None:
        self._all: weakref.WeakSet[Client] = weakref.WeakSet()
        # Replaced as a whole, never changed: a signal handler may read it at any moment.
        self._running: tuple[Client, ...] = ()
        self._lock = threading.Lock()
        self._pending: deque[None] = deque()
        self._hooked = False

    def know(self, one: Client) -> None:
        """Every client, for forks."""
        self._all.add(one)
        if not self._hooked:
            self._hooked = True
            atexit.register(self._exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forked)

    def arm(self) -> None:
        """Take care of SIGTERM where nobody does, if this is the main thread. While nothing is running the handler
        does what would happen without it, so it is never taken away."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)

    def started(self, one: Client) -> None:
        """It has something to send from now on."""
        with self._lock:
            self._running = (*(other for other in self._running if other is not one), one)

    def stopped(self, one: Client) -> None:
        """It has not."""
        with self._lock:
            self._running = tuple(other for other in self._running if other is not one)

    def _exit(self) -> None:
        for one in self._running:
            one.close()

    def _terminate(self, _signal: int, _frame: FrameType | None) -> None:
        # The main thread may hold any lock here, so it only asks, and goes on. A second SIGTERM kills at once.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        running = self._running
        self._pending.extend([None] * len(running))
        for one in running:
            if not one.hurry(self._one_is_done):
                self._pending.pop()
        if not self._pending:
            os.kill(os.getpid(), signal.SIGTERM)

    def _one_is_done(self) -> None:
        self._pending.pop()
        if not self._pending:
            os.kill(os.getpid(), signal.SIGTERM)

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._running = ()
        for one in list(self._all):
            one.forked()


EXIT_HOOKS = _ExitHooks()
"""Of this process."""
