"""GET /api-docs: where the system that Vigie replaces has its documentation; GET /docs/async: the messages."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from vigie_web.access import PUBLIC
from vigie_web.feature import Feature
from vigie_web.security import CONTENT_SECURITY_POLICY

router = APIRouter(tags=["health"])
FEATURE = Feature(router, {("GET", "/api-docs"): PUBLIC, ("GET", "/docs/async"): PUBLIC})
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PAGE: Final = files(__package__ or __name__).joinpath("async.html").read_bytes()
"""Written by `make docs`."""


@router.get("/api-docs", include_in_schema=False)
async def api_docs(request: Request) -> Response:
    """Goes on to the reference."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


@router.get("/docs/async", include_in_schema=False)
async def messages() -> Response:
    """What is told live and on Kafka: AsyncAPI, as a page."""
    return Response(_PAGE, media_type="text/html", headers={CONTENT_SECURITY_POLICY: POLICY})
