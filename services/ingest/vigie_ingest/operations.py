"""Everything that is not intake: health, own metrics, the API's description, and answers to wrong paths and methods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.routing import Route as AsgiRoute
from vigie_runtime import logging
from vigie_runtime.errors import reason_of
from vigie_runtime.metrics import exposition
from vigie_web import problems
from vigie_web.security import ReferencePages

from vigie_ingest import openapi
from vigie_ingest.intake import Intake
from vigie_ingest.metrics import REFUSED_CREDENTIALS
from vigie_ingest.routes import AppState, IntakeRoute

log = logging.get(__name__)

_CHECK_S: Final = 1.0


class Health(BaseModel):
    """`ready` when requests can be taken. `not_ready` names what is missing for that, `degraded` what is missing for
    some requests only: without MongoDB new series wait, without Redis stored answers are not replayed."""

    status: str
    not_ready: list[str] = []
    degraded: list[str] = []


class Readiness:
    """How to ask the servers behind the gateway; None while it is not started."""

    def __init__(self) -> None:
        self.kafka: Callable[[], bool] | None = None
        self.mongodb: Callable[[], Awaitable[object]] | None = None
        self.redis: Callable[[], Any] | None = None

    async def check(self, started: bool) -> Health:
        """Never raises, and never takes much longer than a second."""
        if not started:
            return Health(status="not ready", not_ready=["start"])
        not_ready = [] if self.kafka is not None and self.kafka() else ["kafka"]
        answers = await asyncio.gather(_answers(self.mongodb), _answers(self.redis))
        degraded = [name for name, there in zip(("mongodb", "redis"), answers, strict=True) if not there]
        return Health(status="not ready" if not_ready else "ready", not_ready=not_ready, degraded=degraded)


async def _answers(ask: Callable[[], Awaitable[object]] | None) -> bool:
    if ask is None:
        return True
    try:
        async with asyncio.timeout(_CHECK_S):
            await ask()
    except Exception as e:  # noqa: BLE001  # whatever a client raises, its server did not answer
        log.debug("a health check failed", reason=reason_of(e))
        return False
    return True


def operations_app(
    state: AppState, readiness: Readiness, routes: Sequence[IntakeRoute], lifespan: Any = None
) -> FastAPI:
    """The FastAPI app. It knows the intake routes too, to refuse other methods on them."""
    app = FastAPIOffline(
        title="Vigie ingest",
        version="1",
        description="Takes metrics and business events. 201 means: acknowledged by Kafka, and will be counted once.",
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False},
    )
    problems.install(app, "ingest", lambda reason: state.metrics.counter(REFUSED_CREDENTIALS, reason=reason).inc())
    app.add_middleware(ReferencePages)
    for route in routes:
        path = f"{route.intake.path[:-1]}{{rest:path}}" if route.intake.path.endswith("/*") else route.intake.path
        app.router.routes.append(AsgiRoute(path, route, methods=[route.intake.method], include_in_schema=False))

    @app.get("/health/live", tags=["operations"])
    async def live() -> Health:
        """The process runs."""
        return Health(status="live")

    @app.get("/health/ready", tags=["operations"], responses={503: {"model": Health, "description": "Not ready"}})
    async def ready(response: Response) -> Health:
        """Requests can be taken; else what is missing."""
        health = await readiness.check(state.dependencies is not None)
        if health.not_ready:
            response.status_code = 503
        return health

    @app.get(
        state.settings.ingest_metrics_path,
        tags=["operations"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def own_metrics(request: Request) -> Response:
        """The gateway's own metrics, for Prometheus."""
        body, content_type = exposition(state.metrics.registry, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    app.openapi = _openapi(app, [route.intake for route in routes])
    return app


def _openapi(app: FastAPI, intakes: Sequence[Intake[Any, Any]]) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            base = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = openapi.complete(base, intakes)
        return app.openapi_schema

    return document
