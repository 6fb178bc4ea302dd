"""Services over HTTP, on real MongoDB and Redis: added, changed, removed, imported and exported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from vigie_healthcheck.targets.targetbook import Targetbook
from vigie_identity.permissions import Role
from vigie_runtime.clients import Database

from services.healthcheck.tests.desk import ACME, Desk, opened, person

pytestmark = pytest.mark.connected
SERVICES = "/api/health/services"
SEED = {
    "name": "custom-service", "url": "http://custom-service:8080/health", "interval": 30000, "timeout": 5000,
    "retries": 3,
}  # fmt: skip
NAMES = ["a/b", "a/checks", "é 漢字", "50%", "x?y#z", "%2F", "imports"]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(database: Database, mongo_uri: str, redis_url: str) -> AsyncIterator[Desk]:
    async with opened(database, mongo_uri, redis_url) as made:
        yield made


async def sent(desk: Desk, method: str, path: str, status: int, **more: Any) -> Any:
    answer = await desk.call(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_the_body_of_the_replaced_service_is_answered_with_what_is_stored(desk: Desk) -> None:
    answer = await desk.call("POST", SERVICES, json=SEED)
    assert (answer.status_code, answer.headers["location"]) == (201, f"{SERVICES}/custom-service")
    made = answer.json()
    assert {name: made[name] for name in SEED} == SEED
    assert (made["kind"], made["version"], made["createdBy"], made["token"]) == ("http", 1, "alice", "")
    assert (await desk.get(f"{SERVICES}/custom-service"))["definition"]["id"] == made["id"]
    again = await sent(desk, "POST", SERVICES, 409, json=SEED)
    assert again["detail"] == "there is a service 'custom-service' already"
    assert again["errors"][0]["field"] == "name"
    await sent(desk, "DELETE", f"{SERVICES}/custom-service", 204)
    await sent(desk, "DELETE", f"{SERVICES}/custom-service", 404)


async def test_everything_that_is_wrong_is_told_at_once_without_secrets(desk: Desk) -> None:
    body = {"url": "x://bob:hunter2@a", "interval": 1, "password": 7}
    told = await sent(desk, "POST", SERVICES, 422, json=body)
    assert {one["field"] for one in told["errors"]} == {"name", "url", "interval", "password"}
    assert "hunter2" not in str(told)
    assert (await sent(desk, "POST", SERVICES, 400, content=b"{", headers={"content-type": "application/json"}))[
        "title"
    ]
    await sent(desk, "POST", SERVICES, 415, content=b"{}", headers={"content-type": "text/html"})
    big = b'{"name": "' + b"x" * 300_000 + b'"}'
    await sent(desk, "POST", SERVICES, 413, content=big, headers={"content-type": "application/json"})


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_any_text(desk: Desk, name: str) -> None:
    answer = await desk.call("POST", SERVICES, json={**SEED, "name": name})
    path = answer.headers["location"]
    assert path == f"{SERVICES}/{quote(name, safe='')}"
    assert (await desk.get(path))["name"] == name
    assert (await sent(desk, "PATCH", path, 200, json={"retries": 1}))["retries"] == 1
    await sent(desk, "DELETE", path, 204)
    await desk.get(path, 404)


async def test_secrets_are_masked_and_stay_when_they_come_back(desk: Desk) -> None:
    url = "https://bob:hunter2@a.example/x"
    made = await sent(desk, "POST", SERVICES, 201, json={"name": "s", "url": url, "headers": {"X-Key": "k3y"}})
    shown = (await desk.get(f"{SERVICES}/s"))["definition"]
    assert (shown["url"], shown["password"], shown["headers"]) == ("https://a.example/x", "***", {"X-Key": "***"})
    changed = await sent(desk, "PUT", f"{SERVICES}/s", 200, json={**shown, "group": "g"})
    assert not changed["warnings"]
    assert (changed["version"], changed["group"], changed["createdAt"]) == (2, "g", made["createdAt"])
    book: Targetbook = desk.app.state.service.resources.targetbook
    secrets = book.present((await book.get(ACME, "s")).target).secrets
    assert secrets is not None
    assert (secrets.password, secrets.headers) == ("hunter2", {"X-Key": "k3y"})
    told = await sent(desk, "PUT", f"{SERVICES}/s", 422, json={**changed, "url": "https://evil.example/"})
    assert {one["field"] for one in told["errors"]} == {"username", "password", "headers.X-Key"}


async def test_a_change_says_which_version_it_was_made_from(desk: Desk) -> None:
    await sent(desk, "POST", SERVICES, 201, json=SEED)
    path = f"{SERVICES}/custom-service"
    answer = await desk.call("PATCH", path, json={"retries": 1}, headers={"if-match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    for more in ({"headers": {"if-match": '"1"'}}, {"json": {"version": 1, "retries": 2}}):
        told = await sent(desk, "PATCH", path, 409, **{"json": {"retries": 2}, **more})
        assert told["detail"].startswith("the service is at version 2: alice changed it at ")
    await sent(desk, "PATCH", path, 422, json={"retries": 2}, headers={"if-match": "two"})
    await sent(desk, "DELETE", path, 409, headers={"if-match": '"1"'})


async def test_a_heartbeat_gets_its_token_once(desk: Desk) -> None:
    body = {"name": "backup", "kind": "heartbeat", "interval": "24h", "timeout": "1h"}
    made = await sent(desk, "POST", SERVICES, 201, json=body)
    assert len(made["token"]) > 20
    assert "token" not in (await desk.get(f"{SERVICES}/backup"))["definition"]
    assert (await sent(desk, "PATCH", f"{SERVICES}/backup", 200, json={"group": "g"}))["token"] == ""


async def test_a_file_is_imported_dry_and_wet_and_exported(desk: Desk) -> None:
    yaml = {"content-type": "application/yaml"}
    text = "targets:\n- {name: shop, url: 'https://u:pw@a/', dependsOn: [db]}\n- {name: db, url: 'tcp://db:1'}\n"
    dry = await sent(desk, "POST", f"{SERVICES}/import?dryRun=true", 200, content=text, headers=yaml)
    assert (dry["dryRun"], dry["created"], await desk.targets.count(ACME)) == (True, 2, 0)
    done = await sent(desk, "POST", f"{SERVICES}/import", 200, content=text, headers=yaml)
    assert [(one["name"], one["outcome"]) for one in done["services"]] == [("shop", "created"), ("db", "created")]
    exported = await desk.get(f"{SERVICES}/export")
    assert "pw" not in exported
    again = await sent(desk, "POST", f"{SERVICES}/import", 200, content=exported, headers=yaml)
    assert (again["unchanged"], again["created"], again["changed"]) == (2, 0, 0)
    bad = "targets:\n- name: shop\n  url: https://a/\n  retries: 99\n"
    told = await sent(desk, "POST", f"{SERVICES}/import", 422, content=bad, headers=yaml)
    assert told["errors"] == [{"index": 3, "field": "line 4", "reason": "retries: must be from 0 to 10"}]


async def test_who_only_reads_changes_nothing(desk: Desk) -> None:
    await sent(desk, "POST", SERVICES, 201, json=SEED)
    for role in (Role.USER, Role.READONLY):
        by = person(role)
        path = f"{SERVICES}/custom-service"
        for method, where in (("POST", SERVICES), ("PUT", path), ("PATCH", path), ("DELETE", path)):
            assert (await desk.call(method, where, by=by, json={})).status_code == 403
        assert (await desk.call("GET", f"{SERVICES}/export", by=by)).status_code == 403
        assert (await desk.call("GET", path, by=by)).status_code in (200, 404)
