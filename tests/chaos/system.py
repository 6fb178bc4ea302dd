"""Vigie as real processes on servers of its own: every one can be killed, stopped, and started again where it was."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from vigie_standalone.embedded.kafka import Kafka
from vigie_standalone.embedded.mongod import Mongo
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.redis import Redis

from tests.chaos import stored
from tests.kit import kafka_login
from tests.kit.processes import http_ready
from tests.kit.wait import unique

START_TIMEOUT_S = 90.0
# Short enough that tests see what happens when a session ends; the brokers of the tests allow it. A member that was
# killed holds up its group for so long.
SESSION_TIMEOUT_MS = 3_000


@dataclass(frozen=True)
class Addresses:
    """The servers a system runs on."""

    kafka: str
    mongodb: str
    redis: str

    def variables(self) -> dict[str, str]:
        """As every service reads them."""
        urls = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "MONGODB_URI": self.mongodb, "REDIS_URL": self.redis}
        return urls | kafka_login.variables()


class OwnServers:
    """Brokers, members and a Redis that belong to one system alone."""

    def __init__(self, directory: Path, *, brokers: int = 1, members: int = 1) -> None:
        self.kafka = Kafka(directory / "kafka", nodes=brokers, password=kafka_login.PASSWORD)
        self.mongo = Mongo(directory / "mongodb", members=members, test_commands=True)
        self.redis = Redis(directory / "redis")

    def start(self) -> Addresses:
        """Start all at once."""
        with ThreadPoolExecutor(3) as pool:
            for started in [pool.submit(s.start) for s in (self.kafka, self.mongo, self.redis)]:
                started.result()
        return Addresses(self.kafka.bootstrap, self.mongo.uri, self.redis.url)

    def kill(self) -> None:
        """SIGKILL all."""
        for server in (self.redis, self.kafka, self.mongo):
            server.kill()


class Services:
    """Gateways, aggregators, apis and alertings of one database and tenant. `environment` is for all of them."""

    def __init__(
        self,
        directory: Path,
        addresses: Addresses,
        database: str,
        tenant: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.addresses = addresses
        self.database = database
        self.tenant = tenant
        self.group = unique("aggregators")
        """Of the aggregators: members that were killed with other services on the same servers do not hold it up."""
        self.rules = unique("rules")
        """Topic of the rules, and group of those who evaluate them."""
        self.environment = dict(environment or {})
        self.gateways: list[Process] = []
        self.aggregators: list[Process] = []
        self.apis: list[Process] = []
        self.alertings: list[Process] = []
        self.others: dict[str, list[Process]] = {}
        """Those of further services, by name of the service."""
        self.urls: dict[str, str] = {}
        self.python: str | Path = sys.executable
        """Runs what is started from now on; that of another environment starts its release."""

    def start(self, *, gateways: int = 0, aggregators: int = 0, apis: int = 0, alertings: int = 0) -> None:
        """Start so many of each; returns when all are ready."""
        new = [self.gateway(launch=False) for _ in range(gateways)]
        new += [self.aggregator(launch=False) for _ in range(aggregators)]
        new += [self.api(launch=False) for _ in range(apis)]
        new += [self.alerting(launch=False) for _ in range(alertings)]
        for process in new:
            process.launch()
        for process in new:
            process.wait_ready(START_TIMEOUT_S)

    def gateway(self, environment: Mapping[str, str] | None = None, *, launch: bool = True) -> Process:
        """One more ingest process."""
        process = self._http(f"ingest-{len(self.gateways)}", "ingest", environment)
        self.gateways.append(process)
        return _started(process, launch=launch)

    def api(self, environment: Mapping[str, str] | None = None, *, launch: bool = True) -> Process:
        """One more api process."""
        process = self._http(f"api-{len(self.apis)}", "api", environment)
        self.apis.append(process)
        return _started(process, launch=launch)

    def alerting(self, environment: Mapping[str, str] | None = None, *, launch: bool = True) -> Process:
        """One more alerting process. Its webhooks may lead to this machine, and nobody needs a credential to configure
        it."""
        own = {
            "VIGIE_ANONYMOUS": f"{self.tenant}:read,write,configure",
            "VIGIE_ALERT_NETWORKS": "127.0.0.0/8",
            "VIGIE_RULES_TOPIC": self.rules,
            "VIGIE_ALERTING_GROUP": self.rules,
            "VIGIE_ALERTING_CANARY": "false",  # it would come to the points at which a process is killed
        }
        process = self._http(f"alerting-{len(self.alertings)}", "alerting", {**own, **(environment or {})})
        self.alertings.append(process)
        return _started(process, launch=launch)

    def aggregator(self, environment: Mapping[str, str] | None = None, *, launch: bool = True) -> Process:
        """One more aggregator."""
        name, port = f"aggregator-{len(self.aggregators)}", free_port()
        env = {"VIGIE_AGGREGATOR_PORT": str(port), **(environment or {})}
        process = self._process(name, "vigie_aggregator", port, env)
        self.aggregators.append(process)
        return _started(process, launch=launch)

    def other(self, service: str, environment: Mapping[str, str] | None = None) -> Process:
        """One more process of another service that answers HTTP: healthcheck, push."""
        running = self.others.setdefault(service, [])
        process = self._http(f"{service}-{len(running)}", service, environment)
        running.append(process)
        return _started(process, launch=True)

    @property
    def gateway_urls(self) -> list[str]:
        """Where requests go."""
        return [self.urls[process.name] for process in self.gateways]

    def processes(self) -> list[Process]:
        """All of them."""
        others = [process for running in self.others.values() for process in running]
        return [*self.gateways, *self.aggregators, *self.apis, *self.alertings, *others]

    def kill(self) -> None:
        """SIGKILL all."""
        for process in self.processes():
            process.kill()

    def _http(self, name: str, service: str, environment: Mapping[str, str] | None) -> Process:
        port, upper = free_port(), service.upper()
        own = {f"VIGIE_{upper}_HOST": "127.0.0.1", f"VIGIE_{upper}_PORT": str(port)}
        return self._process(name, f"vigie_{service}", port, {**own, **(environment or {})})

    def _process(self, name: str, module: str, port: int, environment: Mapping[str, str]) -> Process:
        self.urls[name] = f"http://127.0.0.1:{port}"
        return Process(
            name,
            [self.python, "-m", module],
            log_path=self.directory / f"{name}.log",
            ready=http_ready(f"{self.urls[name]}/health/ready"),
            env={
                **os.environ,
                **self.addresses.variables(),
                "VIGIE_MONGODB_DATABASE": self.database,
                "VIGIE_DEFAULT_TENANT": self.tenant,
                "VIGIE_ANONYMOUS": f"{self.tenant}:read,write,telemetry",
                "VIGIE_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
                "VIGIE_AGGREGATOR_GROUP": self.group,
                # Coarse tiers follow soon, so that no test waits half a minute for them.
                "VIGIE_COARSE_INTERVAL_S": "1.5",
                **self.environment,
                **environment,
            },
        )


def _started(process: Process, *, launch: bool) -> Process:
    if launch:
        process.start(START_TIMEOUT_S)
    return process


def connect(addresses: Addresses, database: str) -> tuple[AsyncMongoClient[dict[str, Any]], stored.Database]:
    """A client of the verifier's own; close it."""
    client = AsyncMongoClient[dict[str, Any]](addresses.mongodb, serverSelectionTimeoutMS=30_000)
    return client, client[database]
