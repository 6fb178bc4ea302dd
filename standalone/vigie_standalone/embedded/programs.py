"""Finds the program of a server: on PATH, else as a file inside an installed wheel (which is never imported)."""

import importlib.metadata
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from vigie_standalone.embedded.cache import cache_dir
from vigie_standalone.errors import ServerNotFoundError


def find(names: Sequence[str], distributions: Sequence[str], variable: str) -> tuple[Path, str]:
    """The program and where it is from. `names` are tried in order on PATH, then in each distribution."""
    for name in names:
        if found := shutil.which(name):
            return Path(found), "PATH"
    for distribution in distributions:
        if found := _in_wheel(distribution, names):
            return executable(found), f"the {distribution} package"
    raise ServerNotFoundError(names[0], variable)


def executable(path: Path) -> Path:
    """The file made executable (some wheels forget to), or an executable copy when it is not ours to change."""
    if os.access(path, os.X_OK):
        return path
    try:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError:
        return _copied(path)
    return path


def _in_wheel(distribution: str, names: Sequence[str]) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = Path(str(file.locate()))
        # `bin` of the environment holds a launcher in some wheels; what lies in site-packages is the program.
        if file.name in names and ".." not in file.parts and path.is_file():
            return path
    return None


def _copied(path: Path) -> Path:
    copy = cache_dir() / f"{path.name}-{path.stat().st_size}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_suffix(f".{os.getpid()}")
        shutil.copyfile(path, partial)
        partial.chmod(0o755)
        partial.replace(copy)
    return copy
