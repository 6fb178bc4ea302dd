"""The state of an HTTP service: settings, metrics, access table and connected resources."""

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
    """Authentication, tenants and rate limits of a service."""

    authenticator: Authenticator
    tenants: Tenants
    known_tenants: KnownTenants
    rates: RateLimits

    @classmethod
    def of(cls, identity: Identity, rates: RateLimits) -> Self:
        return cls(identity.authenticator, identity.tenants, identity.known_tenants, rates)


class Resources(Protocol):
    """What every connected service has. Its own class adds, as typed fields, what its routes work with."""

    @property
    def access(self) -> AccessControl: ...

    @property
    def checks(self) -> Sequence[Check]:
        """What is asked for its readiness."""
        ...


S = TypeVar("S", bound=TenantSettings)
R = TypeVar("R", bound=Resources)


class AppState(Generic[S, R]):
    """The state of a service; `table` is that of the app it is bound to. `resources` is None while the service starts
    and stops."""

    def __init__(self, settings: S, metrics: MetricSet, clock: Clock | None = None) -> None:
        self.settings, self.metrics = settings, metrics
        self.table = AccessTable()
        self.clock: Clock = clock or SystemClock()
        self.origins = Origins(settings.proxies)
        self.resources: R | None = None

    def connected(self) -> R:
        """Return the resources. Raises StoreUnavailable while the service is not connected."""
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
