"""What browsers are told, over a real socket: headers on every answer, other origins by settings, TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from vigie_runtime.settings import HttpSettings
from vigie_web.security import ALWAYS, ReferencePages
from vigie_web.server import config

ELSEWHERE = "https://app.example.com"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    request = Request(scope)
    if request.url.path == "/docs":
        await HTMLResponse("<p>reference</p>")(scope, receive, send)
    else:
        await PlainTextResponse(f"{request.method} {request.url.scheme}", headers={"retry-after": "1"})(
            scope, receive, send
        )


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def settings(**more: Any) -> HttpSettings:
    return HttpSettings(kafka_bootstrap_servers="a:1", mongodb_uri="mongodb://m", redis_url="redis://r", **more)


@asynccontextmanager
async def served(
    *, verify: ssl.SSLContext | bool = True, connections: int = 100, **more: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that `vigie_web.server` configures."""
    made = config(ReferencePages(app), settings(**more), "127.0.0.1", 0, connections)
    made.lifespan = "off"
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(made)
    task = asyncio.create_task(server.serve([listening]))
    scheme = "https" if made.is_ssl else "http"
    try:
        base_url = f"{scheme}://localhost:{listening.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=base_url, verify=verify, trust_env=False, timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        await task
        listening.close()


async def test_every_answer_carries_the_headers_once() -> None:
    async with served() as client:
        for answer in (await client.get("/"), await client.head("/"), await client.post("/x", content=b"1")):
            for name, value in ALWAYS:
                assert answer.headers.get_list(name.decode()) == [value.decode()]
            assert "strict-transport-security" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers


async def test_what_the_server_itself_refuses_carries_them_too() -> None:
    async with served() as client, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("localhost", client.base_url.port)
        writer.write(b"no HTTP at all\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert all(b"%b: %b\r\n" % header in head for header in ALWAYS)


async def test_a_page_of_the_reference_adds_a_policy_of_its_own() -> None:
    async with served() as client:
        both = (await client.get("/docs")).headers.get_list("content-security-policy")
        assert both[0] == "frame-ancestors 'none'"
        assert "default-src 'none'" in both[1]
        assert len((await client.get("/other")).headers.get_list("content-security-policy")) == 1


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,ce-id",
    }


async def test_without_the_setting_no_other_origin_is_answered() -> None:
    async with served() as client:
        answer = await client.options("/api/events", headers=preflight(ELSEWHERE))
        assert answer.text == "OPTIONS http"  # it went to the app
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_named_origin_may_ask_read_and_see_when_to_come_again() -> None:
    async with served(cors_origins=f"{ELSEWHERE}/, https://other.example.com") as client:
        asked = await client.options("/api/events", headers=preflight(ELSEWHERE))
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == ELSEWHERE
        assert asked.headers["access-control-allow-headers"] == "authorization,ce-id"
        assert "POST" in asked.headers["access-control-allow-methods"]
        answer = await client.post("/api/events", headers={"origin": ELSEWHERE})
        assert answer.headers["access-control-allow-origin"] == ELSEWHERE
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        for one in (asked, answer):
            assert "access-control-allow-credentials" not in one.headers


async def test_a_page_may_read_that_the_server_is_full() -> None:
    async with served(cors_origins=ELSEWHERE, connections=1) as client, asyncio.timeout(20):
        _, first = await asyncio.open_connection("localhost", client.base_url.port)
        answer = await client.get("/", headers={"origin": ELSEWHERE})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["access-control-allow-origin"] == ELSEWHERE
        assert "access-control-allow-origin" not in (await client.get("/")).headers
        reader, writer = await asyncio.open_connection("localhost", client.base_url.port)
        asked = "".join(f"{name}: {value}\r\n" for name, value in preflight(ELSEWHERE).items())
        writer.write(f"OPTIONS / HTTP/1.1\r\nhost: localhost\r\n{asked}\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 200 "), "and the connection is closed"
        for one in (first, writer):
            one.close()


async def test_other_origins_are_told_nothing() -> None:
    async with served(cors_origins=ELSEWHERE) as client:
        stranger = "https://evil.example.com"
        assert (await client.options("/", headers=preflight(stranger))).status_code == 400
        for headers in ({"origin": stranger}, {}):
            answer = await client.get("/", headers=headers)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"  # a cache must not give this answer to the other origin


async def test_any_origin_can_be_allowed() -> None:
    async with served(cors_origins="*") as client:
        assert (await client.get("/", headers={"origin": ELSEWHERE})).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("text", ["app.example.com", "https://a.example.com/x", "ftp://a.example.com", "https://u@a.b"])
def test_what_is_no_origin_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        settings(cors_origins=text)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-made certificate of localhost, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, SHA256())
    )
    cert.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(cert), str(key)


async def test_tls_by_settings_is_spoken_and_browsers_are_told_to_insist(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    trust = ssl.create_default_context(cafile=cert)
    async with served(verify=trust, tls_cert_file=cert, tls_key_file=key) as client:
        answer = await client.get("/")
        assert answer.text == "GET https"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["x-content-type-options"] == "nosniff"
        large = await client.post("/", content=bytes(3_000_000))
        assert large.status_code == 200


def test_old_tls_is_not_spoken(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    made = config(app, settings(tls_cert_file=cert, tls_key_file=key), "127.0.0.1", 0, 100)
    made.load()
    assert made.ssl is not None
    assert made.ssl.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_file_without_an_authority_of_the_brokers_is_refused_at_the_start(
    certificate: tuple[str, str], tmp_path: Path
) -> None:
    cert, key = certificate
    assert settings(kafka_ssl_ca_file=cert).kafka_ssl_ca_file == cert
    with pytest.raises(ValidationError, match="No such file"):
        settings(kafka_ssl_ca_file=str(tmp_path / "missing"))
    with pytest.raises(ValidationError, match="names no PEM file with the certificate of an authority"):
        settings(kafka_ssl_ca_file=key)


def test_certificate_without_its_key_is_refused_at_the_start(certificate: tuple[str, str], tmp_path: Path) -> None:
    cert, key = certificate
    with pytest.raises(ValidationError, match="belong together"):
        settings(tls_cert_file=cert)
    with pytest.raises(ValidationError, match="No such file"):
        settings(tls_cert_file=cert, tls_key_file=str(tmp_path / "missing"))
    with pytest.raises(ValidationError, match="no certificate with its key"):
        settings(tls_cert_file=key, tls_key_file=cert)
