"""The operator's commands on a real database: accounts without HTTP."""

import getpass
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM, Action
from vigie_identity.errors import BadCredential, TenantInactive
from vigie_identity.identity import Identity, identity
from vigie_identity.pages import PageRequest
from vigie_identity.passwords import Passwords
from vigie_identity.permissions import Scope
from vigie_runtime import clients
from vigie_runtime.clock import SystemClock
from vigie_standalone import secrets
from vigie_standalone.accounts import DEMO_TENANT, AccountSettings, ensure_own_key, prepare
from vigie_standalone.home import Home

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

Vigie = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def variables(mongo_uri: str, database: AsyncDatabase[Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As `vigie up` gives them; the name of the database is in the environment."""
    monkeypatch.setenv("VIGIE_MONGODB_DATABASE", database.name)
    return {"MONGODB_URI": mongo_uri, "KAFKA_BOOTSTRAP_SERVERS": "unused:1", "REDIS_URL": "redis://127.0.0.1:1"}


@pytest.fixture
def vigie(variables: dict[str, str], tmp_path: Path) -> Vigie:
    """The command, in a directory without a running `vigie up`."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vigie_standalone", *arguments],
            cwd=tmp_path,
            env={**os.environ, "MONGODB_URI": variables["MONGODB_URI"], **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
async def who(variables: dict[str, str], redis_url: str) -> AsyncIterator[Identity]:
    """What the services see of it."""
    settings = AccountSettings(
        kafka_bootstrap_servers="unused:1", mongodb_uri=variables["MONGODB_URI"], redis_url=redis_url
    )
    redis, mongo = clients.redis(settings), clients.mongo(settings)
    async with identity(settings, clients.database(mongo, settings), redis, SystemClock()) as made:
        yield made
    await redis.aclose()
    await mongo.close()


async def test_key_that_the_command_prints_is_good_until_it_is_revoked(vigie: Vigie, who: Identity) -> None:
    assert vigie("tenant", "add", "acme", "--name", "Acme Corp").stdout == "acme is there, named Acme Corp.\n"
    made = vigie("key", "create", "--tenant", "acme", "--scope", "write", "--name", "nodes", "--expires", "90d")
    secret = made.stdout.strip()
    assert made.stdout == f"{secret}\n"
    assert made.stderr == ""
    found = await who.keys.find(secret)
    assert found is not None
    assert (found.tenant, found.name, found.scopes) == ("acme", "nodes", {"write"})
    assert await who.authenticator.credential(secret.encode())

    listed = vigie("key", "list", "--tenant", "acme").stdout
    assert listed.startswith(f"{found.visible}\twrite\tgood until 20")
    assert secret not in listed
    assert vigie("key", "revoke", found.visible, "--tenant", "acme").stdout == f"{found.visible} is revoked.\n"
    gone = await who.keys.find(secret)
    assert gone is not None
    assert gone.revoked is not None

    entries = (await who.audit.page(TenantId("acme"), PageRequest())).items
    assert [entry.action for entry in entries] == [Action.KEY_REVOKED, Action.KEY_CREATED, Action.TENANT_CREATED]
    assert {(entry.actor.id, entry.actor.name) for entry in entries} == {("cli", getpass.getuser())}
    assert secret not in str(entries)


async def test_key_of_an_agent_is_bound_to_a_host(vigie: Vigie, who: Identity) -> None:
    vigie("tenant", "add", "acme")
    made = vigie("key", "create", "--tenant", "acme", "--scope", "agent", "--host", "web-1")
    found = await who.keys.find(made.stdout.strip())
    assert found is not None
    assert (found.scopes, found.host) == ({Scope.AGENT}, "web-1")
    refused = vigie("key", "create", "--tenant", "acme", "--scope", "write", "--host", "web-1")
    assert "only a key of the scope agent" in refused.stderr


async def test_tenant_is_kept_out_and_let_in_again(vigie: Vigie, who: Identity) -> None:
    vigie("tenant", "add", "acme")
    secret = vigie("key", "create", "--tenant", "acme", "--scope", "read").stdout.strip()
    assert vigie("tenant", "deactivate", "acme").stdout == "acme is inactive.\n"
    assert "acme\tinactive\tacme\n" in vigie("tenant", "list").stdout
    with pytest.raises((TenantInactive, BadCredential)):
        await who.authenticator.credential(secret.encode())
    assert vigie("tenant", "activate", "acme").stdout == "acme is active.\n"


async def test_first_start_gives_its_password_to_one_and_reset_makes_another(
    vigie: Vigie, who: Identity, variables: dict[str, str]
) -> None:
    first = await prepare(variables, demo=True)
    assert first.administrator == "admin"
    assert (await prepare(variables, demo=True)).administrator is None
    assert (await who.tenants.get(DEMO_TENANT)).name == "acme-corp"
    reset = vigie("admin", "reset-password")
    new = reset.stdout.strip()
    assert new not in {"", first.password}
    account = await who.users.account(TenantId("_platform"), "admin")
    assert account is not None
    passwords = Passwords()
    assert (await passwords.verify(account.password, new)) is not False
    passwords.close()


async def test_number_of_partitions_is_that_of_the_topics_that_were_made(
    variables: dict[str, str], database: AsyncDatabase[Any]
) -> None:
    assert (await prepare(variables, demo=False)).partitions is None
    await database["topics"].insert_one({"_id": "vigie.samples.v1", "partitions": 12, "cluster_id": "x"})
    assert (await prepare(variables, demo=False)).partitions == 12


async def test_demo_tenant_that_somebody_switched_off_stays_off(variables: dict[str, str], vigie: Vigie) -> None:
    await prepare(variables, demo=True)
    vigie("tenant", "deactivate", DEMO_TENANT)
    await prepare(variables, demo=True)
    assert f"{DEMO_TENANT}\tinactive" in vigie("tenant", "list").stdout


async def test_chosen_password_is_taken_and_not_told(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_ADMIN_PASSWORD", "correct horse battery staple")
    made = await prepare(variables, demo=False)
    assert (made.administrator, made.password) == ("admin", None)


async def test_a_key_for_own_measurements_is_made_once_and_again_when_it_is_revoked(
    variables: dict[str, str], who: Identity, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.directory.mkdir()
    await prepare(variables, demo=False)
    await ensure_own_key(variables, home)
    secret = secrets.read(home, secrets.OWN_KEY)
    assert secret is not None
    assert (home.secrets / secrets.OWN_KEY).stat().st_mode & 0o777 == 0o600
    await ensure_own_key(variables, home)
    assert secrets.read(home, secrets.OWN_KEY) == secret
    key = await who.keys.find(secret)
    assert key is not None
    assert (key.tenant, key.scopes) == ("default", {Scope.WRITE})
    await who.keys.revoke(key.tenant, key.id, SYSTEM)
    await ensure_own_key(variables, home)
    assert secrets.read(home, secrets.OWN_KEY) != secret


def test_what_is_refused_is_a_sentence(vigie: Vigie) -> None:
    vigie("tenant", "add", "acme")
    for arguments, sentence in (
        (("tenant", "add", "acme"), "There is, or was, a tenant of that id."),
        (("tenant", "add", "a b"), "Tenant: must have"),
        (("key", "list", "--tenant", "nobody"), "There is no such tenant."),
        (("key", "revoke", "vk_none", "--tenant", "acme"), "There is no such API key."),
        (("admin", "reset-password"), "There is no such user."),
    ):
        refused = vigie(*arguments)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"vigie: {sentence}"), refused.stderr
        assert refused.stdout == ""
    assert "a scope is one of" in vigie("key", "create", "--tenant", "acme", "--scope", "all").stderr


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("", "No MongoDB is known: no Vigie runs on /"),
        ("mongodb://vigie:hunter2@127.0.0.1:1/", "The store does not answer"),
        ("mongodb://vigie:hunter2@host:port/", "MONGODB_URI is not a connection string"),
        ("postgres://vigie:hunter2@host", "MONGODB_URI is not usable"),
    ],
)
def test_database_that_cannot_be_used_is_a_sentence_without_its_password(vigie: Vigie, uri: str, sentence: str) -> None:
    refused = vigie("tenant", "list", MONGODB_URI=uri)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"vigie: {sentence}"), refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout
