"""Failed logins are in the audit log of the account's home: a few, how many more, and for how long."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity import failed_logins as module
from vigie_identity.audit import Action, Audit, AuditEntry
from vigie_identity.errors import InvalidField, TooManyAttempts, WrongLogin
from vigie_identity.failed_logins import MINUTE_S, PER_ACCOUNT
from vigie_identity.identity import Identity
from vigie_identity.pages import PageRequest
from vigie_identity.sessions import ClientInfo
from vigie_identity.tenants import Status

from .conftest import ACME, BY, PASSWORD, World, running, sessions_of


@pytest.fixture
async def made(world: World) -> AsyncIterator[Identity]:
    async with running(world) as identity:
        yield identity


async def fail(made: Identity, name: str, home: str | None = ACME, address: str = "192.0.2.1") -> None:
    with pytest.raises((WrongLogin, TooManyAttempts)):
        await sessions_of(made).login(name, "a typed secret", ClientInfo(address, "a browser"), home)
    await written(made)


async def written(made: Identity) -> None:
    for task in [*sessions_of(made)._failed._writes]:
        await task


async def failures(world: World, home: TenantId = ACME) -> list[AuditEntry]:
    """Oldest first."""
    entries = (await world.audit.page(home, PageRequest())).items
    return [entry for entry in reversed(entries) if entry.action is Action.LOGIN_FAILED]


async def test_a_failed_login_says_whose_account_and_from_where_and_not_what_was_typed(
    made: Identity, world: World
) -> None:
    user = await world.user()
    await fail(made, "ALICE")
    await fail(made, "my password in the wrong field")
    known, unknown = await failures(world)
    assert (known.target, known.changes) == (user.id, {"name": "alice"})
    assert (known.actor.id, known.actor.address, known.actor.agent) == ("", "192.0.2.1", "a browser")
    assert (unknown.target, unknown.changes) == ("", {})
    assert "typed" not in repr([known, unknown])
    assert "wrong field" not in repr([known, unknown])


async def test_a_tenant_that_is_written_otherwise_has_its_entries_too(made: Identity, world: World) -> None:
    home = TenantId("9f0c0a5e-1b2d-4c3e-8f4a-abcdefabcdef")
    await world.tenants.create(home, "a UUID", BY)
    user = await world.user(home)
    await fail(made, "alice", home.upper())
    assert [entry.target for entry in await failures(world, home)] == [user.id]


async def test_a_wrong_old_password_is_one_too(made: Identity, world: World) -> None:
    user = await world.user()
    with pytest.raises(InvalidField):
        await sessions_of(made).change_password(user.id, "not the old one", "another password", ClientInfo())
    await written(made)
    assert [entry.target for entry in await failures(world)] == [user.id]


async def test_strangers_cannot_fill_the_log_nor_hide_a_failure_in_it(made: Identity, world: World) -> None:
    user = await world.user()
    for n in range(30):
        await fail(made, f"nobody-{n}", address=f"198.51.100.{n}")
    await fail(made, "alice")
    assert [entry.target for entry in await failures(world)] == [""] * PER_ACCOUNT + [user.id]
    world.clock.advance(MINUTE_S)
    for task in [*sessions_of(made)._failed._ends]:
        await task
    assert (await failures(world))[-1].changes == {"more": 30 - PER_ACCOUNT}
    await fail(made, "nobody-again")
    assert len(await failures(world)) == PER_ACCOUNT + 3, "another minute"


async def test_a_home_has_a_limit_too_and_a_stop_loses_no_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PER_HOME", 4)
    async with running(world) as made:
        for n in range(6):
            await world.user(name=f"u{n}")
            await fail(made, f"u{n}")
    assert [entry.changes.get("more") for entry in await failures(world)] == [None] * 4 + [2]


async def test_only_homes_that_exist_have_entries(made: Identity, world: World) -> None:
    gone = TenantId("gone")
    await world.tenants.create(gone, "gone", BY)
    await world.tenants.change(gone, BY, status=Status.INACTIVE)
    await world.tenants.delete(gone, BY)
    for home in ("gone", "unknown", "", "not a tenant", PLATFORM):
        await fail(made, "alice", home)
    found = await world.db["audit"].find({"action": "login.failed"}).to_list()
    assert [one["tenant"] for one in found] == [PLATFORM]
    assert sessions_of(made)._failed._minutes.keys() == {PLATFORM}


async def test_a_good_login_is_none(made: Identity, world: World) -> None:
    await world.user()
    await sessions_of(made).login("alice", PASSWORD, ClientInfo(), ACME)
    await written(made)
    assert await failures(world) == []


async def test_entries_are_kept_for_as_long_as_the_settings_said_when_they_were_written(world: World) -> None:
    for days, name in ((30, "a"), (90, "b")):
        async with running(world, audit_retention_days=days) as made:
            await made.tenants.create(TenantId(name), name, BY)
    found: list[Any] = [await world.db["audit"].find_one({"tenant": name}) for name in ("a", "b", ACME)]
    assert [one["expires"] - one["at"] for one in found] == [timedelta(days=days) for days in (30, 90, 400)]
    indexes = await world.db["audit"].index_information()
    assert indexes["expires_1"]["expireAfterSeconds"] == 0
    assert Audit(world.db, world.clock)._kept == timedelta(days=400)
