"""Files fetched once per user and shared by every checkout: pinned by sha256, fetched again when broken."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """`$VIGIE_CACHE`, else `vigie` in the user's cache directory."""
    if chosen := os.environ.get("VIGIE_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vigie"


def sha256_of(path: Path) -> str | None:
    """The file's sha256 in hex, None when there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory alone, so that two starts at once do not fetch the same files twice."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
