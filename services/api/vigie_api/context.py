"""What a route works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity.audit import Actor
from vigie_identity.credential_cache import Asker
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.identity import Identity
from vigie_identity.principal import Principal, PrincipalKind
from vigie_limits.quotas import RateLimits
from vigie_runtime.addresses import FORWARDED_HEADER, Origin, Origins
from vigie_runtime.cache import TtlCache
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError, StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.latest import LatestReader
from vigie_storage.reader import SeriesReader
from vigie_storage.reports.reader import NodeReportReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.usage import UsageStore

from vigie_api.access import access_of, tenant_of
from vigie_api.concurrency import ConcurrencyLimit
from vigie_api.exposition.catalogue import FamilyCatalogue
from vigie_api.middleware import CHARGES
from vigie_api.settings import Settings

_KEPT_ANSWERS = 64
"""A chart of as many points as are allowed takes 20 MB; nothing is kept for longer than `api_answer_cache_s`."""


_STRANGER = Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous")


class Authenticator(Protocol):
    """What the routes need of `vigie_identity.authenticator.Authenticator`."""

    async def authenticate(self, headers: list[tuple[bytes, bytes]], asker: Asker) -> Principal: ...


@dataclass(frozen=True, slots=True)
class Stores:
    """The readers of a running app, and who may ask them."""

    authenticator: Authenticator
    identity: Identity
    rates: RateLimits
    usage: UsageStore
    series: SeriesCatalogue
    families: FamilyCatalogue
    latest: LatestReader
    reader: SeriesReader
    telemetry: NodeReportReader
    mongodb_ping: Callable[[], Awaitable[object]]
    redis_ping: Callable[[], Awaitable[object]]


class AppState:
    """Everything that lives as long as the app. `stores` is None while it starts and stops."""

    def __init__(self, settings: Settings, clock: Clock, metrics: MetricSet) -> None:
        self.settings, self.clock, self.metrics = settings, clock, metrics
        self.stores: Stores | None = None
        self.prepared = False
        """Whether the first start was made, now or long ago: before, the default tenant may not be there."""
        self.origins = Origins(settings.proxies)
        self.answers = TtlCache[BaseModel](clock, settings.api_answer_cache_s, _KEPT_ANSWERS)
        self.scrapes = ConcurrencyLimit(settings.api_concurrent_scrapes, "answers of /metrics")
        self.pages = ConcurrencyLimit(settings.api_concurrent_reads, "pages of reports")

    def mark_prepared(self) -> None:
        """The first start was made."""
        self.prepared = True


@dataclass(frozen=True, slots=True)
class Context:
    """One request: who asks, for whose data, now, and where from."""

    principal: Principal
    actor: Actor
    """The same, for the audit log."""
    tenant: TenantId
    """PLATFORM for routes that are about no tenant."""
    now_ms: int
    state: AppState
    stores: Stores

    @property
    def stale_before_ms(self) -> int:
        """A series whose newest sample is older than this is not live."""
        return self.now_ms - round(self.state.settings.api_stale_after_s * 1000)

    async def cached(self, key: Hashable, compute: Callable[[], Awaitable[BaseModel]]) -> BaseModel:
        """The tenant's answer to the question `key`, at most `api_answer_cache_s` old."""
        return await self.state.answers.get((self.tenant, key), compute)


def stores_of(request: Request) -> Stores:
    """For routes that ask nothing of the caller. Raises StoreUnavailable while the app is not connected."""
    state: AppState = request.app.state.state
    if state.stores is None:
        raise StoreUnavailable
    return state.stores


async def context_of(request: Request) -> Context:
    """Every route's way to data; the caller is judged, and charged, once per request. Raises StoreUnavailable while the
    app is not connected, ProblemError when the caller may not do this, or not so often."""
    made: Context | None = getattr(request.state, "context", None)
    if made is None:
        made = request.state.context = await _judged(request)
    return made


async def _judged(request: Request) -> Context:
    state: AppState = request.app.state.state
    stores = stores_of(request)
    origin = origin_of(request)
    quota = request.scope[CHARGES] = stores.rates.open(origin)
    try:
        principal = await stores.authenticator.authenticate(request.scope["headers"], quota)
        tenant = tenant_of(request, principal, state.settings.default_tenant)
        if principal.everywhere and tenant is not None:  # others belong to it
            if access_of(request).deleted:
                await stores.identity.tenants.get(tenant, deleted=True)
            else:
                await _check_exists(stores.identity, tenant)
    except ProblemError as e:
        await quota.refused(e)
        raise
    # What the platform's people ask about a tenant, also one that is switched off, is not the tenant's use.
    await quota.admit(principal, None if principal.everywhere else tenant)
    actor = Actor(principal.id, principal.name, origin.address, agent_of(request))
    return Context(principal, actor, tenant or PLATFORM, state.clock.now_ms(), state, stores)


async def _check_exists(identity: Identity, tenant: TenantId) -> None:
    """Active or not; from memory, also while MongoDB does not answer. Raises NotFound; StoreUnavailable, Busy."""
    known = identity.known_tenants
    try:
        _ = known.at_once(tenant) or await known.require(tenant)
    except TenantInactive:
        pass
    except NotFound:
        await identity.tenants.get(tenant)  # it may have been made a moment ago, and its maker may ask at once


async def charge_stranger(request: Request) -> None:
    """Charge a request of which no credential is looked at. Raises StoreUnavailable, Throttled."""
    quota = request.scope[CHARGES] = stores_of(request).rates.open(origin_of(request))
    await quota.admit(_STRANGER, None)


def origin_of(request: Request) -> Origin:
    """Where the request comes from."""
    state: AppState = request.app.state.state
    forwarded = b",".join(value for name, value in request.scope["headers"] if name == FORWARDED_HEADER)
    return state.origins.of(request.client.host if request.client else None, forwarded or None)


def agent_of(request: Request) -> str:
    """What the client says that it is."""
    return request.headers.get("user-agent", "")


async def in_tenant(request: Request) -> Context:
    """`context_of`, for administration: to who sees every tenant MongoDB says whether it exists, so that a deletion
    shows at once; elsewhere that is remembered for a few seconds. Raises NotFound."""
    context = await context_of(request)
    if context.principal.everywhere:
        await context.stores.identity.tenants.get(context.tenant)
    return context


Ctx = Annotated[Context, Depends(context_of)]
InTenant = Annotated[Context, Depends(in_tenant)]
