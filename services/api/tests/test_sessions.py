"""Logging in, staying logged in and being thrown out, through HTTP, over real MongoDB and Redis."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from vigie_api.app import create_app
from vigie_api.auth import first_start
from vigie_api.settings import ApiSettings
from vigie_identity.permissions import Permission, Role, Scope

from tests.kit import eventually

from .conftest import PASSWORD, Office

pytestmark = pytest.mark.connected

SECRET = "own-secret-" * 4


async def test_a_session_lives_from_login_to_logout(office: Office) -> None:
    answer = await office.http.post("/auth/login", json={"username": "ADMIN", "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert set(made) == {"accessToken", "tokenType", "expiresIn", "refreshToken", "user"}
    assert (made["tokenType"], made["expiresIn"]) == ("Bearer", 600)
    user = made["user"]
    assert (user["name"], user["tenant"], user["role"], user["active"]) == ("admin", None, "SUPERADMIN", True)
    who = {"authorization": f"Bearer {made['accessToken']}"}
    me = await office.call("GET", "/auth/me", who)
    assert (me["id"], me["kind"], me["role"], me["tenants"]) == (user["id"], "user", "SUPERADMIN", [])
    assert me["permissions"] == sorted(Permission)

    office.clock.advance(60)
    again = await office.call("POST", "/auth/refresh", refresh_token=made["refreshToken"])
    assert again["accessToken"] != made["accessToken"]
    who = {"authorization": f"Bearer {again['accessToken']}"}
    assert await office.call("POST", "/auth/logout", who, 204) is None
    office.clock.advance(5)
    await office.call("GET", "/auth/me", who, 401)
    await office.call("POST", "/auth/refresh", None, 401, refresh_token=again["refreshToken"])


async def test_a_password_that_was_made_up_is_printed_nowhere(
    office_settings: ApiSettings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(first_start.log, "warning", lambda event, **more: said.append(f"{event} {more}"))
    monkeypatch.setattr("vigie_identity.bootstrap.new_secret", lambda: made_up.append("made-up-7c1f") or made_up[0])
    app = create_app(office_settings.model_copy(update={"admin_password": None}))
    async with app.router.lifespan_context(app):
        await eventually(lambda: app.state.service.resources.first_start.done)
    assert made_up
    assert made_up[0] not in "".join([*capfd.readouterr(), *said])
    assert ["reset-password" in one for one in said] == [True]


async def test_me_says_what_one_may_in_each_tenant(office: Office) -> None:
    for tenant in ("acme", "globex"):
        await office.tenant(tenant)
    alice = await office.user("acme", Role.USER, "alice")
    user = (await office.call("GET", "/auth/me", alice))["id"]
    path = f"/admin/tenants/acme/users/{user}"
    await office.call("PATCH", path, office.root, apps=["shop"], sites=["s1"])
    await office.call("PUT", f"{path}/assignments/globex", office.root, role="READONLY", sites=["r9"])
    office.clock.advance(5)
    me = await office.call("GET", "/auth/me", alice)
    assert (me["role"], me["permissions"]) == (None, [])
    acme, globex = me["tenants"]
    assert (acme["tenant"], acme["role"], acme["apps"], acme["sites"]) == ("acme", "USER", ["shop"], ["s1"])
    assert (globex["tenant"], globex["role"], globex["apps"], globex["sites"]) == ("globex", "READONLY", [], ["r9"])
    assert "services.control" in acme["permissions"]
    assert "services.control" not in globex["permissions"]
    key = await office.key("acme", Scope.READ)
    me = await office.call("GET", "/auth/me", key)
    assert (me["kind"], me["name"], [one["tenant"] for one in me["tenants"]]) == ("key", "a key", ["acme"])


async def test_only_who_logged_in_has_a_session_to_end(office: Office) -> None:
    await office.tenant("acme")
    key = await office.key("acme", Scope.READ)
    for status, who in ((409, key), (401, None)):
        await office.call("POST", "/auth/logout", who, status)
        await office.call("PUT", "/auth/password", who, status, old_password=PASSWORD, new_password="another password")
    await office.call("GET", "/auth/me", None, 401)


async def test_a_refresh_token_that_comes_twice_ends_the_session(office: Office) -> None:
    made = await office.call("POST", "/auth/login", username="admin", password=PASSWORD)
    thief = await office.call("POST", "/auth/refresh", refresh_token=made["refreshToken"])
    await office.call("POST", "/auth/refresh", None, 401, refresh_token=made["refreshToken"])
    office.clock.advance(5)
    await office.call("POST", "/auth/refresh", None, 401, refresh_token=thief["refreshToken"])
    for token in (made["accessToken"], thief["accessToken"]):
        await office.call("GET", "/auth/me", {"authorization": f"Bearer {token}"}, 401)
    entries = (await office.call("GET", "/admin/audit", office.root))["entries"]
    assert "session.token-reused" in [entry["action"] for entry in entries]


async def test_a_refresh_does_not_look_at_the_token_that_expired(office: Office) -> None:
    made = await office.call("POST", "/auth/login", username="admin", password=PASSWORD)
    office.clock.advance(700)
    expired = {"authorization": f"Bearer {made['accessToken']}"}
    await office.call("GET", "/auth/me", expired, 401)
    await office.call("POST", "/auth/refresh", expired, refresh_token=made["refreshToken"])


def forged(token: str, **changes: Any) -> str:
    """The token with other claims, and the signature that it had."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, **changes}).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


