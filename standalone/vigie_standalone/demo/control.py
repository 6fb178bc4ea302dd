"""Incidents that are going on, in a file: `vigie incident` writes it, the simulator reads it."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vigie_standalone.demo.incidents import INCIDENTS
from vigie_standalone.errors import StandaloneError


class UnknownIncidentError(StandaloneError):
    """No incident of that name."""

    def __init__(self, name: str) -> None:
        known = "; ".join(f"{i.name} ({i.summary})" for i in INCIDENTS.values())
        super().__init__(f"There is no incident {name!r}. Choose one of: {known}.")


class Control:
    """Incident -> when it ends, in seconds since the epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While a simulator does what the file says."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # the kernel gives it back however the simulator ends
            yield

    def is_followed(self) -> bool:
        """Whether a simulator runs that does what the file says."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def _lock(self) -> Path:
        return self._path.with_suffix(".lock")

    def active(self, now: float) -> list[str]:
        """Names of the incidents going on."""
        return sorted(name for name, end in self._load().items() if end > now and name in INCIDENTS)

    def start(self, name: str, until: float) -> None:
        """Begin one, or move its end."""
        if name not in INCIDENTS:
            raise UnknownIncidentError(name)
        self._store({**self._load(), name: until})

    def clear(self) -> None:
        """End all."""
        self._path.unlink(missing_ok=True)

    def _load(self) -> dict[str, float]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(k): float(v) for k, v in stored.items()} if isinstance(stored, dict) else {}
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def _store(self, incidents: dict[str, float]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(incidents), encoding="utf-8")
        partial.replace(self._path)
