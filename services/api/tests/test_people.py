"""The life of users through HTTP, over real MongoDB and Redis."""

from __future__ import annotations

import pytest
from vigie_identity.permissions import Role

from .conftest import PASSWORD, Office

pytestmark = pytest.mark.connected


async def test_users_are_made_changed_and_removed(office: Office) -> None:
    await office.tenant("acme")
    admin = await office.user("acme", Role.ADMIN)
    path = "/admin/tenants/acme/users"
    body = {"name": "Alice", "password": PASSWORD, "role": "USER", "apps": ["shop"], "sites": ["s2", "s1"]}
    answer = await office.http.post(path, json=body, headers=admin)
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{path}/{made['id']}")
    assert made == {
        "id": made["id"], "name": "Alice", "tenant": "acme", "role": "USER", "apps": ["shop"], "sites": ["s1", "s2"],
        "assignments": [], "active": True, "created": "2100-01-01T00:00:00.000Z",
    }  # fmt: skip
    await office.call("POST", path, admin, 409, name="aLICE", password=PASSWORD, role="USER")
    found = await office.call("POST", path, admin, 422, name="bob", password=PASSWORD, role="SUPERADMIN")
    assert found["errors"][0]["field"] == "role"
    alice = await office.log_in("alice", tenant="acme")
    await office.call("GET", path, alice, 403)
    mine = f"{path}/{made['id']}"
    assert await office.call("GET", mine, admin) == made

    await office.call("PATCH", mine, admin, role="ADMIN")
    office.clock.advance(5)
    assert len((await office.call("GET", path, alice))["users"]) == 2
    await office.call("PUT", f"{mine}/password", admin, 204, password="another password")
    office.clock.advance(5)
    await office.call("GET", path, alice, 401)
    alice = await office.log_in("alice", "another password", "acme")
    await office.call("PATCH", mine, admin, active=False)
    office.clock.advance(5)
    await office.call("GET", path, alice, 401)
    await office.call("POST", "/auth/login", None, 401, tenant="acme", username="alice", password="another password")
    await office.call("PATCH", mine, admin, active=True)
    await office.log_in("alice", "another password", "acme")
    await office.call("DELETE", mine, admin, 204)
    for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"role": "USER"})):
        await office.call(method, mine, admin, 404, **more)


@pytest.mark.parametrize("place", ["apps", "sites"])
async def test_apps_and_sites_are_given_and_taken_one_by_one(office: Office, place: str) -> None:
    for tenant in ("acme", "globex"):
        await office.tenant(tenant)
    admin, alice = await office.user("acme", Role.ADMIN), await office.user("acme", Role.USER, "alice")
    stranger = await office.user("globex", Role.ADMIN)
    mine = f"/admin/tenants/acme/users/{(await office.call('GET', '/auth/me', alice))['id']}"
    for one in ("shop", "desk", "shop"):
        given = await office.call("PUT", f"{mine}/{place}/{one}", admin)
    assert given[place] == ["desk", "shop"]
    await office.call("DELETE", f"{mine}/{place}/shop", admin, 204)
    await office.call("DELETE", f"{mine}/{place}/shop", admin, 204)
    assert (await office.call("GET", mine, admin))[place] == ["desk"]
    refused = await office.call("PUT", f"{mine}/{place}/a b", admin, 422)
    assert refused["errors"][0]["field"] == place
    for who, status in ((alice, 403), (stranger, 404), (None, 401)):
        await office.call("PUT", f"{mine}/{place}/shop", who, status)
        await office.call("DELETE", f"{mine}/{place}/desk", who, status)
    await office.call("PUT", f"/admin/tenants/acme/users/nobody/{place}/shop", admin, 404)
    logged = [entry["changes"] for entry in (await office.call("GET", "/admin/tenants/acme/audit", admin))["entries"]]
    assert {f"{place}Added": "shop"} in logged
    assert {f"{place}Removed": "shop"} in logged