async def test_tokens_that_are_not_good_are_refused_alike(office: Office) -> None:
    await office.tenant("acme")
    alice = await office.user("acme", Role.READONLY)
    token = alice["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="vigie", options={"verify_iat": False,
                        "verify_nbf": False})  # fmt: skip
    root = (await office.call("GET", "/auth/me", office.root))["id"]
    own = {"typ": "at+jwt"}
    bad = [
        forged(token, sub=root),
        token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        jwt.encode({**claims, "sub": root}, None, "none", own),
        jwt.encode({**claims, "sid": "0" * 34}, SECRET, "HS256", own),  # signed well, and of no session
        jwt.encode(claims, "another-secret-" * 4, "HS256", own),
        jwt.encode({**claims, "exp": claims["iat"] - 60}, SECRET, "HS256", own),
        jwt.encode({**claims, "aud": "others"}, SECRET, "HS256", own),
        jwt.encode(claims, SECRET, "HS256"),
        "vk_0123456789abcdef_" + "x" * 43,
        "",
    ]
    said: set[str] = set()
    for one in bad:
        answer = await office.http.get("/auth/me", headers={"authorization": f"Bearer {one}"})
        assert answer.status_code == 401, one
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        said.add(answer.json()["detail"])
    assert said == {"the credential is not valid: unknown, malformed, expired or revoked"}
    assert (await office.call("GET", "/auth/me", alice))["name"] == "readonly"


async def test_logins_that_fail_are_told_nothing_and_throttled(office: Office) -> None:
    await office.tenant("acme")
    await office.user("acme", Role.USER, "alice")
    said = set()
    for tenant, name, password in (
        ("acme", "alice", "wrong password"), ("acme", "nobody", PASSWORD), ("globex", "alice", PASSWORD),
        ("not a tenant", "alice", PASSWORD), (None, "alice", PASSWORD), ("acme", "\x00", PASSWORD),
    ):  # fmt: skip
        told = {} if tenant is None else {"tenant": tenant}
        said.add(
            (await office.call("POST", "/auth/login", None, 401, username=name, password=password, **told))["detail"]
        )
    assert len(said) == 1
    for _ in range(4):
        await office.call("POST", "/auth/login", None, 401, tenant="acme", username="alice", password="wrong password")
    answer = await office.http.post("/auth/login", json={"tenant": "acme", "username": "alice", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["type"] == "/problems/too-many-requests"
    assert 0 < int(answer.headers["retry-after"]) == answer.json()["retry_after"] <= 900
    await office.log_in("admin")


async def test_one_changes_the_own_password_and_all_other_sessions_end(office: Office) -> None:
    await office.tenant("acme")
    first = await office.user("acme", Role.USER, "alice")
    second = await office.log_in("alice", tenant="acme")
    new = "another password"
    path = "/auth/password"
    found = await office.call("PUT", path, first, 422, old_password="wrong password", new_password=new)
    assert found["errors"][0]["field"] == "oldPassword"
    assert "oldPassword: is not the password" in found["detail"]
    await office.call("GET", "/auth/me", first)
    made = await office.call("PUT", path, first, old_password=PASSWORD, new_password=new)
    office.clock.advance(5)
    for who, status in ((first, 401), (second, 401), ({"authorization": f"Bearer {made['accessToken']}"}, 200)):
        await office.call("GET", "/auth/me", who, status)
    await office.call("POST", "/auth/login", None, 401, tenant="acme", username="alice", password=PASSWORD)
    alice = await office.log_in("alice", new, "acme")
    entries = (await office.call("GET", "/admin/tenants/acme/audit", office.root))["entries"]
    changed = next(entry for entry in entries if entry["action"] == "password.changed")
    assert (changed["actor"]["name"], changed["changes"]) == ("alice", {})

    for _ in range(3):
        await office.call("PUT", path, alice, 422, old_password="wrong password", new_password=PASSWORD)
    answer = await office.http.put(path, json={"oldPassword": new, "newPassword": PASSWORD}, headers=alice)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
