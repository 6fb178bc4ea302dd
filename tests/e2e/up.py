"""Start, stop and look into a `vigie up` the way a user does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process

from tests.kit.processes import http_ready

START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 90.0
SERVERS = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "REDIS_URL")


def command(*arguments: str) -> list[str]:
    """The `vigie` command of this environment."""
    return [sys.executable, "-m", "vigie_standalone", *arguments]


class Up:
    """One data directory, and the `vigie up` on it."""

    def __init__(self, directory: Path, *, demo: bool = False, env: Mapping[str, str] | None = None) -> None:
        """`env` is added to the environment."""
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Its own, embedded servers.
        environment = {k: v for k, v in os.environ.items() if k not in SERVERS and not k.startswith("VIGIE_KAFKA_")}
        environment |= env or {}
        self.process = Process(
            "vigie-up",
            command(
                "up", "--demo" if demo else "--no-demo", "--port", str(self.port), "--data-dir", str(directory / "home")
            ),
            log_path=directory / "up.log",
            ready=http_ready(f"{self.url}/health/ready"),
            env=environment,
        )

    def start(self) -> None:
        """Start it; returns when the front door is ready and says so."""
        self.process.start(START_TIMEOUT_S)
        end = time.monotonic() + START_TIMEOUT_S
        while "Vigie is up" not in self.output():
            if time.monotonic() > end or not self.process.alive:
                raise AssertionError(f"no banner: {self.process.log_tail()}")
            time.sleep(0.1)

    def output(self) -> str:
        """Everything it has printed."""
        return self.process.log_path.read_text(encoding="utf-8", errors="replace")

    def admin_password(self) -> str:
        """A new one of the administrator: the first was shown to nobody, because the output is a file."""
        assert "with the password" not in self.output()
        reset = self.vigie("admin", "reset-password")
        assert reset.returncode == 0, reset.stderr
        return reset.stdout.strip()

    def processes(self) -> list[psutil.Process]:
        """Itself and everything below it."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def interrupt(self) -> int | None:
        """Ctrl-C, and wait until it is gone; its exit code."""
        self.process.signal(signal.SIGINT)
        end = time.monotonic() + STOP_TIMEOUT_S
        while self.process.alive:
            if time.monotonic() > end:
                raise AssertionError(f"still there after {STOP_TIMEOUT_S:g} s: {self.process.log_tail()}")
            time.sleep(0.1)
        return self.process.returncode

    def run_file(self) -> dict[str, Any]:
        """What it tells other commands."""
        return json.loads((self.directory / "home" / "run.json").read_text(encoding="utf-8"))

    def vigie(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Another `vigie` command on the same data directory."""
        return subprocess.run(
            command(*arguments, "--data-dir", str(self.directory / "home")),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kill(self) -> None:
        """SIGKILL; its children die with it."""
        self.process.kill()