async def test_a_user_of_another_tenant_is_not_there(office: Office) -> None:
    for tenant in ("acme", "globex"):
        await office.tenant(tenant)
    admin = await office.user("acme", Role.ADMIN)
    bob = await office.user("globex", Role.USER, "bob")
    user = (await office.call("GET", "/auth/me", bob))["id"]
    words = set()
    for tenant, status in (("acme", 404), ("globex", 404), ("nowhere", 404)):
        path = f"/admin/tenants/{tenant}/users/{user}"
        for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"active": False})):
            words.add((tenant, (await office.call(method, path, admin, status, **more))["detail"]))
        await office.call("PUT", f"{path}/password", admin, status, password="another password")
    assert words == {
        ("acme", "there is no such user"),
        ("globex", "there is no such tenant"),
        ("nowhere", "there is no such tenant"),
    }
    await office.call("GET", "/auth/me", bob)


async def test_a_further_tenant_is_given_by_the_platform_only_and_not_told_to_the_home(office: Office) -> None:
    for tenant in ("acme", "globex"):
        await office.tenant(tenant)
    admin = await office.user("acme", Role.ADMIN)
    alice = await office.user("acme", Role.USER, "alice")
    user = (await office.call("GET", "/auth/me", alice))["id"]
    path = f"/admin/tenants/acme/users/{user}"
    await office.call("PUT", f"{path}/assignments/globex", admin, 403, role="ADMIN")
    await office.call("PUT", f"{path}/assignments/nowhere", office.root, 404, role="ADMIN")
    await office.call("PUT", f"{path}/assignments/_platform", office.root, 404, role="ADMIN")
    await office.call("PUT", f"{path}/assignments/acme", office.root, 422, role="ADMIN")
    given = await office.call("PUT", f"{path}/assignments/globex", office.root, role="ADMIN", sites=["r1"])
    assert given["assignments"] == [{"tenant": "globex", "role": "ADMIN", "apps": [], "sites": ["r1"]}]
    assert (await office.call("GET", path, office.root))["assignments"] == given["assignments"]
    assert (await office.call("GET", path, admin))["assignments"] == []
    office.clock.advance(5)
    await office.call("GET", "/admin/tenants/globex/users", alice)
    (guest,) = (await office.call("GET", "/admin/tenants/globex/guests", alice))["guests"]
    assert guest == {"id": user, "name": "alice", "active": True, "role": "ADMIN", "apps": [], "sites": ["r1"]}
    # Whoever knows the password is let into globex too, so the home may not set it.
    await office.call("PUT", f"{path}/password", admin, 403, password="another password")
    await office.call("DELETE", f"{path}/assignments/globex", office.root, 204)
    office.clock.advance(5)
    await office.call("GET", "/admin/tenants/globex/users", alice, 404)
    assert (await office.call("GET", "/admin/tenants/globex/guests", office.root))["guests"] == []


async def test_the_platform_has_users_and_keeps_one_superadmin(office: Office) -> None:
    answer = await office.http.post(
        "/admin/users", json={"name": "sue", "password": PASSWORD, "role": "SUPPORT"}, headers=office.root
    )
    sue = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/admin/users/{sue['id']}")
    assert (sue["tenant"], sue["role"]) == (None, "SUPPORT")
    support = await office.log_in("sue")
    await office.call("POST", "/admin/users", office.root, 422, name="x", password=PASSWORD, role="ADMIN")
    users = {one["name"]: one["id"] for one in (await office.call("GET", "/admin/users", support))["users"]}
    assert set(users) == {"admin", "sue"}
    await office.call("DELETE", f"/admin/users/{users['admin']}", support, 403)
    mine = f"/admin/users/{users['admin']}"
    for method, more in (("DELETE", {}), ("PATCH", {"active": False}), ("PATCH", {"role": "SUPPORT"})):
        found = await office.call(method, mine, office.root, 409, **more)
        assert found["type"] == "/problems/conflict"
    await office.call("PATCH", f"/admin/users/{sue['id']}", office.root, role="SUPERADMIN")
    await office.call("PUT", f"/admin/users/{sue['id']}/password", office.root, 204, password="another password")
    second = await office.log_in("sue", "another password")
    await office.call("PATCH", mine, second, role="SUPPORT")
    await office.call("DELETE", mine, second, 204)
    actions = [entry["action"] for entry in (await office.call("GET", "/admin/audit", second))["entries"]]
    assert {"user.created", "user.changed", "user.removed", "password.changed", "session.started"} <= set(actions)
