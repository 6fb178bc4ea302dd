"""The data directory of `vigie up`: where things are, who runs there, and how it is forgotten."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Annotated, ClassVar, NotRequired

import psutil
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

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


class DataDirectoryError(StandaloneError):
    """The data directory, or something of ours in it, cannot be used."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be used: {why}. Put that right, or name another directory with --data-dir.")


class DamagedRunFileError(StandaloneError):
    """Somebody runs here, and the run file does not say who."""

    def __init__(self, run_file: Path) -> None:
        super().__init__(
            f"Vigie runs on {run_file.parent}, but {run_file.name} is damaged and does not say as which process. End "
            "that process yourself (`pgrep -af 'vigie up'` shows it); the next `vigie up` writes the file anew."
        )


Pid = Annotated[int, Field(gt=0, lt=2**31)]


class ServerFacts(TypedDict):
    """Where a server is, where it is from, and the password that its URL cannot hold."""

    url: str
    source: str
    password: NotRequired[str]


@dataclass(frozen=True)
class Run:
    """What the run file says: enough to find, show and stop a running `vigie up`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    pid: Pid
    started: float
    """When the process was created, in seconds since the epoch: tells it from a later process of the same id."""
    url: str
    servers: dict[str, ServerFacts] = field(default_factory=dict)
    processes: dict[str, Pid] = field(default_factory=dict)
    anonymous: str = ""
    """VIGIE_ANONYMOUS as it holds."""

    @classmethod
    def from_json(cls, text: bytes) -> "Run | None":
        """The run, None when the text is not a run file (cut short by a crash, of another version)."""
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError:
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
    def inbox(self) -> Path:
        """Mails and webhooks that were caught."""
        return self.directory / "inbox"

    @property
    def backfilled(self) -> Path:
        """Exists once the simulator of `vigie up` has begun to fill the past, which it does once."""
        return self.directory / "backfilled"

    @property
    def run_file(self) -> Path:
        """Says who runs."""
        return self.directory / "run.json"

    def claim(self) -> None:
        """Hold the directory until this process ends; raises AlreadyRunningError when another one does."""
        with self.usable():
            own_directory(self.directory)
            self._refuse_directories()
            lock = os.fdopen(os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
            try:
                # The kernel gives the lock back however the holder ends, so a stale run file never blocks a start.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise AlreadyRunningError(self.running(), self.directory) from None
            self._lock = lock

    def running(self) -> Run | None:
        """The run that is alive, None when there is none or its run file is stale.

        Raises DataDirectoryError when nobody can tell, DamagedRunFileError when it does not say what runs here.
        """
        with self.usable():
            try:
                run = Run.from_json(self.run_file.read_bytes())
            except FileNotFoundError:
                return None
            if run is None and self._held_by_another():
                raise DamagedRunFileError(self.run_file)
        return run if run and run.alive else None

    @contextmanager
    def usable(self) -> Iterator[None]:
        """What the system refuses about the directory, or about anything in it, becomes a DataDirectoryError."""
        try:
            yield
        except OSError as error:
            path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | Path) else None
            if path is None or not (
                path == self.directory or self.directory.is_relative_to(path) or path.is_relative_to(self.directory)
            ):
                raise
            why = "it is not a directory" if isinstance(error, FileExistsError) else error.strerror or str(error)
            raise DataDirectoryError(path, why) from None

    def _refuse_directories(self) -> None:
        """A later step would find them, when it replaces or deletes the file."""
        for path in (self._lock_file, self.run_file, self.run_file.with_suffix(".partial")):
            if path.is_dir():
                raise DataDirectoryError(path, "it is a directory, where a file belongs")

    def _held_by_another(self) -> bool:
        try:
            with self._lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def _lock_file(self) -> Path:
        return self.directory / "lock"

    def write(self, run: Run) -> None:
        """Replace the run file, readable by its owner only: a server's URL may hold a password."""
        with self.usable():
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
        for directory in (self.servers, self.secrets, self.inbox):
            shutil.rmtree(directory, ignore_errors=True)
        for path in (self.backfilled, self.run_file):
            path.unlink(missing_ok=True)


def this_process(url: str) -> Run:
    """The run of the current process."""
    return Run(os.getpid(), psutil.Process().create_time(), url)


def without_password(url: str) -> str:
    """`mongodb://user:secret@host` -> `mongodb://user:***@host`, for screens and logs."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", url)
