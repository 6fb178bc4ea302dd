"""The directory of an agent: one agent's alone, with the name of the installation and what the agent last did."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec
from vigie_contracts.hosts import INSTANCE_PATTERN

from vigie_agent.errors import StateAwayError

_GOOD: Final = re.compile(INSTANCE_PATTERN)


class Status(msgspec.Struct, rename="camel", kw_only=True):
    """What `status` shows: written after each collection."""

    pid: int
    host: str
    url: str
    version: str
    interval: float
    started_at: int
    collected_at: int | None = None
    last_sent: int | None = None
    sent: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    lost: dict[str, int] = {}
    problem: str | None = None
    spool_problem: str | None = None
    commands: str | None = None
    """How it stands with the connection for commands; None: they are not taken."""


class StateDirectory:
    """Made for its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def journal(self) -> Path:
        return self.path / "commands.journal"

    @property
    def configuration(self) -> Path:
        return self.path / "configuration.json"

    def claim(self) -> None:
        """Have it for this process until it ends. Raises StateAwayError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StateAwayError(self.path, "another agent runs on it") from None
        except OSError as e:
            self.release()
            raise StateAwayError(self.path, e.strerror or str(e)) from None

    def release(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def instance(self) -> str:
        """Made once. On a disk that takes nothing, another one for each start."""
        file = self.path / "instance"
        try:
            if _GOOD.match(known := file.read_text(encoding="ascii").strip()):
                return known
        except (OSError, UnicodeDecodeError):
            pass
        made = secrets.token_hex(8)
        self.write("instance", f"{made}\n".encode())
        return made

    def write(self, name: str, content: bytes) -> bool:
        """Replace a small file; whether the disk took it."""
        partial = self.path / f"{name}.partial"
        try:
            partial.write_bytes(content)
            os.replace(partial, self.path / name)
        except OSError:
            return False
        return True

    def status(self) -> Status | None:
        """What was last written; None when nothing was."""
        try:
            return msgspec.json.decode((self.path / "status.json").read_bytes(), type=Status)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep(self, status: Status) -> None:
        """Write what `status` shows."""
        self.write("status.json", msgspec.json.encode(status))
