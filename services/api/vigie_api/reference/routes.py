"""GET /api-docs: where the system that Vigie replaces has its documentation."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from vigie_web.access import PUBLIC
from vigie_web.feature import Feature

router = APIRouter(tags=["health"])
FEATURE = Feature(router, {("GET", "/api-docs"): PUBLIC})


@router.get("/api-docs", include_in_schema=False)
async def api_docs(request: Request) -> Response:
    """Goes on to the reference."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")
