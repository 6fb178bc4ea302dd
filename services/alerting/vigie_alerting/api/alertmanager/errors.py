"""Errors as clients of Alertmanager know them: a sentence as a JSON text, or a code and a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response
from vigie_contracts.problems import Problem

_TEXTS: Final = frozenset({400, 404, 500})
"""Those that the routes themselves answer with; the others are of what stands before them."""

_STATUSES: Final[Mapping[int, int]] = {422: 400, 409: 400}
"""What its clients do not know, as what they do."""


def written(found: Problem, _error: Exception, headers: Mapping[str, str]) -> Response:
    """The answer to an error: an `ErrorShape`."""
    status = _STATUSES.get(found.status, found.status)
    body = found.detail if status in _TEXTS else {"code": status, "message": found.detail}
    return Response(msgspec.json.encode(body), status, dict(headers), "application/json")
