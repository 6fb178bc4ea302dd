"""Limits of tenants' plans for the series catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vigie_identity.known_tenants import KnownTenants
from vigie_runtime.errors import ProblemError, Retryable


def series_limits(tenants: KnownTenants) -> Callable[[str], Awaitable[int]]:
    """Return a function that gives the maximum of series of a tenant. It raises Retryable."""

    async def limit_of(tenant: str) -> int:
        try:
            return (tenants.at_once(tenant) or await tenants.require(tenant)).plan.series
        except ProblemError as e:  # MongoDB is away, or the tenant was switched off since the request came
            raise Retryable(f"the plan of the tenant {tenant} cannot be read: {e}") from e

    return limit_of
