"""Everything of this library put together, for a service's `app.py`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from redis.asyncio import Redis
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_runtime import logging
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet

from vigie_identity.api_keys import ApiKeys
from vigie_identity.audit import Actor, Audit
from vigie_identity.authenticator import Authenticator
from vigie_identity.bootstrap import FirstStart, NewAdministrator
from vigie_identity.failed_logins import FailedLogins
from vigie_identity.foreign import ForeignClaims
from vigie_identity.jwks import Jwks, http_client
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.licences import Licences
from vigie_identity.metrics import IDENTITY_METRICS, STALE, CacheName
from vigie_identity.passwords import HashCost, Passwords
from vigie_identity.refresh import RefreshTokens
from vigie_identity.session_store import SessionStore
from vigie_identity.sessions import SessionLifetimes, Sessions
from vigie_identity.settings import IdentitySettings
from vigie_identity.tenants import Tenants
from vigie_identity.throttle import LoginThrottle
from vigie_identity.tokens import HS256, Issuer, SharedSecret, Signer, Verifier
from vigie_identity.users import Users

log = logging.get(__name__)

_HS: Final = frozenset({HS256})


@dataclass(frozen=True, slots=True)
class Identity:
    """`sessions` is None when there is no VIGIE_JWT_SECRET: then nobody can log in."""

    audit: Audit
    tenants: Tenants
    known_tenants: KnownTenants
    licences: Licences
    users: Users
    keys: ApiKeys
    sessions: Sessions | None
    authenticator: Authenticator
    _stored_sessions: SessionStore
    _first: FirstStart
    _throttle: LoginThrottle

    async def ensure_indexes(self) -> None:
        """Make all collections and indexes. Safe to repeat, also by several processes. Raises StoreUnavailable."""
        for part in (self.audit, self.tenants, self.licences, self.users, self.keys, self._stored_sessions):
            await part.ensure_indexes()

    async def prepare(self, tenant: TenantId) -> None:
        """Collections, indexes and the default tenant. Safe to repeat. Raises StoreUnavailable."""
        await self.ensure_indexes()
        await self.tenants.ensure(tenant)

    async def first_start(self, admin_password: str | None = None) -> NewAdministrator | None:
        """After `prepare`: make sure of an administrator. Only the one call that made it gets an answer; its password
        is nowhere else, and must not get into a log. Raises StoreUnavailable."""
        return await self._first.administrator(admin_password)

    async def reset_administrator(self, by: Actor) -> NewAdministrator:
        """A new password for `admin`, for an operator who lost it, and no failed logins so far. Raises NotFound,
        StoreUnavailable."""
        administrator = await self._first.reset(by)
        await self._throttle.clear(PLATFORM, administrator.name)
        return administrator


@asynccontextmanager
async def identity(
    settings: IdentitySettings, db: Database, redis: Redis, clock: Clock, cost: HashCost | None = None,
    *, metrics: MetricSet | None = None,
) -> AsyncGenerator[Identity]:  # fmt: skip
    """Identity while the context is entered. `cost` is that of passwords; `metrics` declares IDENTITY_METRICS."""
    metrics = metrics or MetricSet(IDENTITY_METRICS)
    async with AsyncExitStack() as stack:
        passwords = Passwords(cost)
        stack.callback(passwords.close)
        audit = Audit(db, clock, timedelta(days=settings.audit_retention_days))
        tenants = Tenants(db, audit, clock)
        known_tenants = KnownTenants(tenants, clock, metrics.counter(STALE, what=CacheName.TENANTS).inc)
        stack.push_async_callback(known_tenants.close)
        users = Users(db, tenants, audit, passwords, clock)
        keys = ApiKeys(db, tenants, audit, clock)
        throttle = LoginThrottle(redis, clock, metrics)
        stored = SessionStore(db, redis, clock, settings.access_token_s + settings.jwt_skew_s, metrics)
        secret = settings.jwt_secret.get_secret_value().encode() if settings.jwt_secret else None
        sessions = None
        if secret is not None:
            failed = FailedLogins(audit, tenants, clock)
            stack.push_async_callback(failed.close)
            sessions = Sessions(
                db=db,
                store=stored,
                users=users,
                tenants=tenants,
                passwords=passwords,
                throttle=throttle,
                failed=failed,
                signer=Signer(secret, settings.jwt_issuer, settings.jwt_audience, settings.access_token_s, clock),
                refresh=RefreshTokens(secret),
                audit=audit,
                lifetimes=SessionLifetimes(settings.session_life, settings.session_idle),
            )
        issuers = await _issuers(settings, clock, stack)
        foreign = ForeignClaims(
            roles=settings.jwt_roles_claim,
            tenants=settings.jwt_tenants_claim,
            platform_roles=settings.jwt_foreign_platform_roles,
        )
        authenticator = Authenticator(
            verifier=Verifier(issuers, settings.jwt_audience, settings.jwt_skew_s, clock),
            sessions=stored,
            users=users,
            keys=keys,
            tenants=tenants,
            known_tenants=known_tenants,
            foreign=foreign,
            anonymous=settings.anonymous_rule,
            clock=clock,
            on_stale=metrics.counter(STALE, what=CacheName.CREDENTIALS).inc,
        )
        stack.push_async_callback(authenticator.close)
        yield Identity(
            audit, tenants, known_tenants, Licences(db, tenants, audit, clock), users, keys, sessions, authenticator,
            stored, FirstStart(db, users), throttle,
        )  # fmt: skip


async def _issuers(settings: IdentitySettings, clock: Clock, stack: AsyncExitStack) -> list[Issuer]:
    """Whose tokens are believed."""
    issuers: list[Issuer] = []
    if settings.jwt_secret is not None:
        own = SharedSecret(settings.jwt_secret.get_secret_value().encode())
        issuers.append(Issuer(settings.jwt_issuer, _HS, own, own=True))
    if settings.jwt_shared_secret is not None and settings.jwt_shared_issuer is not None:
        shared = SharedSecret(settings.jwt_shared_secret.get_secret_value().encode())
        issuers.append(Issuer(settings.jwt_shared_issuer, _HS, shared))
    if settings.jwt_jwks_url is not None and settings.jwt_jwks_issuer is not None:
        client = await stack.enter_async_context(http_client())
        jwks = Jwks(settings.jwt_jwks_url, settings.jwks_algorithms, client, clock)
        stack.push_async_callback(jwks.close)
        issuers.append(Issuer(settings.jwt_jwks_issuer, settings.jwks_algorithms, jwks))
    log.info("tokens are believed of", issuers=[issuer.name for issuer in issuers])
    return issuers
