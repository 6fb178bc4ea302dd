"""Answers that are made here and not described to FastAPI."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

JSON: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}}}
"""For the OpenAPI document."""


def answer(value: Any) -> Response:
    """JSON, as it is."""
    return Response(msgspec.json.encode(value), headers={"content-type": "application/json"})
