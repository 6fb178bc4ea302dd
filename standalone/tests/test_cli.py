"""The command line itself."""

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from vigie_standalone.cli import _kafka, seconds
from vigie_standalone.demo.control import Control
from vigie_standalone.home import Home, this_process


def vigie(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vigie_standalone", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = vigie("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(
        name in done.stdout for name in ("up", "status", "down", "demo", "incident", "dead", "admin", "tenant", "key")
    )


def test_help_loads_none_of_the_heavy_libraries() -> None:
    heavy = "{'numpy', 'pymongo', 'aiokafka', 'uvicorn', 'jgo'}"
    code = f"import sys, vigie_standalone.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_kafka_of_the_running_vigie_is_known_with_its_password_and_no_other_gets_it(tmp_path: Path) -> None:
    known = {"kafka": {"url": "127.0.0.1:9092", "source": "embedded", "password": "s3cret"}}
    Home(tmp_path).write(replace(this_process("http://x"), servers=known))
    assert _kafka(tmp_path, "") == _kafka(tmp_path, "127.0.0.1:9092") == ("127.0.0.1:9092", "s3cret")
    assert _kafka(tmp_path, "kafka.example:9092") == ("kafka.example:9092", "")


def test_status_and_down_without_a_run_are_sentences(tmp_path: Path) -> None:
    status = vigie("status", cwd=tmp_path)
    assert status.returncode == 3
    assert "vigie up" in status.stdout
    assert vigie("down", cwd=tmp_path).returncode == 0


def test_taken_port_is_a_sentence_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = vigie("up", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert f"--port {port + 1}" in done.stderr
    assert not (tmp_path / ".vigie" / "run.json").exists()


def test_reset_asks_and_a_no_keeps_the_data(tmp_path: Path) -> None:
    kept = tmp_path / ".vigie" / "servers" / "data"
    kept.parent.mkdir(parents=True)
    kept.touch()
    done = vigie("up", "--reset", cwd=tmp_path)  # nobody answers
    assert done.returncode == 1
    assert kept.exists()


def test_incidents_are_listed_begun_and_ended(tmp_path: Path) -> None:
    with Control(tmp_path / ".vigie" / "incidents.json").followed():
        assert "payment-outage for 2m" in vigie("incident", "payment-outage", "--for", "2m", cwd=tmp_path).stdout
        assert "payment-outage  ON" in vigie("incident", cwd=tmp_path).stdout
        assert vigie("incident", "--clear", cwd=tmp_path).stdout == "All incidents are over.\n"
        listed = vigie("incident", cwd=tmp_path)
    assert "ON" not in listed.stdout
    assert listed.stderr == ""


def test_incident_where_no_simulator_runs_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    says = f"No Vigie runs on {tmp_path / '.vigie'}. Start it with `vigie up`.\n"
    begun = vigie("incident", "payment-outage", cwd=tmp_path)
    assert (begun.returncode, begun.stdout) == (3, says)
    cleared = vigie("incident", "--clear", cwd=tmp_path)
    assert (cleared.returncode, cleared.stdout) == (0, says)
    listed = vigie("incident", cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, says)
    assert "payment-outage" in listed.stdout
    wrong = vigie("incident", "earthquake", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "There is no incident 'earthquake'" in wrong.stderr
    assert not (tmp_path / ".vigie").exists()


def test_incident_where_vigie_runs_without_its_simulator_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path / ".vigie")
    home.claim()
    home.write(this_process("http://localhost:3000"))
    begun = vigie("incident", "payment-outage", cwd=tmp_path)
    home.release()
    assert begun.returncode == 3
    assert "runs without its simulator" in begun.stdout


def test_durations_are_read_or_refused() -> None:
    assert [seconds(text) for text in ("90", "90s", "15m", "1h", "2d")] == [90, 90, 900, 3600, 172_800]
    with pytest.raises(typer.BadParameter):
        seconds("soon")
