"""The life of API keys through HTTP, what is audited, and that secrets are shown once, over real MongoDB and Redis."""

from __future__ import annotations

import json

import pytest
from vigie_identity.permissions import Role

from .conftest import PASSWORD, Office

pytestmark = pytest.mark.connected


READ = "/api/series"


async def test_keys_are_made_used_rotated_and_revoked(office: Office) -> None:
    await office.tenant("acme")
    admin = await office.user("acme", Role.ADMIN)
    path = "/admin/tenants/acme/keys"
    body = {"name": "reader", "scopes": ["read", "read"], "expires": "2100-02-01T00:00:00Z"}
    answer = await office.http.post(path, json=body, headers=admin)
    made = answer.json()
    key, secret = made["key"], made["secret"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{path}/{key['id']}")
    assert secret.startswith(key["prefix"] + "_")
    assert (key["scopes"], key["expires"]) == (["read"], "2100-02-01T00:00:00.000Z")
    assert await office.call("GET", f"{path}/{key['id']}", admin) == key
    for who in ({"x-api-key": secret}, {"authorization": f"Bearer {secret}"}):
        await office.call("GET", READ, who)
        await office.call("GET", path, who, 403)
    twice = {"x-api-key": secret, "authorization": f"Bearer {secret}"}
    await office.call("GET", READ, twice, 401)

    answer = await office.http.post(f"{path}/{key['id']}/rotate", json={"overlapS": 60}, headers=admin)
    second = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{path}/{second['key']['id']}")
    await office.call("POST", f"{path}/{key['id']}/rotate", admin, 409)
    shown = {one["id"]: one for one in (await office.call("GET", path, admin))["keys"]}
    assert shown[key["id"]]["replacedBy"] == second["key"]["id"]
    assert shown[key["id"]]["expires"] == "2100-01-01T00:01:00.000Z"
    office.clock.advance(61)
    await office.call("GET", READ, {"x-api-key": secret}, 401)
    await office.call("GET", READ, {"x-api-key": second["secret"]})
    third = await office.call("POST", f"{path}/{second['key']['id']}/rotate", admin, 201)
    await office.call("DELETE", f"{path}/{third['key']['id']}", admin, 204)
    office.clock.advance(5)
    await office.call("GET", READ, {"x-api-key": third["secret"]}, 401)
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        await office.call(method, f"{path}/nothing{suffix}", admin, 404)


async def test_a_key_is_also_named_as_it_is_shown(office: Office) -> None:
    await office.tenant("acme")
    path = "/admin/tenants/acme/keys"
    key = (await office.call("POST", path, office.root, 201, name="k", scopes=["read"]))["key"]
    assert key["prefix"] == f"vk_{key['id']}"
    assert await office.call("GET", f"{path}/{key['prefix']}", office.root) == key
    answer = await office.http.post(f"{path}/{key['prefix']}/rotate", headers=office.root)
    second = answer.json()["key"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{path}/{second['id']}")
    await office.call("DELETE", f"{path}/{second['prefix']}", office.root, 204)
    assert (await office.call("GET", f"{path}/{second['id']}", office.root))["revoked"] is not None
    for nobody in ("vk_", "vk_nothing", f"vk_{key['prefix']}"):
        await office.call("GET", f"{path}/{nobody}", office.root, 404)


async def test_every_change_is_audited_with_who_and_from_where(office: Office) -> None:
    await office.tenant("acme")
    admin = await office.user("acme", Role.ADMIN)
    who = await office.call("GET", "/auth/me", admin)
    headers = {**admin, "user-agent": "browser/1"}
    key = (await office.call("POST", "/admin/tenants/acme/keys", headers, 201, name="k", scopes=["read"],
                             expires="2100-02-01T00:00:00Z"))["key"]  # fmt: skip
    entries = (await office.call("GET", "/admin/tenants/acme/audit", admin))["entries"]
    created = entries[0]
    assert (created["action"], created["target"], created["at"]) == (
        "key.created",
        key["id"],
        "2100-01-01T00:00:00.000Z",
    )
    assert (created["actor"]["id"], created["actor"]["name"], created["actor"]["agent"]) == (
        who["id"],
        "admin",
        "browser/1",
    )
    assert created["actor"]["address"].startswith("2001:db8:")
    assert created["changes"] == {"name": "k", "scopes": ["read"], "expires": "2100-02-01T00:00:00.000Z"}
    assert [entry["action"] for entry in entries[1:]] == ["session.started", "user.created", "tenant.created"]
    actions = [entry["action"] for entry in (await office.call("GET", "/admin/audit", office.root))["entries"]]
    assert "key.created" not in actions


async def test_secrets_are_in_no_list_no_log_and_no_document(
    office: Office, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await office.tenant("acme")
    made = await office.call("POST", "/auth/login", username="admin", password=PASSWORD)
    user = await office.call(
        "POST", "/admin/tenants/acme/users", office.root, 201, name="alice", password="pass-7c1f-word", role="USER"
    )
    path = f"/admin/tenants/acme/users/{user['id']}"
    await office.call("PUT", f"{path}/password", office.root, 204, password="pass-9d2e-word")
    key = await office.call("POST", "/admin/tenants/acme/keys", office.root, 201, name="k", scopes=["read"])
    second = await office.call("POST", f"/admin/tenants/acme/keys/{key['key']['id']}/rotate", office.root, 201)
    await office.call("POST", "/auth/login", None, 401, tenant="acme", username="alice", password="pass-0000-word")
    await office.call("GET", "/auth/me", {"x-api-key": key["secret"] + "x"}, 401)
    secrets = [
        "pass-7c1f-word", "pass-9d2e-word", "pass-0000-word", PASSWORD, "argon2", made["accessToken"],
        made["refreshToken"], key["secret"].split("_", 2)[2], second["secret"].split("_", 2)[2],
    ]  # fmt: skip
    shown = [
        await office.call("GET", one, office.root)
        for one in (
            "/admin/tenants",
            "/admin/tenants/acme",
            "/admin/tenants/acme/users",
            path,
            "/admin/tenants/acme/keys",
            f"/admin/tenants/acme/keys/{key['key']['id']}",
            "/admin/tenants/acme/audit",
            "/admin/audit",
            "/admin/users",
            "/admin/tenants/acme/usage",
            "/auth/me",
        )
    ]
    told = capsys.readouterr()
    everything = "\n".join([json.dumps(shown), told.out, told.err, caplog.text])
    assert [secret for secret in secrets if secret in everything] == []
    database = office.identity.tenants._db
    for name in await database.list_collection_names():
        stored = repr(await database[name].find({}).to_list())
        assert [secret for secret in secrets if secret in stored] in ([], ["argon2"] if name == "users" else []), name
