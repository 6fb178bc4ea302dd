"""The data directory: one holder, a run file that is never believed blindly, a reset that deletes only ours."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner
from vigie_standalone.cli import app
from vigie_standalone.home import (
    AlreadyRunningError,
    DamagedRunFileError,
    DataDirectoryError,
    Home,
    Run,
    this_process,
    without_password,
)


def test_second_start_is_refused_with_the_way_out(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    first.claim()
    first.write(this_process("http://localhost:3000"))
    with pytest.raises(AlreadyRunningError, match=rf"process {os.getpid()}, http://localhost:3000.*vigie down"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_run_file_of_a_process_that_is_gone_is_stale(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write(Run(2**22 - 3, 1.0, "http://localhost:3000"))
    assert home.running() is None
    home.claim()
    home.release()


def test_run_file_of_a_reused_process_id_is_stale(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write(replace(this_process("http://x"), started=this_process("http://x").started - 3600))
    assert home.running() is None


GOOD = {"pid": 1, "started": 1.0, "url": "http://x", "servers": {}, "processes": {}, "anonymous": "nothing"}
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"17",
    b"\xff\xfe\x00",
    b'{"pid": 1, "started": 1.0, "url": "\xff"}',
    b"[" * 100_000,
    b'{"pid": 1}',
    *(
        json.dumps({**GOOD, **bad}).encode()
        for bad in (
            {"other": 2},
            *({"pid": pid} for pid in (-1, 0, 2**31, 10**30, "1", 1.5, True, None, [1], {})),
            {"started": "now"},
            {"started": None},
            {"url": 3},
            {"servers": []},
            {"servers": {"kafka": "x"}},
            {"servers": {"kafka": {"url": "x"}}},
            {"processes": ["front"]},
            {"processes": {"front": -1}},
            {"processes": {"front": "7"}},
            {"anonymous": 1},
        )
    ),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_run_file_is_no_run(tmp_path: Path, text: bytes) -> None:
    home = Home(tmp_path)
    home.run_file.write_bytes(text)
    assert home.running() is None
    for command in ("status", "down"):
        done = CliRunner().invoke(app, [command, "--data-dir", str(tmp_path)])
        assert isinstance(done.exception, SystemExit | None)
        assert "No Vigie runs on" in done.output
    home.claim()  # and does not stop the next start
    home.write(this_process("http://x"))
    assert home.running()
    home.release()


def test_damaged_run_file_of_a_vigie_that_runs_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.claim()
    home.run_file.write_bytes(b"\xff")
    for look in (Home(tmp_path).running, Home(tmp_path).claim):
        with pytest.raises(DamagedRunFileError, match=r"run.json is damaged.*pgrep"):
            look()
    home.release()


@pytest.mark.parametrize("name", ["lock", "run.json", "run.partial"])
def test_directory_where_a_file_belongs_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DataDirectoryError, match=rf"{name} cannot be used: it is a directory"):
        Home(tmp_path).claim()
    if name == "run.json":
        with pytest.raises(DataDirectoryError, match="Is a directory"):
            Home(tmp_path).running()


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"-1", b"pid", b"1.5", b"[1]"])
def test_content_of_the_lock_file_means_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    home = Home(tmp_path)
    home.claim()
    home.release()


COMMANDS = [["up"], ["up", "--reset", "--yes"], ["status"], ["down"], ["demo"], ["incident"], ["incident", "--clear"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_file_as_data_directory_is_a_sentence(tmp_path: Path, command: list[str], below: str) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path / "file" / below)])
    assert isinstance(done.exception, DataDirectoryError)
    assert "not a directory" in str(done.exception).lower()
    assert "--data-dir" in str(done.exception)


@pytest.mark.parametrize("command", [["up"], ["demo"]], ids=" ".join)
def test_read_only_data_directory_is_a_sentence(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: object, **__: object) -> None:  # root may write where the mode says no
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", refused)
    done = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path / "vigie")])
    assert isinstance(done.exception, DataDirectoryError)
    assert "Read-only file system" in str(done.exception)


def test_what_the_system_refuses_elsewhere_stays_an_error_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Home(tmp_path / "vigie").usable():
        (tmp_path / "elsewhere").read_text()


def test_run_file_is_private_and_survives_the_round_trip(tmp_path: Path) -> None:
    home = Home(tmp_path)
    run = replace(this_process("http://x"), processes={"front": 12}, servers={"redis": {"url": "r", "source": "s"}})
    home.write(run)
    assert home.running() == run
    assert home.run_file.stat().st_mode & 0o077 == 0


def test_reset_deletes_the_data_and_nothing_of_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "servers" / "kafka").mkdir(parents=True)
    (tmp_path / "servers" / "kafka" / "data").touch()
    (tmp_path / "backfilled").touch()
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RuntimeError, match="only the holder"):
        home.reset()
    home.claim()
    home.reset()
    home.release()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "lock"}


def test_passwords_are_not_shown() -> None:
    assert without_password("mongodb://ann:secret@db:27017/?a=b") == "mongodb://ann:***@db:27017/?a=b"
    assert without_password("redis://:secret@r:6379/0") == "redis://:***@r:6379/0"
    assert without_password("127.0.0.1:9092") == "127.0.0.1:9092"


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    (directory / "lock").symlink_to(victim)
    with pytest.raises(DataDirectoryError):
        Home(directory).claim()
    assert victim.read_text() == "precious"
