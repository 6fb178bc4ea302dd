"""kafka, mongodb and redis over TLS, against the real servers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes.base import EXPIRY, Outcome, Question, Way, ask
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.probes.trust import Trust
from vigie_runtime.egress import Egress
from vigie_standalone.embedded import jars
from vigie_standalone.embedded.cache import cache_dir
from vigie_standalone.embedded.kafka import VERSION, _java, random_kafka_id, render
from vigie_standalone.embedded.mongod import find_mongod
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.redis import find_redis
from vigie_standalone.errors import ServerNotFoundError

from services.healthcheck.tests.asking import nobody
from services.healthcheck.tests.certificates import Authority
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
    import socket

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


async def test_redis_over_tls(certificate: Path, tmp_path: Path) -> None:
    port = free_port()
    try:
        program, _ = find_redis()
    except ServerNotFoundError as e:
        pytest.skip(str(e))
    command: list[str | Path] = [program, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--tls-cert-file", certificate, "--tls-key-file", certificate, "--tls-ca-cert-file", certificate]
    command += ["--tls-auth-clients", "no", "--requirepass", PASSWORD, "--dir", tmp_path]
    if b"BUILD_TLS" in _said([program, "--tls-port", "0", "--port", "0", "--version"]):
        pytest.skip("this redis-server is built without TLS")
    with running("redis", command, tmp_path, port):
        await judged("redis", f"rediss://127.0.0.1:{port}", ("", PASSWORD))
        got = await outcome("redis", f"rediss://127.0.0.1:{port}", AUTHORITY.trust(), ("", "wr0ng"))
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
        await judged("mongodb", f"mongodb://127.0.0.1:{port}/?tls=true")
        got = await outcome("mongodb", f"mongodb://127.0.0.1:{port}/", AUTHORITY.trust())
        assert (got.verdict, got.reason) == (Verdict.DOWN, "the connection was closed without an answer")


async def test_kafka_over_tls_with_logins_by_scram(certificate: Path, tmp_path: Path) -> None:
    classpath = await asyncio.to_thread(
        lambda: os.pathsep.join(map(str, jars.ensure(cache_dir() / f"kafka-{VERSION}", jars.read_lock())))
    )
    port, controller, properties = free_port(), free_port(), tmp_path / "server.properties"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    properties.write_text(
        render(
            {
                "process.roles": "broker,controller",
                "node.id": 1,
                "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
                "listeners": f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
                "controller.listener.names": "CONTROLLER",
                "inter.broker.listener.name": "SASL_SSL",
                "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
                "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
                "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(certificate),
                "log.dirs": str(tmp_path / "data"),
                "offsets.topic.replication.factor": 1,
            }
        )
    )
    certificate.write_bytes(_key_first(certificate.read_bytes()))
    users = [f"{name}=[name=bob,password={PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    format_ = [*_java(64, classpath), "kafka.tools.StorageTool", "format", "--standalone", "-t", random_kafka_id()]
    format_ += ["-c", str(properties), *(word for user in users for word in ("--add-scram", user))]
    await asyncio.to_thread(_said, format_)
    command: list[str | Path] = [*_java(320, classpath), "kafka.Kafka", str(properties)]
    with running("kafka", command, tmp_path, port):
        url = f"kafkas://127.0.0.1:{port}"
        for mechanism in ("SCRAM-SHA-256", "scram-sha-512"):
            for trust, login, wanted in (
                (AUTHORITY.trust(), ("bob", PASSWORD), ""),
                (AUTHORITY.trust(), ("bob", "wr0ng"), WRONG),
                (AUTHORITY.trust(), ("nobody", PASSWORD), WRONG),
                (Trust(nobody), ("bob", PASSWORD), NO_ISSUER),
            ):
                got = await outcome("kafka", url, trust, login, saslMechanism=mechanism)
                assert (got.verdict, got.reason) == (Verdict.DOWN if wanted else Verdict.UP, wanted), (mechanism, login)
        got = await outcome("kafka", url, AUTHORITY.trust(), ("bob", PASSWORD), saslMechanism="SCRAM-SHA-256")
        assert (got.facts["probe_kafka_brokers"], got.facts[EXPIRY] > time.time()) == (1.0, True)
        got = await outcome("kafka", url, AUTHORITY.trust())
        assert (got.verdict, got.reason) == (Verdict.UP, ""), "who does not log in learns that it is there"


def _key_first(pem: bytes) -> bytes:
    """As Kafka wants it."""
    certificate, marker, key = pem.partition(b"-----BEGIN PRIVATE KEY-----")
    return marker + key + certificate


def _said(command: list[str | Path]) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603 - the command is ours
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout + done.stderr
