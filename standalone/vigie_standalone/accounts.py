"""Who may use a Vigie, straight on its database: what `vigie up` prepares, and what the operator's commands do.

Whoever reaches the database may do all of this anyway; so there is nobody to ask for a credential here.
"""

import getpass
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError
from pymongo.errors import ConfigurationError, PyMongoError
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM, Actor
from vigie_identity.errors import Conflict
from vigie_identity.identity import Identity, identity
from vigie_identity.permissions import Scope
from vigie_identity.settings import IdentitySettings
from vigie_runtime import clients, logging
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import ProblemError, reason_of
from vigie_runtime.logging import redact
from vigie_runtime.settings import TenantSettings, explain
from vigie_storage.topics import recorded_partitions

from vigie_standalone import secrets
from vigie_standalone.embedded.servers import VARIABLES, Server
from vigie_standalone.errors import StandaloneError
from vigie_standalone.home import Home
from vigie_standalone.preparation import DEMO_TENANT, DEMO_TENANT_NAME, Prepared

UNKNOWN = {Server.KAFKA: "127.0.0.1:1", Server.REDIS: "redis://127.0.0.1:1/0"}
"""Kafka is not asked here. Redis is, to forget failed logins, and may be away."""


class AccountSettings(IdentitySettings, TenantSettings):
    """Those of the services that ask who somebody is."""


class AccountsError(StandaloneError):
    """What identity, its settings or its database refuse, as a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason[:1].upper()}{reason[1:].rstrip('.')}.")


@dataclass(frozen=True)
class Accounts:
    """Everything that can be done, and who does it."""

    settings: AccountSettings
    identity: Identity
    actor: Actor
    database: clients.Database


def addresses(data_dir: Path) -> dict[str, str]:
    """Where the database is: as the environment says, else that of the running `vigie up`. Raises AccountsError."""
    home = Home(data_dir)
    run = home.running()
    found = dict(UNKNOWN)
    found |= {Server(name): address["url"] for name, address in run.servers.items()} if run else {}
    known = {VARIABLES[server]: url for server, url in found.items() if not is_set(VARIABLES[server])}
    if VARIABLES[Server.MONGODB] not in known and not is_set(VARIABLES[Server.MONGODB]):
        raise AccountsError(
            f"no MongoDB is known: no Vigie runs on {home.directory}. Start it with `vigie up`, name the directory of "
            "one that runs by --data-dir or VIGIE_HOME, or set MONGODB_URI"
        )
    return known


def is_set(variable: str) -> bool:
    """Whether the environment says it, or names the file that does."""
    return bool(os.environ.get(variable) or os.environ.get(f"{variable}_FILE"))


@asynccontextmanager
async def accounts(variables: Mapping[str, str]) -> AsyncIterator[Accounts]:
    """The library on the database that the variables name; raises AccountsError for all that it refuses."""
    logging.configure("vigie", "error")  # standard output is for what was asked for
    try:
        settings = AccountSettings(**{name.lower(): value for name, value in variables.items()})  # pyright: ignore[reportArgumentType] - they are texts
        async with AsyncExitStack() as stack:
            redis = clients.redis(settings)
            stack.push_async_callback(redis.aclose)
            mongo = _client(settings)
            stack.push_async_callback(mongo.close)
            database = clients.database(mongo, settings)
            who = await stack.enter_async_context(identity(settings, database, redis, SystemClock()))
            await who.ensure_indexes()
            yield Accounts(settings, who, _operator(), database)
    except ValidationError as error:
        raise AccountsError("; ".join(explain(AccountSettings, error))) from None
    except (SettingsError, ProblemError) as error:
        raise AccountsError(str(error)) from None
    except PyMongoError as error:
        raise AccountsError(f"MongoDB refuses: {redact(reason_of(error))}") from None


def _client(settings: AccountSettings) -> clients.MongoClient:
    try:
        return clients.mongo(settings)
    except (ValueError, ConfigurationError) as error:
        raise AccountsError(f"MONGODB_URI is not a connection string: {redact(str(error))}") from None


async def prepare(variables: Mapping[str, str], *, demo: bool, agent: tuple[Home, str] | None = None) -> Prepared:
    """Make what a Vigie needs before anybody can use it; with `agent`, a home and the name of a host, also a good key
    for the agent of that host. Raises AccountsError."""
    async with accounts(variables) as here:
        who = here.identity
        await who.tenants.ensure(TenantId(here.settings.default_tenant))
        chosen = here.settings.admin_password
        made = await who.first_start(chosen.get_secret_value() if chosen else None)
        if demo:
            with suppress(Conflict):  # made by an earlier start: whatever became of it since is somebody's will
                await who.tenants.create(DEMO_TENANT, DEMO_TENANT_NAME, SYSTEM)
        if agent is not None:
            home, host = agent
            await _keep_key(here, home, secrets.AGENT_KEY, name=f"agent of {host}", scope=Scope.AGENT, host=host)
        recorded = await recorded_partitions(here.database)
        return Prepared(recorded, made.name, made.password) if made else Prepared(recorded)


async def ensure_own_key(variables: Mapping[str, str], home: Home) -> None:
    """Have a good key of the default tenant kept for Vigie's own measurements. Raises AccountsError."""
    async with accounts(variables) as here:
        await _keep_key(here, home, secrets.OWN_KEY, name="self-monitoring of vigie up", scope=Scope.WRITE)


async def _keep_key(here: Accounts, home: Home, file: str, *, name: str, scope: Scope, host: str | None = None) -> None:
    """Have a good key of the default tenant kept in the file: the one that is there, or another."""
    keys, kept = here.identity.keys, secrets.read(home, file)
    known = await keys.find(kept) if kept else None
    if known is None or not known.good(datetime.now(UTC)) or known.host != host:
        tenant = TenantId(here.settings.default_tenant)
        made = await keys.create(tenant, name, [scope], SYSTEM, host=host)
        secrets.keep(home, file, made.secret)


def _operator() -> Actor:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user needs no name
        user = f"uid {os.getuid()}"
    return Actor("cli", user, agent=f"vigie on {socket.gethostname()}")
