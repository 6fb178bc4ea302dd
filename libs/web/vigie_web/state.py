"""What lives as long as a service: what it was told, and what it is connected to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from vigie_identity.authenticator import Authenticator
from vigie_identity.identity import Identity
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.tenants import Tenants
from vigie_limits.quotas import RateLimits
from vigie_runtime.addresses import Origins
from vigie_runtime.clock import Clock, SystemClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_runtime.settings import TenantSettings

from vigie_web.access import AccessTable
from vigie_web.health import Check

_ATTRIBUTE: Final = "service"


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Who may ask, about which tenants, and how often."""

    authenticator: Authenticator
    tenants: Tenants
    known_tenants: KnownTenants
    rates: RateLimits

    @classmethod
    def of(cls, who: Identity, rates: RateLimits) -> Self:
        return cls(who.authenticator, who.tenants, who.known_tenants, rates)


class Resources(Protocol):
    """What a connected service has at least. Its own class adds, as typed fields, what its routes work with."""

    @property
    def access(self) -> AccessControl: ...

    @property
    def checks(self) -> Sequence[Check]:
        """What is asked for its readiness."""
        ...


S = TypeVar("S", bound=TenantSettings)
R = TypeVar("R", bound=Resources)


class AppState(Generic[S, R]):
    """What a service was told, and what it is connected to. `resources` is None while it starts and stops; `table` is
    that of the app it is bound to."""

    def __init__(self, settings: S, metrics: MetricSet, clock: Clock | None = None) -> None:
        self.settings, self.metrics = settings, metrics
        self.table = AccessTable()
        self.clock: Clock = clock or SystemClock()
        self.origins = Origins(settings.proxies)
        self.resources: R | None = None

    def connected(self) -> R:
        """Raises StoreUnavailable while the service is not."""
        if self.resources is None:
            raise StoreUnavailable
        return self.resources

    def bind(self, app: Starlette, table: AccessTable) -> None:
        """Make this the state of an app, with the access table of its routes."""
        self.table = table
        setattr(app.state, _ATTRIBUTE, self)


def app_state(connection: HTTPConnection) -> AppState[Any, Any]:
    """The state of the app that a request or a WebSocket came to."""
    return getattr(connection.app.state, _ATTRIBUTE)
