"""The FastAPI app of a service, made of its features."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from vigie_runtime import logging
from vigie_runtime.errors import VigieError
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import Counter

from vigie_web import openapi, problems
from vigie_web.access import AccessTable
from vigie_web.compression import Compression
from vigie_web.feature import Feature
from vigie_web.middleware import STATIC, BodyLimit, HeadAsGet, ResponseHeaders
from vigie_web.operations import REFERENCE
from vigie_web.security import ReferencePages
from vigie_web.state import AppState, R, S

log = logging.get(__name__)

MAX_BODY_BYTES: Final = 64 * 1024
"""Of requests to FastAPI's routes: administration and questions, not data."""


def access_table(features: Sequence[Feature]) -> AccessTable:
    """What the routes of all features ask of callers, and those of the reference pages."""
    return AccessTable(REFERENCE, *(feature.access for feature in features))


def create_app(
    state: AppState[S, R],
    features: Sequence[Feature],
    connect: Callable[[AppState[S, R], Lifespan], Awaitable[R]],
    *,
    service: str,
    title: str,
    version: str,
    description: str,
    refused_credentials: Counter,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """An app that is connected while its ASGI lifespan runs; until then what needs resources answers 503.

    `connect` takes the steps of the start, each with its end, and gives what routes work with. `service` is its name in
    logs, `refused_credentials` has the label `reason`. Raises ValueError when the access table does not fit the routes.
    """

    def lifespan(_app: FastAPI) -> AbstractAsyncContextManager[None]:
        return _running(state, connect)

    app = FastAPIOffline(
        title=title,
        version=version,
        description=description,
        openapi_tags=[_tag(feature) for feature in features if feature.description],
        lifespan=lifespan,
        redirect_slashes=False,  # where to would be a guess behind TLS, and the credential would go there in the clear
        static_url=STATIC,
        telemetry={"operation_spans": False},
    )
    state.bind(app, access_table(features))
    for feature in features:
        app.include_router(feature.router)
    state.table.check_complete(app.routes)
    problems.install(
        app,
        service,
        lambda reason: state.metrics.counter(refused_credentials, reason=reason).inc(),
        {
            path: feature.errors
            for feature in features
            if feature.errors
            for path in (feature.errors_below, *(path for _, path in feature.access))
        },
    )
    app.add_middleware(ReferencePages)
    app.add_middleware(BodyLimit, limit=max_body_bytes)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(Compression)
    app.add_middleware(HeadAsGet)
    _complete_openapi(app, state.table)
    return app


def _tag(feature: Feature) -> dict[str, Any]:
    return {"name": feature.router.tags[0], "description": feature.description}


@asynccontextmanager
async def _running(
    state: AppState[S, R], connect: Callable[[AppState[S, R], Lifespan], Awaitable[R]]
) -> AsyncGenerator[None]:
    try:
        async with Lifespan(state.settings.shutdown_timeout_s) as life:
            state.resources = await connect(state, life)
            log.info("ready to answer")
            watch = asyncio.create_task(_end_with_parts(life))
            try:
                yield
            finally:
                watch.cancel()
                state.resources = None  # from here on requests get 503; those inside still have their clients
                log.info("stopped answering")
    except VigieError as e:
        log.error("the service cannot run", reason=str(e))
        raise


async def _end_with_parts(life: Lifespan) -> None:
    """A service that has lost a part would answer as if it worked: it ends, and its supervisor starts it anew."""
    try:
        await life.wait(asyncio.Event())
    except Exception:  # a bug in that part, or whatever else ended it
        log.exception("a part of the service ended: the service stops")
        signal.raise_signal(signal.SIGTERM)


def _complete_openapi(app: FastAPI, table: AccessTable) -> None:
    """What FastAPI describes, and what the access table adds to it: made once."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.complete(made(), table)
        return app.openapi_schema

    app.openapi = document
