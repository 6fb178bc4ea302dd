"""`vigie up` from start to stop, with real servers and a small web server in place of the services."""

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from vigie_standalone.home import Home, Run

from tests.kit import eventually_sync, free_port

pytestmark = [pytest.mark.connected, pytest.mark.timeout(400)]

MADE = "the administrator admin was made; `vigie admin reset-password` shows you a password"
SCRIPT = """
    import sys
    from pathlib import Path
    from vigie_standalone.probes import http_ready
    from vigie_standalone.services import Context, Options
    from vigie_standalone.supervisor import Unit
    from vigie_standalone.up import run

    def units(context: Context) -> list[list[Unit]]:
        if "broken" in sys.argv:
            return [[Unit(context.module("web", ["no_such_module"], lambda: False))]]
        port = str(context.options.port)
        ready = http_ready(f"http://127.0.0.1:{port}/")
        return [[Unit(context.module("web", ["http.server", port, "--bind", "127.0.0.1"], ready))]]

    sys.exit(run(Options(Path(sys.argv[1]), int(sys.argv[2])), units))
"""


class Up:
    """A running `vigie up` on a directory of its own."""

    def __init__(self, directory: Path, *more: str, terminal: bool = False) -> None:
        """Its output goes to a file, or to a terminal first."""
        self.home = Home(directory)
        self.port = free_port()
        self.output = directory.parent / "output.log"
        with self.output.open("ab") as output:
            screen, slave = pty.openpty() if terminal else (None, output.fileno())
            self.popen = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(SCRIPT), str(directory), str(self.port), *more],
                stdout=slave,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "TERM": "dumb"},
            )
        if screen is not None:
            os.close(slave)
            threading.Thread(target=copied, args=(screen, self.output), daemon=True).start()

    def text(self) -> str:
        return self.output.read_text()

    def wait_up(self) -> Run:
        def run() -> Run | None:
            assert self.popen.poll() is None, self.text()
            found = self.home.running()
            return found if found and found.processes else None

        return eventually_sync(run, 300, retry_on=())

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(20)


def copied(screen: int, output: Path) -> None:
    """What the terminal shows, until nobody writes to it any more."""
    with output.open("ab") as file, suppress(OSError):
        while some := os.read(screen, 4096):
            file.write(some)
            file.flush()
    os.close(screen)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "vigie"


@pytest.fixture
def up(directory: Path) -> Iterator[Up]:
    started = Up(directory)
    yield started
    started.kill()


def vigie(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vigie_standalone", command, "--data-dir", str(directory)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_everything_starts_answers_restarts_what_dies_and_stops_without_remains(up: Up, directory: Path) -> None:
    run = up.wait_up()
    assert set(run.processes) == {"kafka", "mongod-1", "redis", "web"}
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/") as answer:
        assert answer.status == 200
    eventually_sync(lambda: "Vigie is up" in up.text())
    assert MADE in up.text()
    assert "with the password" not in up.text(), "a file is kept and passed on"
    assert "Without a credential callers may read and write in the tenant default" in up.text()

    second = Up(directory)
    assert second.popen.wait(30) != 0
    assert "Vigie runs already" in up.text()

    os.kill(run.processes["redis"], signal.SIGKILL)
    os.kill(run.processes["web"], signal.SIGKILL)
    again = eventually_sync(lambda: restarted(up, run, {"redis", "web"}), 60)
    assert again.servers == run.servers

    status = vigie("status", directory)
    assert "is not ready" in status.stdout  # the web server of this test knows no /health/ready
    assert str(again.processes["redis"]) in status.stdout
    assert "callers may read and write in the tenant default" in status.stdout

    assert "its data is kept" in vigie("down", directory).stdout
    assert up.popen.wait(60) == 0
    assert not up.home.run_file.exists()
    assert gone(list(again.processes.values()))
    text = up.text()
    assert text.index("web stopped") < text.index("kafka stopped")


def restarted(up: Up, before: Run, names: set[str]) -> Run | None:
    now = up.home.running()
    return now if now and all(now.processes[name] != before.processes[name] for name in names) else None


def test_killed_supervisor_takes_everything_along_and_the_next_start_goes_on(up: Up, directory: Path) -> None:
    run = up.wait_up()
    cluster = (directory / "servers" / "kafka" / "cluster-id").read_text()
    eventually_sync(lambda: "Vigie is up" in up.text())
    up.popen.kill()
    up.popen.wait(10)
    eventually_sync(lambda: gone(list(run.processes.values())), 20)
    assert json.loads(up.home.run_file.read_text())["pid"] == run.pid  # stale, and known to be

    later = Up(directory)
    try:
        assert later.wait_up().servers == run.servers
        assert (directory / "servers" / "kafka" / "cluster-id").read_text() == cluster
        eventually_sync(lambda: later.text().count("Vigie is up") == 2)  # both runs write to one file
        assert later.text().count(MADE) == 1
    finally:
        later.kill()


def test_start_that_fails_still_shows_the_password_that_nobody_else_has(directory: Path) -> None:
    failing = Up(directory, "broken", terminal=True)
    assert failing.popen.wait(300) != 0
    assert "Vigie is up" not in failing.text()
    eventually_sync(lambda: failing.text().count("log in as admin with the password") == 1)


def test_ctrl_c_during_the_start_ends_it_at_once_and_launches_nothing_more(up: Up) -> None:
    eventually_sync(lambda: "starting Kafka" in up.text(), 60, interval=0.01)
    up.popen.send_signal(signal.SIGINT)  # Kafka's jars are being checked, or its directory formatted
    assert up.popen.wait(60) == 0
    assert "stopped; the data is kept" in up.text().splitlines()[-1]
    assert not list(up.home.directory.glob("servers/kafka/node-*/kafka.log"))
    assert not up.home.run_file.exists()
    assert "Traceback" not in up.text()


def test_second_ctrl_c_kills_what_will_not_stop(up: Up) -> None:
    run = up.wait_up()
    os.kill(run.processes["kafka"], signal.SIGSTOP)  # a stop would have to wake it up first
    os.kill(run.processes["web"], signal.SIGSTOP)
    up.popen.send_signal(signal.SIGINT)
    eventually_sync(lambda: "press Ctrl-C again" in up.text())
    eventually_sync(lambda: up.popen.send_signal(signal.SIGINT) or up.popen.poll() is not None, 30, interval=0.3)
    assert up.popen.returncode in (0, 130)
    eventually_sync(lambda: gone(list(run.processes.values())), 20)
    assert not up.home.run_file.exists()


def test_ctrl_c_that_arrives_twice_at_once_is_one(up: Up) -> None:
    up.wait_up()
    up.popen.send_signal(signal.SIGINT)
    up.popen.send_signal(signal.SIGTERM)
    assert up.popen.wait(60) == 0
    assert "killing" not in up.text()
