"""The three servers Vigie needs: each from its environment variable when set, else embedded."""

import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vigie_standalone.embedded.jars import Progress
from vigie_standalone.embedded.kafka import VERSION as KAFKA_VERSION
from vigie_standalone.embedded.kafka import Kafka, login
from vigie_standalone.embedded.mongod import Mongo
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.redis import Redis


class Server(StrEnum):
    """What can be embedded; the value names its data directory."""

    KAFKA = "kafka"
    MONGODB = "mongodb"
    REDIS = "redis"


VARIABLES = {
    Server.KAFKA: "KAFKA_BOOTSTRAP_SERVERS",
    Server.MONGODB: "MONGODB_URI",
    Server.REDIS: "REDIS_URL",
}


@dataclass(frozen=True)
class Address:
    """Where a server is and where it comes from."""

    url: str
    source: str
    password: str = ""
    """Of an embedded Kafka, whose address cannot hold it as the URLs of the others do."""


class Servers:
    """Start what the environment does not name, all at once; stop only what was started here."""

    def __init__(
        self,
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        mongo_test_commands: bool = False,
        kafka_password: str | None = None,
        progress: Progress | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Once `stopping` is set nothing is fetched or started any more; a start that runs fails with StoppingError."""
        self._environment = os.environ if environment is None else environment
        self.addresses: dict[Server, Address] = {}
        self.kafka = Kafka(directory / Server.KAFKA, password=kafka_password, progress=progress, stopping=stopping)
        self.mongo = Mongo(
            directory / Server.MONGODB,
            database=self._environment.get("VIGIE_MONGODB_DATABASE") or "vigie",
            test_commands=mongo_test_commands,
            stopping=stopping,
        )
        self.redis = Redis(directory / Server.REDIS, stopping=stopping)

    def start(self, wanted: Iterable[Server] = tuple(Server)) -> dict[Server, Address]:
        """Addresses of the wanted servers, started concurrently where they are not running yet.

        When one fails, the others of this call are stopped and its error is raised.
        """
        missing = [server for server in wanted if server not in self.addresses]
        with ThreadPoolExecutor(max(1, len(missing)), "vigie-servers") as pool:
            pending = {server: pool.submit(self._start_one, server) for server in missing}
        failures = [error for future in pending.values() if (error := future.exception())]
        if failures:
            self.stop()
            raise failures[0]
        self.addresses |= {server: future.result() for server, future in pending.items()}
        return self.addresses

    def stop(self) -> None:
        """Stop what was started here: Redis, Kafka, MongoDB at once. May be called twice."""
        with ThreadPoolExecutor(3, "vigie-servers") as pool:
            for stop in (self.redis.stop, self.kafka.stop, self.mongo.stop):
                pool.submit(stop)
        self.addresses = {}

    def variables(self) -> dict[str, str]:
        """The environment variables that point a service at the started servers."""
        return variables(self.addresses)

    def processes(self) -> list[Process]:
        """The embedded processes, for status and logs."""
        redis = [self.redis.process] if self.redis.process else []
        return [*self.kafka.brokers, *self.mongo.members, *redis]

    def _start_one(self, server: Server) -> Address:
        variable = VARIABLES[server]
        if given := self._environment.get(variable):
            return Address(given, variable)
        match server:
            case Server.KAFKA:
                self.kafka.start()
                source = f"embedded Apache Kafka {KAFKA_VERSION}"
                return Address(self.kafka.bootstrap, source, self.kafka.password)
            case Server.MONGODB:
                self.mongo.start()
                return Address(self.mongo.uri, f"embedded mongod from {self.mongo.source}")
            case Server.REDIS:
                self.redis.start()
                return Address(self.redis.url, f"embedded {self.redis.program} from {self.redis.source}")


def variables(addresses: Mapping[Server, Address]) -> dict[str, str]:
    """The environment variables that point a service at the servers, and let it in."""
    found = {VARIABLES[server]: address.url for server, address in addresses.items()}
    password = addresses[Server.KAFKA].password if Server.KAFKA in addresses else ""
    return found | {f"VIGIE_{field.upper()}": value for field, value in login(password).items()}
