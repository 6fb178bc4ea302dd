"""Whose data a request reads. The one place that decides it; everything below gets the tenant as an argument."""

from __future__ import annotations

from starlette.requests import Request

from vigie_api.settings import Settings


def tenant_of(request: Request, settings: Settings) -> str:
    """The tenant of the request: the default one, until requests carry credentials."""
    return settings.default_tenant
