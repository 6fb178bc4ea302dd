"""The repositories on the session's real MongoDB and Redis, with a clock that tests move."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
import pytest
import pytest_asyncio
from vigie_contracts.tenants import TenantId
from vigie_identity.api_keys import ApiKeys
from vigie_identity.audit import Actor, Audit
from vigie_identity.identity import Identity, identity
from vigie_identity.licences import Licences
from vigie_identity.passwords import HashCost, Passwords
from vigie_identity.permissions import Role, Scope
from vigie_identity.principal import Principal
from vigie_identity.sessions import Sessions
from vigie_identity.settings import IdentitySettings
from vigie_identity.tenants import Tenants
from vigie_identity.users import User, Users
from vigie_runtime import clients
from vigie_runtime.clients import Database, MongoClient
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import ProblemError
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import Settings

NOW_MS = 4_102_444_800_000
"""The year 2100: nothing of the tests is so old that MongoDB's clock would have it removed."""
ACME, RIVAL = TenantId("acme"), TenantId("rival")
PASSWORD = "correct horse battery"
SECRET, SHARED = "own-secret-" * 4, "shared-secret-" * 4
BY = Actor("u-root", "root", "192.0.2.7", "pytest")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def identity_client(mongo_uri: str) -> AsyncIterator[MongoClient]:
    """The client that services have: majority writes, times with a zone."""
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1", mongodb_uri=mongo_uri, redis_url="redis://127.0.0.1:1")
    async with clients.mongo(settings) as client:
        yield client


@pytest.fixture
def db(identity_client: MongoClient, database: Any) -> Database:
    """A fresh database."""
    return identity_client[database.name]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@dataclass
class World:
    """The repositories around one database, with the tenants acme and rival in it."""

    db: Database
    clock: ManualClock
    audit: Audit
    tenants: Tenants
    licences: Licences
    passwords: Passwords
    users: Users
    keys: ApiKeys

    async def user(self, home: TenantId = ACME, role: Role = Role.USER, name: str = "alice") -> User:
        """A user with the password PASSWORD."""
        return await self.users.create(home, name, PASSWORD, role, BY)


CHEAP = HashCost(memory_kib=64, passes=1, lanes=1)
"""Parameters that take no time; production's are tried in one test."""


@pytest_asyncio.fixture(loop_scope="session")
async def world(db: Database, clock: ManualClock) -> AsyncIterator[World]:
    audit = Audit(db, clock)
    tenants = Tenants(db, audit, clock)
    passwords = Passwords(CHEAP)
    made = World(
        db, clock, audit, tenants,
        licences=Licences(db, tenants, audit, clock),
        passwords=passwords,
        users=Users(db, tenants, audit, passwords, clock),
        keys=ApiKeys(db, tenants, audit, clock),
    )  # fmt: skip
    for repository in (made.audit, made.tenants, made.licences, made.users, made.keys):
        await repository.ensure_indexes()
    for tenant in (ACME, RIVAL):
        await made.tenants.create(tenant, f"{tenant} inc", BY)
    yield made
    passwords.close()


def settings_for(redis_url: str = "redis://127.0.0.1:1", **more: Any) -> IdentitySettings:
    """Settings with a secret for tokens; without `redis_url` nobody listens where Redis should be."""
    return IdentitySettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongodb_uri="mongodb://127.0.0.1:1",
        redis_url=redis_url,
        **{"jwt_secret": SECRET, **more},
    )


@asynccontextmanager
async def running(
    world: World, redis_url: str = "redis://127.0.0.1:1", metrics: MetricSet | None = None, **more: Any
) -> AsyncGenerator[Identity]:
    """Identity as a service has it, over the world's database."""
    settings = settings_for(redis_url, **more)
    redis = clients.redis(settings)
    try:
        async with identity(settings, world.db, redis, world.clock, CHEAP, metrics=metrics) as made:
            await made.ensure_indexes()
            yield made
    finally:
        await redis.aclose()


def sessions_of(made: Identity) -> Sessions:
    assert made.sessions is not None
    return made.sessions


async def who(made: Identity, *headers: tuple[str, str]) -> Principal:
    """The principal of a request with these headers."""
    return await made.authenticator.authenticate([(name.encode(), value.encode()) for name, value in headers])


async def bearer(made: Identity, token: str) -> Principal:
    return await who(made, ("host", "vigie"), ("authorization", f"Bearer {token}"))


async def key_of(world: World, tenant: TenantId = ACME, *scopes: Scope, expires: datetime | None = None) -> str:
    """The secret of a new key, which may write unless said otherwise."""
    return (await world.keys.create(tenant, "sender", scopes or [Scope.WRITE], BY, expires)).secret


def partner(**more: Any) -> str:
    """A token of another issuer, signed with SHARED."""
    second = NOW_MS // 1000
    claims = {"iss": "partner", "aud": "vigie", "sub": "eve", "iat": second, "exp": second + 600, **more}
    return jwt.encode(claims, SHARED, "HS256")


async def refusal(asking: Any) -> ProblemError:
    """What the question is refused with."""
    with pytest.raises(ProblemError) as caught:
        await asking
    return caught.value
