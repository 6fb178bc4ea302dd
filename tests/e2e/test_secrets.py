"""No secret is in any log or answer, whatever is done with it."""

import base64
import re
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import jwt
import pytest

from tests.e2e.up import Up
from tests.kit.processes import Spawner

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]

SIGNING = "signing-secret-0123456789abcdef0123456789abcdef"
SHARED = "partner-secret-0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse battery staple"
WRONG_PASSWORD = "wrong horse battery staple"
ENVIRONMENT = {
    "VIGIE_JWT_SECRET": SIGNING,
    "VIGIE_JWT_SHARED_SECRET": SHARED,
    "VIGIE_JWT_SHARED_ISSUER": "partner",
    "VIGIE_ADMIN_PASSWORD": PASSWORD,
    "VIGIE_LOG_LEVEL": "debug",
}
OF_TARGETS = [f"{what}-of-a-target-0123456789" for what in ("password", "header", "body", "heartbeat")]
METRIC = {"name": "secret_test", "type": "gauge", "value": 1}


def partner_token(**claims: Any) -> str:
    """What another system would sign."""
    now = int(time.time())
    given = {"iss": "partner", "aud": "vigie", "sub": "u-1", "iat": now, "exp": now + 600}
    return jwt.encode({**given, "tenants": ["default"], "roles": ["READONLY"], **claims}, SHARED, "HS256")


def damaged(credential: str) -> str:
    """With another last character but one: the last one of a base64 text may hold no information."""
    return credential[:-2] + ("A" if credential[-2] != "A" else "B") + credential[-1]


class Talk:
    """Requests, and all that was answered to them."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.answered: list[str] = []

    def ask(self, method: str, path: str, *, secret: bool = False, **more: Any) -> httpx.Response:
        """`secret`: this answer must hold one, so it is not looked through."""
        answer = self._client.request(method, path, **more)
        if not secret:
            self.answered.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def with_each(self, credential: str) -> set[int]:
        """Send it in every way, also where it does not belong; the statuses of the two right ways."""
        bearer, key = {"authorization": f"Bearer {credential}"}, {"x-api-key": credential}
        self.ask("GET", f"/api/series?token={credential}&api_key={credential}&limit={credential}")
        self.ask("GET", "/metrics", headers={**bearer, **key})
        self.ask("GET", "/api/series", headers={"authorization": f"Basic {basic(credential)}"})
        self.ask("GET", "/api/series", headers={"authorization": f"Bearer {credential} {credential}"})
        self.ask("POST", "/api/metrics/custom", json=METRIC, headers={"authorization": credential})
        self.ask("POST", "/api/metrics/custom", content=b"{", headers={**key, "content-type": "application/json"})
        self.ask("GET", "/no/such/path", headers=bearer)
        return {self.ask("GET", "/api/series", headers=headers).status_code for headers in (bearer, key)}

    def with_targets(self) -> None:
        """Health checks with secrets, that are taken and refused, made and failing."""
        services, (password, header, body, token) = "/api/health/services", OF_TARGETS
        url = f"http://probe:{password}@127.0.0.1:1/health"
        target = {"name": "db", "url": url, "headers": {"x-key": header}, "body": body, "interval": 1000}
        assert self.ask("POST", services, json=target).status_code == 201
        beat = {"name": "job", "kind": "heartbeat", "interval": 1000, "token": token}
        assert self.ask("POST", services, json=beat, secret=True).status_code == 201
        for wrong in ({"interval": 1}, {"url": url.replace("http", "gopher")}, {"url": f"{url} "}, {"headers": header}):
            assert 400 <= self.ask("POST", services, json={**target, "name": "x", **wrong}).status_code < 500
        self.ask("POST", "/api/health/check", json={"service": "db"})
        self.ask("POST", f"/api/health/heartbeat/{token}")
        for path in ("", "/db", "/db/checks", "/job", "/export"):
            self.ask("GET", services + path)


def basic(credential: str) -> str:
    return base64.b64encode(f"admin:{credential}".encode()).decode()


def logs(directory: Path) -> dict[str, str]:
    """Every log and note that was written; not the secret's own place."""
    found = [*directory.rglob("*.log*"), *directory.rglob("*.json")]
    return {str(path): path.read_text(encoding="utf-8", errors="replace") for path in found if path.is_file()}


