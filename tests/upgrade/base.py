"""The last release with an environment of its own, as an operator has it who has not upgraded yet."""

from __future__ import annotations

import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BASE: Final = Path(__file__).with_name("BASE")
_SYNC_S: Final = 900


class BaseNotFoundError(Exception):
    """The commit of the release is not to be had here, as a sentence."""


@dataclass(frozen=True)
class Release:
    """A commit, and the Python that runs its services."""

    commit: str
    python: Path


def commit() -> str:
    """The line of the file BASE that is no comment."""
    [line] = [line for line in BASE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return line


def install(directory: Path) -> Release:
    """Put the release into a new directory, with what its own lock says. Raises BaseNotFoundError."""
    wanted = commit()
    directory.mkdir(parents=True)
    archive = directory.with_suffix(".tar")
    packed = subprocess.run(
        ["git", "archive", "--output", archive, wanted], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if packed.returncode:
        raise BaseNotFoundError(
            f"the commit {wanted} of tests/upgrade/BASE is not in this repository; a shallow clone gets it by"
            f" `git fetch --unshallow`. git said: {packed.stderr.strip()}"
        )
    with tarfile.open(archive) as files:
        files.extractall(directory, filter="data")
    archive.unlink()
    # The wrapper of today: it has its uv already, and reads the lock of the release as that release does.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["UV_PROJECT_ENVIRONMENT"] = str(directory / ".venv")
    subprocess.run(
        [ROOT / "tools/uv", "sync", "--quiet", "--frozen", "--no-dev"],
        cwd=directory, env=environment, check=True, timeout=_SYNC_S,
    )  # fmt: skip
    python = directory / ".venv/bin/python"
    shown = [python, "-c", "import vigie_ingest; print(vigie_ingest.__file__)"]
    module = subprocess.run(shown, cwd=directory, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(module).is_relative_to(directory), f"the release would run {module}"
    return Release(wanted, python)
