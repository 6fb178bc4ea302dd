"""Bodies as responses."""

from __future__ import annotations

from starlette.responses import Response


def as_json(body: bytes) -> Response:
    """Of what `encoding` wrote."""
    return Response(body, media_type="application/json")
