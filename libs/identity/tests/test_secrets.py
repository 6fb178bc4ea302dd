"""Nothing that opens a door is logged, stored in the clear, or told twice."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.errors import BadCredential
from vigie_identity.permissions import Role, Scope
from vigie_identity.sessions import ClientInfo
from vigie_runtime.errors import ProblemError

from .conftest import ACME, BY, PASSWORD, SECRET, World, bearer, running, sessions_of

CLIENT = ClientInfo("", "pytest")


async def test_no_secret_is_in_the_logs_or_in_the_database(
    world: World, redis_url: str, unique: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    name = unique("alice")
    with capture_logs() as logs:
        async with running(world, redis_url) as made:
            sessions = sessions_of(made)
            await made.prepare(TenantId("default"))
            admin = await made.first_start()
            assert admin is not None
            assert admin.password is not None
            await world.user(name=name)
            key = await made.keys.create(ACME, "sender", [Scope.WRITE], BY)
            rotated = await made.keys.rotate(ACME, key.key.id, BY)
            first = await sessions.login(name, PASSWORD, CLIENT, ACME)
            second = await sessions.refresh(first.refresh, CLIENT)
            await bearer(made, second.access)
            other = await world.users.create(ACME, name + "-2", PASSWORD, Role.USER, BY)
            await sessions.change_password(other.id, PASSWORD, "a chosen password", CLIENT)
            await bearer(made, rotated.secret)
            with pytest.raises(BadCredential):
                await sessions.refresh(first.refresh, CLIENT)
            with pytest.raises(ProblemError):
                await sessions.login(name, "a wrong password", CLIENT, ACME)
            with pytest.raises(ProblemError):
                await bearer(made, second.access[:-6] + "AAAAAA")
    secrets = [
        PASSWORD,
        SECRET,
        "a wrong password",
        "a chosen password",
        admin.password,
        key.secret[20:],
        rotated.secret[20:],
    ]
    secrets += [tokens.access.split(".")[2] for tokens in (first, second)]
    secrets += [tokens.refresh[-40:] for tokens in (first, second)]
    printed = capfd.readouterr()
    told = json.dumps(logs, default=str) + printed.out + printed.err
    assert "used twice" in told
    stored = "".join(
        [repr(document) for collection in await world.db.list_collection_names()
         async for document in world.db[collection].find()]
    )  # fmt: skip
    for secret in secrets:
        assert secret not in told
        assert secret not in stored
    assert await world.users.account(PLATFORM, "admin") is not None