def test_secrets_are_in_no_log_and_no_answer(tmp_path: Path) -> None:
    up = Up(tmp_path, env=ENVIRONMENT)
    try:
        up.start()
        talk = Talk(up.url)
        key = up.vigie("key", "create", "--tenant", "default", "--scope", "read", "--scope", "write").stdout.strip()
        new_password = up.vigie("admin", "reset-password").stdout.strip()
        login = {"username": "admin", "password": new_password}
        session = talk.ask("POST", "/auth/login", secret=True, json=login).json()
        access, refresh = session["accessToken"], session["refreshToken"]
        good, expired = partner_token(), partner_token(exp=int(time.time()) - 3600)
        issued = [key, access, refresh, good, expired]

        assert talk.with_each(key) == {200}
        assert talk.with_each(good) >= {200}
        assert talk.with_each(access) >= {200}
        for bad in (*map(damaged, issued), expired, refresh, SIGNING, PASSWORD):
            assert talk.with_each(bad) == {401}
        for password in (PASSWORD, WRONG_PASSWORD):
            assert talk.ask("POST", "/auth/login", json={**login, "password": password}).status_code == 401
        for body in ({"password": PASSWORD}, {**login, "password": [PASSWORD]}, {**login, "more": PASSWORD}, PASSWORD):
            assert 400 <= talk.ask("POST", "/auth/login", json=body).status_code < 500
        for token in (damaged(refresh), access, key):
            assert talk.ask("POST", "/auth/refresh", json={"refreshToken": token}).status_code == 401
        talk.ask("POST", "/auth/logout", headers={"authorization": f"Bearer {access}"})
        talk.with_targets()
        assert up.vigie("key", "revoke", key, "--tenant", "default").returncode == 0
        for path in ("/internal/metrics/api", "/internal/metrics/ingest", "/openapi.json", "/health/ready"):
            talk.ask("GET", path)
        said = [up.vigie(*words) for words in (["status"], ["tenant", "list"], ["key", "list", "--tenant", "default"])]
        said += [up.vigie("targets", *words) for words in (["list"], ["show", "db"], ["export"])]
        up.interrupt()
    finally:
        up.kill()

    secrets = {*OF_TARGETS, SIGNING, SHARED, PASSWORD, WRONG_PASSWORD, new_password, *issued, *map(damaged, issued)}
    secrets |= {basic(secret) for secret in secrets}
    written = logs(tmp_path) | {"answers": "\n".join(talk.answered), "commands": str(said)}
    assert any(path.endswith("mongod.log") for path in written)
    for where, content in written.items():
        leaked = [secret for secret in secrets if secret in content]
        assert not leaked, f"{where}: {context(content, leaked[0])}"


def context(content: str, secret: str) -> str:
    return next(line for line in content.splitlines() if secret in line)[:500]


UNREACHABLE = {
    "MONGODB_URI": "mongodb://vigie:mongo-hunter2@127.0.0.1:1/?replicaSet=rs0",
    "REDIS_URL": "redis://vigie:redis-hunter2@127.0.0.1:1/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "VIGIE_KAFKA_SASL_USERNAME": "vigie",
    "VIGIE_KAFKA_SASL_PASSWORD": "kafka-hunter2",
    "VIGIE_LOG_LEVEL": "debug",
}


@pytest.mark.parametrize("service", ["ingest", "api", "aggregator"])
def test_passwords_of_servers_that_are_away_are_not_logged(spawn: Spawner, tmp_path: Path, service: str) -> None:
    process = spawn.module(f"vigie_{service}", env={**UNREACHABLE, f"VIGIE_{service.upper()}_PORT": "0"})
    end = time.monotonic() + 12  # the gateway gives up by itself, the others go on trying
    while process.alive and time.monotonic() < end:
        time.sleep(0.1)
    process.kill()
    assert re.search("MongoDB|Kafka", said(tmp_path))
    assert not re.findall(r"[a-z]+-hunter2", said(tmp_path))


def said(directory: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in directory.glob("*.log"))
