"""Bodies: who asks is authorised first, then the length, the media type, the JSON, and the fields, in this order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission, Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock
from vigie_web import authorized_route
from vigie_web.app import MAX_BODY_BYTES

from .free import as_caller

JSON = {"content-type": "application/json"}
SOMEBODY = Principal(
    PrincipalKind.USER, "u-1", "alice", assignments=assigned(Assignment.of(TenantId("acme"), Role.ADMIN))
)
ROOT = Principal(PrincipalKind.USER, "u-0", "root", role=Role.SUPERADMIN)
OMNIPOTENT = Principal(
    PrincipalKind.USER, "u-2", "bob", assignments=assigned(Assignment(TenantId("acme"), frozenset(Permission)))
)
"""In one tenant: nobody has to look whether it exists, and there is no store to look into."""
TENANTS = "/admin/tenants"


class Callers:
    principal = ROOT

    async def authenticate(self, headers: list[tuple[bytes, bytes]], asker: object = None) -> Principal:
        return self.principal


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest.fixture
def secret() -> SecretStr | None:
    """What tokens are signed with."""
    return SecretStr("own-secret-" * 4)


@pytest_asyncio.fixture(loop_scope="session")
async def http(
    callers: Callers, secret: SecretStr | None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(clients, "SERVER_SELECTION_MS", 50)
    settings = ApiSettings(
        kafka_bootstrap_servers="nowhere:1",
        mongodb_uri="mongodb://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        jwt_secret=secret,
    )
    app = create_app(settings, clock=ManualClock())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client,
    ):
        as_caller(app, callers)
        yield client


def problem(answer: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["type"], body["message"]) == (f"/problems/{kind}", body["detail"])
    return body


@pytest.mark.parametrize("body", [b"{", b"", b"x" * (MAX_BODY_BYTES + 1)])
async def test_a_stranger_is_told_nothing_about_the_body(
    http: httpx2.AsyncClient, callers: Callers, body: bytes
) -> None:
    callers.principal = SOMEBODY
    problem(await http.post(TENANTS, content=body, headers=JSON), 403, "forbidden")
    problem(await http.patch(f"{TENANTS}/acme", content=body, headers=JSON), 403, "forbidden")
    problem(await http.patch(f"{TENANTS}/globex", content=body, headers=JSON), 404, "not-found")


async def test_the_body_of_a_stranger_is_not_read(http: httpx2.AsyncClient, callers: Callers) -> None:
    callers.principal = SOMEBODY
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    problem(await http.post(TENANTS, content=body(), headers=JSON), 403, "forbidden")
    assert read == 0


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_long_is_refused(http: httpx2.AsyncClient, announced: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024

    content = b" " * 65 * 1024 if announced else parts()
    body = problem(await http.post(TENANTS, content=content, headers=JSON), 413, "too-large")
    assert "65536" in body["detail"]


async def test_a_body_that_does_not_come_is_not_waited_for(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorized_route, "BODY_S", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    problem(await http.post(TENANTS, content=never(), headers=JSON), 408, "request-timeout")


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "json", ""])
async def test_what_is_not_said_to_be_json_is_refused(http: httpx2.AsyncClient, media: str) -> None:
    headers = {"content-type": media} if media else {}
    problem(await http.post(TENANTS, content=b"{}", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 60_000, b'{"id": ' + b"9" * 5_000 + b"}", b"{} {}"])
async def test_what_is_not_json_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    problem(await http.post(TENANTS, content=body, headers=JSON), 400, "malformed-body")


GOOD = {"id": "acme", "name": "Acme"}


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", TENANTS, [], "body"),
        ("POST", TENANTS, None, "body"),
        ("POST", TENANTS, {"id": "acme"}, "name"),
        ("POST", TENANTS, {**GOOD, "id": 7}, "id"),
        ("POST", TENANTS, {**GOOD, "id": "_platform"}, "id"),
        ("POST", TENANTS, {**GOOD, "id": "x" * 1000}, "id"),
        ("POST", TENANTS, {**GOOD, "id": "a\n"}, "id"),
        ("POST", TENANTS, {**GOOD, "name": "\ud800"}, "name"),
        ("POST", TENANTS, {**GOOD, "surname": 1}, "surname"),
        ("POST", TENANTS, {**GOOD, "plan": {}}, "plan"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": "7"}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": 7.0}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": True}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": -1}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": 2**63}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"series": float("nan")}}, "plan.series"),
        ("POST", TENANTS, {**GOOD, "plan": {"samples_per_s": 1}}, "plan.samples_per_s"),
        ("PATCH", f"{TENANTS}/acme", {}, "body"),
        ("PATCH", f"{TENANTS}/acme", {"name": None}, "name"),
        ("PATCH", f"{TENANTS}/acme", {"status": "asleep"}, "status"),
        ("PATCH", f"{TENANTS}/acme", {"status": None}, "status"),
        ("PATCH", f"{TENANTS}/acme", {"status": 1}, "status"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": 1893456000}, "expires"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": "2030-01-01"}, "expires"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": "2030-01-01T00:00:00"}, "expires"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": "2030-02-30T00:00:00Z"}, "expires"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": "9999-12-31T23:59:59-23:59"}, "expires"),
        ("POST", f"{TENANTS}/acme/licences", {"product": "x", "expires": None}, "expires"),
        ("POST", f"{TENANTS}/acme/users", {"name": "a", "password": "short", "role": "USER"}, "password"),
        ("POST", f"{TENANTS}/acme/users", {"name": "a", "password": "x" * 12, "role": "GOD"}, "role"),
        ("POST", f"{TENANTS}/acme/users", {"name": "a", "password": "x" * 12, "role": "USER", "apps": "x"}, "apps"),
        ("POST", f"{TENANTS}/acme/users", {"name": "a", "password": "x" * 12, "role": "USER", "apps": [""]}, "apps.0"),
        ("PATCH", f"{TENANTS}/acme/users/u-1", {"active": "false"}, "active"),
        ("PATCH", f"{TENANTS}/acme/users/u-1", {"active": 0}, "active"),
        ("PATCH", f"{TENANTS}/acme/users/u-1", {"name": "bob"}, "name"),
        ("POST", f"{TENANTS}/acme/keys", {"name": "a", "scopes": []}, "scopes"),
        ("POST", f"{TENANTS}/acme/keys", {"name": "a", "scopes": ["root"]}, "scopes.0"),
        ("POST", f"{TENANTS}/acme/keys/k/rotate", {"overlapS": -1}, "overlapS"),
        ("POST", f"{TENANTS}/acme/keys/k/rotate", {"overlapS": 1.5}, "overlapS"),
        ("POST", "/auth/refresh", {"refreshToken": 7}, "refreshToken"),
        ("PUT", "/auth/password", {"oldPassword": "x", "newPassword": "short"}, "newPassword"),
    ],
)
async def test_a_field_that_is_wrong_is_named(  # noqa: PLR0917
    http: httpx2.AsyncClient, callers: Callers, method: str, path: str, body: Any, field: str
) -> None:
    if path != TENANTS:
        callers.principal = OMNIPOTENT
    answer = await http.request(method, path, content=json.dumps(body).encode(), headers=JSON)
    found = problem(answer, 422, "invalid-request")
    assert found["errors"][0]["field"] == field


async def test_a_secret_that_is_refused_is_not_repeated(http: httpx2.AsyncClient) -> None:
    for secret in ("pswd-7f3a", "pswd-7f3a" * 100):
        body = {"username": "a", "password": secret, "pswd-key": [secret]}
        answer = await http.post("/auth/login", json=body)
        problem(answer, 422, "invalid-request")
        assert "pswd-7f3a" not in answer.text


async def test_field_names_that_cannot_be_written_are_answered_all_the_same(http: httpx2.AsyncClient) -> None:
    for strange in ({"\ud800" * 1_000: 1}, {f"{'x' * 50}{i}": i for i in range(500)}, {"y" * 30_000: 1}):
        answer = await http.post(TENANTS, content=json.dumps({**strange, **GOOD}).encode(), headers=JSON)
        assert len(problem(answer, 422, "invalid-request")["errors"]) <= 100
        assert len(answer.content) < 30_000


@pytest.mark.parametrize("secret", [None])
async def test_without_a_secret_for_tokens_the_setting_is_named(http: httpx2.AsyncClient) -> None:
    for path, body in (("login", {"username": "a", "password": "b"}), ("refresh", {"refreshToken": "c"})):
        found = problem(await http.post(f"/auth/{path}", json=body), 503, "not-configured")
        assert "VIGIE_JWT_SECRET" in found["detail"]
        assert "retry_after" not in found
