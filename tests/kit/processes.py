"""Start a Python module of ours as a real process, wait until it is ready, kill it."""

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from vigie_standalone.embedded.process import Process

from tests.kit.wait import unique


def http_ready(url: str) -> Callable[[], bool]:
    """A ready check: the URL answers 2xx."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return 200 <= answer.status < 300
        except (OSError, urllib.error.URLError):
            return False

    return check


def port_open(port: int, host: str = "127.0.0.1") -> Callable[[], bool]:
    """A ready check: something listens."""

    def check() -> bool:
        try:
            with socket.create_connection((host, port), 1):
                return True
        except OSError:
            return False

    return check


class Spawner:
    """Processes of one test; all are killed at its end."""

    def __init__(self, directory: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        """`environment` is asked at every start: servers may be started in between."""
        self._directory = directory
        self._environment = environment
        self._processes: list[Process] = []

    def module(
        self,
        module: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
        timeout: float = 60.0,
    ) -> Process:
        """`python -m module arguments...` with this process's environment and `env` on top.

        Returns when `ready()` is true (at once when None). The process has pid, alive, kill(), pause(), resume(),
        stop(), restart(), returncode and log_tail().
        """
        process = Process(
            unique(module),
            [sys.executable, "-m", module, *arguments],
            log_path=self._directory / f"{unique(module)}.log",
            ready=ready or (lambda: True),
            env={**os.environ, **self._environment(), **(env or {})},
        )
        self._processes.append(process)
        process.start(timeout)
        return process

    def kill_all(self) -> None:
        """SIGKILL whatever still runs."""
        for process in self._processes:
            process.kill()
