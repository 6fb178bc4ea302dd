"""Starting and stopping services: who may, what of, and what is answered about it."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from vigie_contracts.commands import LIFE_MS, CommandResult, Outcome
from vigie_contracts.hosts import IMPORTED
from vigie_identity.audit import Action
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Role
from vigie_storage.commands import Commands

from .conftest import Office
from .test_stats import ACME, SHOP, person, reported

pytestmark = pytest.mark.connected

SERVICE = "twoine-shop-api"
PATH = f"/api/sites/shop/services/{SERVICE}"


@pytest_asyncio.fixture(loop_scope="session")
async def acme(office: Office) -> Office:
    await office.tenant("acme")
    office.root = {**office.root, "x-scope-orgid": "acme"}
    for site in ("shop", "blog"):
        await office.call("POST", "/api/sites", office.root, 201, **{**SHOP, "id": site, "account": site})
    services = [
        {"name": SERVICE, "site": "shop", "state": "active"},
        {"name": "nginx", "site": None, "state": "active"},
    ]
    await reported(office, services=services)
    return office


async def ended(office: Office, id_: str, outcome: Outcome, message: str = "") -> None:
    """What the aggregator stores of the agent's word."""
    store = Commands(office.app.state.service.resources.database)
    assert await store.end(ACME, id_, "web-1", CommandResult(outcome, message, office.clock.now_ms()))


async def test_who_may_asks_for_an_action_and_sees_what_became_of_it(acme: Office) -> None:
    user, reader = await person(acme, Role.USER, "shop"), await person(acme, Role.READONLY, "shop")
    given = await acme.call("POST", f"{PATH}/restart", user, 202)
    assert (given["service"], given["siteId"], given["host"]) == (SERVICE, "shop", "web-1")
    assert (given["action"], given["state"], given["by"]) == ("restart", "pending", "user")
    shown = f"/api/commands/{given['id']}"
    assert await acme.call("GET", shown, reader) == given
    await acme.call("POST", f"{PATH}/stop", user, 409)
    await ended(acme, given["id"], Outcome.FAILED, "systemd says: failed")
    found = await acme.call("GET", shown, user)
    assert (found["state"], found["message"], found["endedAt"] is not None) == ("failed", "systemd says: failed", True)
    await acme.call("POST", f"{PATH}/stop", user, 202)
    entries = await acme.app.state.service.resources.identity.audit.page(ACME, PageRequest(limit=50))
    [stop, restart] = [one for one in entries.items if one.action is Action.SERVICE_COMMANDED]
    assert (restart.target, restart.actor.name) == (SERVICE, "user")
    assert restart.changes == {"command": given["id"], "action": "restart", "site": "shop", "host": "web-1"}
    assert stop.changes["action"] == "stop"


async def test_two_agents_of_one_name_are_told_nothing_but_an_import_is_no_agent(acme: Office) -> None:
    agent = {"version": "1"}
    await reported(acme, ago_s=10, newest=False, agent={**agent, "instance": IMPORTED})
    await acme.call("POST", f"{PATH}/restart", acme.root, 202)
    await reported(acme, ago_s=8, newest=False, agent={**agent, "instance": "another-agent"})
    refused = await acme.call("POST", f"{PATH}/restart", acme.root, 409)
    assert "several agents" in refused["detail"]


async def test_a_command_that_nobody_took_has_expired_and_another_may_be_given(acme: Office) -> None:
    given = await acme.call("POST", f"{PATH}/start", acme.root, 202)
    acme.clock.advance(LIFE_MS / 1000)
    found = await acme.call("GET", f"/api/commands/{given['id']}", acme.root)
    assert (found["state"], "no agent took it in time" in found["message"]) == ("expired", True)
    again = await acme.call("POST", f"{PATH}/start", acme.root, 202)
    await ended(acme, given["id"], Outcome.DONE)
    late = await acme.call("GET", f"/api/commands/{given['id']}", acme.root)
    assert late["state"] == "done", "what the agent says stands above what was only supposed"
    assert (await acme.call("GET", f"/api/commands/{again['id']}", acme.root))["state"] == "pending"


async def test_others_and_other_things_are_refused(acme: Office) -> None:
    user, reader = await person(acme, Role.USER, "blog"), await person(acme, Role.READONLY, "shop")
    given = await acme.call("POST", f"{PATH}/restart", acme.root, 202)
    refused: list[tuple[str, str, Any, int]] = [
        ("POST", f"{PATH}/stop", user, 404),
        ("GET", f"/api/commands/{given['id']}", user, 404),
        ("POST", f"{PATH}/stop", reader, 403),
        ("POST", f"{PATH}/stop", {}, 401),
        ("POST", f"{PATH}/kill", acme.root, 422),
        ("POST", "/api/sites/shop/services/nginx/stop", acme.root, 404),
        ("POST", f"/api/sites/blog/services/{SERVICE}/stop", acme.root, 404),
        ("POST", f"/api/sites/none/services/{SERVICE}/stop", acme.root, 404),
        ("POST", "/api/sites/shop/services/a%3Brm/stop", acme.root, 422),
        ("GET", f"/api/commands/{'0' * 32}", acme.root, 404),
        ("GET", "/api/commands/x", acme.root, 422),
    ]
    found = {
        (method, path): (await acme.http.request(method, path, headers=headers)).status_code
        for method, path, headers, _ in refused
    }
    expected: dict[Any, int] = {}
    for method, path, _, status in refused:
        expected[method, path] = status
    assert found == expected
