"""The routes of every HTTP service: health, its own metrics, and the API reference."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from vigie_query.times import iso
from vigie_runtime.errors import RETRY_AFTER_S
from vigie_runtime.metrics import exposition

from vigie_web.access import MOUNT, PUBLIC, Rows
from vigie_web.feature import Feature
from vigie_web.health import Health, Live, OwnMetrics, Readiness, readiness
from vigie_web.middleware import STATIC
from vigie_web.security import REFERENCE_PAGES
from vigie_web.state import app_state

REFERENCE: Final[Rows] = {
    **{("GET", page): PUBLIC for page in REFERENCE_PAGES},
    ("GET", "/openapi.json"): PUBLIC,
    (MOUNT, STATIC): PUBLIC,
}
"""The routes that FastAPI makes by itself."""


def operations(metrics_path: str) -> Feature:
    """GET /health, /health/live, /health/ready, and this service's own metrics."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/health",
        response_model=Health,
        responses={503: {"model": Health, "description": "Requests are not served; see Retry-After"}},
    )
    async def health(request: Request) -> Any:
        """How this service is, as clients of the replaced KPI system ask: /health/ready says what is missing."""
        state = app_state(request)
        found = await readiness(None if state.resources is None else state.resources.checks)
        measured = OwnMetrics(declared=len(state.metrics), path=metrics_path)
        told = Health.of(found, iso(state.clock.now_ms()), measured, request.app.version)
        return told if found.ready else JSONResponse(told.model_dump(), 503, {"retry-after": str(RETRY_AFTER_S)})

    @router.get("/health/live", response_model=Live)
    async def live() -> Any:
        """The process answers."""
        return Live()

    @router.get(
        "/health/ready",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "What `not_ready` names is missing; see Retry-After"}},
    )
    async def ready(request: Request) -> Any:
        """Requests are served; else what is missing."""
        resources = app_state(request).resources
        found = await readiness(None if resources is None else resources.checks)
        if found.ready:
            return found
        return JSONResponse(found.model_dump(), 503, {"retry-after": str(RETRY_AFTER_S)})

    @router.get(metrics_path, response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def own_metrics(request: Request, accept: Annotated[str, Header(max_length=4_096)] = "") -> Response:
        """What this service measures of itself, for Prometheus."""
        body, content_type = exposition(app_state(request).metrics.registry, accept)
        return Response(body, headers={"content-type": content_type})

    paths = ("/health", "/health/live", "/health/ready", metrics_path)
    return Feature(router, {("GET", path): PUBLIC for path in paths}, "For the ones who start, watch and route")
