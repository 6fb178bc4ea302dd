"""Tenant ids."""

from __future__ import annotations

import re
from typing import Final, NewType

from vigie_contracts.series import InvalidSeriesError, validate_tenant

TenantId = NewType("TenantId", str)
"""A text that was checked to be usable as a tenant, as `tenant_id` writes it, or PLATFORM. Whether there is such a
tenant is another question."""

PLATFORM: Final = TenantId("_platform")
"""Where that which belongs to no tenant is kept. Cannot be a tenant's: those begin with a letter or a digit."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def tenant_id(text: object) -> TenantId | None:
    """The tenant that `text` names: as it is, but a UUID in lower case, because case makes no other UUID (RFC 9562).
    None when it cannot be a tenant's id.

    Whatever names a tenant goes through here: bodies, headers, paths, tokens, settings, commands."""
    if not isinstance(text, str) or not is_tenant(text):
        return None
    return TenantId(text.lower() if _UUID.match(text) else text)


def is_tenant(text: object) -> bool:
    """Whether `text` is usable as a tenant."""
    if not isinstance(text, str):
        return False
    try:
        validate_tenant(text)
    except InvalidSeriesError:
        return False
    return True
