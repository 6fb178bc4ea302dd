"""The data directory: one holder, a run file that is never believed blindly, a reset that deletes only ours."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from vigie_standalone.home import AlreadyRunningError, Home, Run, this_process, without_password


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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "started": 1, "url": "", "other": 2}'])
def test_damaged_run_file_is_no_run(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.run_file.write_text(text)
    assert home.running() is None


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
