"""One child process: started in its own group, checked for readiness, stopped within a bound, killed on request."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from vigie_standalone.errors import ProcessError, StoppingError
from vigie_standalone.private import UMASK

LOG_LIMIT_BYTES = 16 * 1024 * 1024
TAIL_LINES = 25
LINE_LIMIT_BYTES = 64 * 1024
POLL_S = 0.05
_LAUNCHER = Path(__file__).with_name("_launch.py")
_CRASHES = {-signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL, -signal.SIGSEGV, -signal.SIGSYS}
"""Signals that a program brings on itself."""
_STOPPED = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)}
"""How a Java machine, a shell or our own services say that a signal ended them."""


class _Spawner:
    """Starts every child from one thread that lives as long as the process.

    The kernel sends the parent-death signal when the *thread* that forked ends, so a child started from a worker
    thread of a pool would be killed when the pool is closed.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._owner: int | None = None

    def spawn(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._owner != os.getpid():  # first use, or first use after a fork
                threading.Thread(target=self._run, name="vigie-spawner", daemon=True).start()
                self._owner = os.getpid()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, future))
        return future.result()

    def _run(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except Exception as error:  # noqa: BLE001 - handed to the caller
                future.set_exception(error)


_spawner = _Spawner()


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int,
    stderr: int = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session so that it dies with this process, even when that one is SIGKILLed.

    What it writes is its owner's alone. A secret belongs into a file, a pipe or the environment: a command is seen by
    everybody.
    """
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
    return _spawner.spawn(
        lambda: subprocess.Popen(  # noqa: S603 - the command is ours
            [*launcher, *map(str, command)],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=UMASK,
        )
    )


class Process:
    """A server process with a log file. Restarting it keeps command, port and data."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        """`ready` is called again and again until it returns True; it must return quickly and not raise.

        With `on_line` every line of output goes there (from another thread) instead of to the log file. Once
        `stopping` is set the process is not started again: threads that start things cannot be interrupted.
        """
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._ready = ready
        self._env = env
        self._cwd = cwd
        self._on_line = on_line
        self._stopping = stopping or threading.Event()
        self._recent: deque[str] = deque(maxlen=TAIL_LINES)
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises when it was never started."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs (a stopped one, SIGSTOP, does)."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it was started."""
        return None if self._popen is None else self._popen.poll()

    @property
    def failed(self) -> bool:
        """Whether it ended by itself and badly: with an error code or a crash, and not by a signal from outside."""
        code = self.returncode
        return code is not None and (code in _CRASHES or (code > 0 and code not in _STOPPED))

    @property
    def ending(self) -> str:
        """How it ended, to follow its name in a sentence."""
        code = self.returncode
        if code is None or code >= 0:
            return f"ended with code {code}"
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:  # a real-time signal
            return f"was ended by signal {-code}"

    def start(self, timeout: float = 60.0) -> None:
        """Start it and wait until it is ready. Raises ProcessError with the end of the log."""
        self.launch()
        self.wait_ready(timeout)

    def launch(self) -> None:
        """Start it without waiting. Raises StoppingError once everything is being stopped."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        if self._stopping.is_set():
            raise StoppingError(self.name)
        if self._on_line is not None:
            self._launch_piped(self._on_line)
        else:
            self._launch_logged()
        if self._stopping.is_set():  # set meanwhile: whoever did it may have looked before there was a process
            self.kill()
            raise StoppingError(self.name)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until it is ready; stops it and raises ProcessError when it ends or takes too long."""
        end = time.monotonic() + timeout
        while not self._ready():
            if not self.alive:
                raise ProcessError(self.name, f"{self.ending} at start", self.log_tail())
            if time.monotonic() > end:
                self.kill()
                raise ProcessError(self.name, f"was not ready within {timeout:.0f} s", self.log_tail())
            time.sleep(POLL_S)

    def stop(self, grace: float = 15.0) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds. Does nothing when it does not run."""
        if self._popen is None or not self.alive:
            return
        self.signal(signal.SIGCONT)  # a stopped process would never see the SIGTERM
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for the whole group, at once; returns when the process is gone."""
        if self._popen is not None and self.alive:
            self.signal(signal.SIGKILL)
            self._popen.wait(10)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.signal(signal.SIGCONT)

    def restart(self, timeout: float = 60.0) -> None:
        """Stop it if it runs, then start it on the same port and data."""
        self.stop()
        self.start(timeout)

    def signal(self, number: int) -> None:
        """Send a signal to the process group; a group that is gone is not an error."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log, empty when there is none."""
        if self._on_line is not None:
            return "\n".join(list(self._recent)[-lines:])
        try:
            with self.log_path.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 64 * 1024))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _launch_logged(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._rotate_log()
        with self.log_path.open("ab") as log:
            self._popen = spawn(self._command, env=self._env, cwd=self._cwd, stdout=log.fileno())

    def _launch_piped(self, on_line: Callable[[str], None]) -> None:
        self._recent.clear()
        popen = spawn(self._command, env=self._env, cwd=self._cwd, stdout=subprocess.PIPE)
        self._popen = popen
        threading.Thread(target=self._pump, args=(popen, on_line), name=f"log-{self.name}", daemon=True).start()

    def _pump(self, popen: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
        if popen.stdout is None:
            return
        with popen.stdout as pipe:
            while raw := pipe.readline(LINE_LIMIT_BYTES):
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self._recent.append(line)
                # A line that cannot be shown (nobody reads any more, an encoding) is lost. Ending here would close
                # the pipe, and the child would die of its next line.
                with suppress(Exception, SystemExit):
                    on_line(line)

    def _rotate_log(self) -> None:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(self.log_path.suffix + ".1"))
