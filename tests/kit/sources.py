"""Where the tests' servers come from: the environment, Docker when asked for, else embedded."""

import os
import time
from pathlib import Path
from threading import Lock

from vigie_standalone.embedded.servers import VARIABLES, Address, Server, Servers, variables

from tests.kit.docker import DOCKER_VARIABLE, DockerServers
from tests.kit.kafka_login import PASSWORD


class TestServers:
    """Servers of one test session, each started when a test first asks for it."""

    __test__ = False  # not a test class, whatever its name says

    def __init__(self, directory: Path) -> None:
        self._embedded = Servers(directory, mongo_test_commands=True, kafka_password=PASSWORD)
        self._docker = DockerServers()
        self._lock = Lock()
        self.used: dict[Server, tuple[Address, float]] = {}

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self._url(Server.KAFKA)

    @property
    def mongo_uri(self) -> str:
        """A replica set's connection string."""
        return self._url(Server.MONGODB)

    @property
    def redis_url(self) -> str:
        """A Redis URL."""
        return self._url(Server.REDIS)

    def variables(self) -> dict[str, str]:
        """Environment variables for a process that needs the servers started so far."""
        return variables({server: address for server, (address, _) in self.used.items()})

    def stop(self) -> None:
        """Stop what this session started."""
        self._embedded.stop()
        self._docker.stop()

    def _url(self, server: Server) -> str:
        with self._lock:
            if server not in self.used:
                begin = time.monotonic()
                self.used[server] = (self._start(server), time.monotonic() - begin)
            return self.used[server][0].url

    def _start(self, server: Server) -> Address:
        if not os.environ.get(VARIABLES[server]) and os.environ.get(DOCKER_VARIABLE) == "1":
            return self._docker.address(server)
        return self._embedded.start([server])[server]


def plan(server: Server) -> str:
    """What a session will use for the server, before it is started."""
    variable = VARIABLES[server]
    if os.environ.get(variable):
        return f"{variable} from the environment"
    if os.environ.get(DOCKER_VARIABLE) == "1":
        return f"a container ({DOCKER_VARIABLE}=1)"
    return "embedded"
