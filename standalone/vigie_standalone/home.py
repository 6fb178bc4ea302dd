"""The data directory of `vigie up`: where things are, who runs there, and how it is forgotten."""

import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from vigie_standalone.errors import StandaloneError
from vigie_standalone.private import own_directory, write_private

START_TIME_TOLERANCE_S = 2.0


class AlreadyRunningError(StandaloneError):
    """A second start on the same data directory."""

    def __init__(self, run: "Run | None", directory: Path) -> None:
        where = f" (process {run.pid}, {run.url})" if run else ""
        super().__init__(
            f"Vigie runs already on {directory}{where}. Look at it with `vigie status`, stop it with `vigie down`, "
            "or start another one with another --data-dir and --port."
        )


class NotRunningError(StandaloneError):
    """Nothing to look at or to stop."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"No Vigie runs on {directory}. Start it with `vigie up`.")


class NoSimulatorError(StandaloneError):
    """Vigie runs, and nobody simulates."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"The Vigie on {directory} runs without its simulator. Start one with `vigie demo`.")


@dataclass(frozen=True)
class Run:
    """What the run file says: enough to find, show and stop a running `vigie up`."""

    pid: int
    started: float
    """When the process was created, in seconds since the epoch: tells it from a later process of the same id."""
    url: str
    servers: dict[str, dict[str, str]] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    anonymous: str = ""
    """VIGIE_ANONYMOUS as it holds."""

    @classmethod
    def from_json(cls, text: str) -> "Run | None":
        """The run, None when the text is not a run file (cut short by a crash, of another version)."""
        try:
            data: dict[str, Any] = json.loads(text)
            return cls(**data)
        except (ValueError, TypeError):
            return None

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            process = psutil.Process(self.pid)
            created, state = process.create_time(), process.status()
        except psutil.NoSuchProcess:
            return False
        # A zombie has ended; only whoever started it has not looked yet.
        return abs(created - self.started) < START_TIME_TOLERANCE_S and state != psutil.STATUS_ZOMBIE


class Home:
    """One data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._lock: IO[str] | None = None

    @property
    def servers(self) -> Path:
        """Data of the embedded servers."""
        return self.directory / "servers"

    @property
    def secrets(self) -> Path:
        """What `vigie up` made up and keeps; for its owner only."""
        return self.directory / "secrets"

    @property
    def backfilled(self) -> Path:
        """Exists once the simulator was asked to fill the past."""
        return self.directory / "backfilled"

    @property
    def run_file(self) -> Path:
        """Says who runs."""
        return self.directory / "run.json"

    def claim(self) -> None:
        """Hold the directory until this process ends; raises AlreadyRunningError when another one does."""
        own_directory(self.directory)
        lock = (self.directory / "lock").open("w")
        try:
            # The kernel gives the lock back however the holder ends, so a stale run file never blocks a start.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise AlreadyRunningError(self.running(), self.directory) from None
        self._lock = lock

    def running(self) -> Run | None:
        """The run that is alive, None when there is none or its run file is stale."""
        try:
            run = Run.from_json(self.run_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return run if run and run.alive else None

    def write(self, run: Run) -> None:
        """Replace the run file, readable by its owner only: a server's URL may hold a password."""
        write_private(self.run_file, json.dumps(asdict(run), indent=1))

    def release(self) -> None:
        """Forget the run and let the next one start."""
        self.run_file.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
            self._lock = None

    def reset(self) -> None:
        """Delete what Vigie keeps here, and nothing else. Only while claimed."""
        if self._lock is None:
            raise RuntimeError("only the holder of the directory may empty it")
        for directory in (self.servers, self.secrets):
            shutil.rmtree(directory, ignore_errors=True)
        for path in (self.backfilled, self.run_file):
            path.unlink(missing_ok=True)


def this_process(url: str) -> Run:
    """The run of the current process."""
    return Run(os.getpid(), psutil.Process().create_time(), url)


def without_password(url: str) -> str:
    """`mongodb://user:secret@host` -> `mongodb://user:***@host`, for screens and logs."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", url)
