"""What is for its owner alone: the data directory, its files, and secrets that are made once and kept."""

import os
import secrets
import stat
from pathlib import Path

from vigie_standalone.errors import StandaloneError

UMASK = 0o077
"""Of every process that Vigie starts, and of `vigie` itself: new files are their owner's alone."""
SECRET_BYTES = 32
MARK = "lock"
"""The file that every data directory has, also one of an earlier version."""
_OTHERS = 0o077


class NotOursError(StandaloneError):
    """A data directory that others could read or change, and that is not Vigie's to close to them."""

    def __init__(self, directory: Path, why: str) -> None:
        super().__init__(f"{directory} cannot hold the data: {why}. Name another directory with --data-dir.")


def own_directory(directory: Path) -> None:
    """Make the directory for this user alone, or take others' rights on an existing data directory away.

    Raises NotOursError where it belongs to somebody else, or is shared and holds other things than Vigie's.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise NotOursError(directory, "it belongs to another user")
    if not found.st_mode & _OTHERS:
        return
    if found.st_mode & stat.S_ISVTX or (any(directory.iterdir()) and not (directory / MARK).exists()):
        raise NotOursError(directory, "other users may read it, and it holds other things than Vigie's data")
    if found.st_mode & stat.S_IWOTH and any(directory.iterdir()):
        raise NotOursError(
            directory, "other users may have put something there"
        )  # a secret that they know, for example
    directory.chmod(0o700)
    _tighten(directory)


def write_private(path: Path, text: str) -> None:
    """Replace the file by one that only its owner may read; after a crash it is the old or the new one."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def kept_secret(path: Path, size: int = SECRET_BYTES) -> str:
    """The secret in the file, made when it is first needed: hex digits, which need no quoting anywhere."""
    try:
        path.chmod(0o600)  # also when somebody made it before
        if kept := path.read_text(encoding="utf-8").strip():
            return kept
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, secrets.token_hex(size) + "\n")
    return path.read_text(encoding="utf-8").strip()


def _tighten(directory: Path) -> None:
    """Files of an earlier version, which left them readable. Links are not followed."""
    for base, directories, files in os.walk(directory):
        for name in (*directories, *files):
            path = Path(base) / name
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & _OTHERS:
                path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
