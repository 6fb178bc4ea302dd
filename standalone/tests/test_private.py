"""The data directory and its secrets are their owner's alone, and nothing that is somebody else's is touched."""

import os
from pathlib import Path

import pytest
from vigie_standalone import private
from vigie_standalone.errors import StandaloneError
from vigie_standalone.home import Home


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_new_data_directory_is_closed_to_others(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    home.claim()
    home.release()
    assert mode(home.directory) == 0o700


def test_data_directory_of_an_earlier_version_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    directory, elsewhere = tmp_path / "before", tmp_path / "elsewhere"
    (directory / "servers" / "kafka").mkdir(parents=True)
    segment, program = directory / "servers" / "kafka" / "0.log", directory / "servers" / "run.sh"
    for path, rights in ((segment, 0o644), (program, 0o755), (elsewhere, 0o644), (directory / "lock", 0o644)):
        path.touch()
        path.chmod(rights)
    (directory / "link").symlink_to(elsewhere)
    directory.chmod(0o755)
    home = Home(directory)
    home.claim()
    home.release()
    assert [mode(directory), mode(segment.parent), mode(segment), mode(program)] == [0o700, 0o700, 0o600, 0o700]
    assert mode(elsewhere) == 0o644


@pytest.mark.parametrize("rights", [0o755, 0o1777])
def test_shared_directory_with_other_things_is_refused_and_left_alone(tmp_path: Path, rights: int) -> None:
    (tmp_path / "thesis.txt").touch(0o644)
    tmp_path.chmod(rights)
    with pytest.raises(StandaloneError, match=r"other users may read it.*--data-dir"):
        Home(tmp_path).claim()
    assert tmp_path.stat().st_mode & 0o7777 == rights
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_directory_that_others_may_write_is_refused_with_what_they_planted(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "lock").touch()
    directory.chmod(0o757)
    with pytest.raises(private.NotOursError, match="other users may have put something there"):
        private.own_directory(directory)


def test_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StandaloneError, match="belongs to another user"):
        private.own_directory(tmp_path)


def test_secret_is_made_once_private_and_never_empty(tmp_path: Path) -> None:
    path = tmp_path / "redis" / "password"
    made = private.kept_secret(path)
    assert len(made) == 64
    assert made.isalnum()
    assert private.kept_secret(path) == made
    assert [mode(path), mode(path.parent)] == [0o600, 0o700]
    path.write_text("")
    assert len(private.kept_secret(path)) == 64


def test_secret_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("kept\n")
    path.chmod(0o644)
    assert private.kept_secret(path) == "kept"
    assert mode(path) == 0o600
