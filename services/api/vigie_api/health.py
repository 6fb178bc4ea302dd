"""GET /health/...: for the ones who start, watch and route. And this service's own metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from vigie_runtime.errors import RETRY_AFTER_S
from vigie_runtime.metrics import exposition

from vigie_api.context import AppState
from vigie_api.health_schemas import LiveAnswer, ReadyAnswer

_PING_S = 3.0

router = APIRouter(tags=["health"])


@router.get("/health/live", response_model=LiveAnswer)
async def live() -> Any:
    """The process answers."""
    return LiveAnswer()


@router.get(
    "/health/ready",
    response_model=ReadyAnswer,
    responses={
        503: {"model": ReadyAnswer, "description": "MongoDB is away, or the first start is being made; see Retry-After"}
    },
)
async def ready(request: Request) -> Any:
    """Reads work."""
    state: AppState = request.app.state.state
    stores = state.stores
    mongodb = redis = False
    if stores is not None:
        mongodb, redis = await asyncio.gather(_answers(stores.mongodb_ping), _answers(stores.redis_ping))
    works = mongodb and state.prepared
    answer = ReadyAnswer(
        status="ready" if works else "not ready",
        mongodb="ok" if mongodb else "away",
        redis="ok" if redis else "away",
    )
    if works:
        return answer
    return JSONResponse(answer.model_dump(), 503, {"retry-after": str(RETRY_AFTER_S)})


@router.get("/internal/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def own_metrics(request: Request, accept: Annotated[str, Header(max_length=4_096)] = "") -> Response:
    """What this service measures of itself, for Prometheus."""
    state: AppState = request.app.state.state
    body, content_type = exposition(state.metrics.registry, accept)
    return Response(body, headers={"content-type": content_type})


@router.get("/api-docs", include_in_schema=False)
async def api_docs(request: Request) -> Response:
    """Where the system that Vigie replaces has its documentation."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


async def _answers(ping: Callable[[], Awaitable[object]]) -> bool:
    try:
        await asyncio.wait_for(ping(), _PING_S)
    except (PyMongoError, RedisError, OSError, TimeoutError):
        return False
    return True
