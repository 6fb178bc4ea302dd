"""Routes with a name in their path that may have slashes: `/api/health/services/a%2Fb/checks`."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from starlette.routing import Match
from starlette.types import Scope

from vigie_web.authorized_route import AuthorizedRoute

_SLASH: Final = re.compile(rb"%2f", re.IGNORECASE)
_STAND_IN: Final = "\0"
"""For a slash of a name while the path is matched: in no name, because nobody may give a name with it."""


class NamedRoute(AuthorizedRoute):
    """A slash that is percent-encoded is part of a name, and ends no segment of the path. ASGI servers decode the path
    before it is matched, and a name that ends in `/checks` would be taken for another path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework asks; path parameters come with their slashes."""
        raw: bytes = scope.get("raw_path") or b""
        if not _SLASH.search(raw):
            return super().matches(scope)
        path = unquote(_SLASH.sub(b"%00", raw.partition(b"?")[0]).decode("latin-1"))
        match, found = super().matches({**scope, "path": path})
        parameters: dict[str, Any] = found.get("path_params", {})
        named = {name: _named(value) for name, value in parameters.items()}
        return match, ({**found, "path_params": named} if parameters else found)


def _named(value: Any) -> Any:
    return value.replace(_STAND_IN, "/") if isinstance(value, str) else value
