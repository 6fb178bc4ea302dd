"""Tenant ids."""

from __future__ import annotations

from typing import Final, NewType

from vigie_contracts.series import InvalidSeriesError, validate_tenant

TenantId = NewType("TenantId", str)
"""A text that was checked to be usable as a tenant, or PLATFORM. Whether there is such a tenant is another question."""

PLATFORM: Final = TenantId("_platform")
"""Where that which belongs to no tenant is kept. Cannot be a tenant's: those begin with a letter or a digit."""


def is_tenant(text: object) -> bool:
    """Whether `text` is usable as a tenant."""
    if not isinstance(text, str):
        return False
    try:
        validate_tenant(text)
    except InvalidSeriesError:
        return False
    return True
