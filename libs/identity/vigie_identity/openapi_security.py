"""The security schemes and the tenant parameter of the OpenAPI documents. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SCHEMES: Final[Mapping[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of POST /auth/login, a token of a trusted issuer, or an API key.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key: vk_..."},
}
"""For `components.securitySchemes`."""

PUBLIC: Final[list[dict[str, list[str]]]] = []
"""`security` of an operation that looks at no credential."""
NAMED: Final[list[dict[str, list[str]]]] = [{name: []} for name in SCHEMES]
"""Of one that nobody may use without a credential."""
ANYBODY: Final[list[dict[str, list[str]]]] = [*NAMED, {}]
"""Of one that callers without a credential may use where VIGIE_ANONYMOUS lets them."""

TENANT_PARAMETER: Final[Mapping[str, Any]] = {
    "name": "X-Scope-OrgID",
    "in": "header",
    "required": False,
    "description": "The tenant, for who has several; otherwise it is the credential's, or VIGIE_DEFAULT_TENANT.",
    "schema": {"type": "string"},
    "example": "default",
}
"""The parameter of an operation that is about one tenant and does not name it in its path."""
