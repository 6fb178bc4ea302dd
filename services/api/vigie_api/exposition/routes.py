"""GET /metrics: the latest values of a tenant, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from vigie_identity.permissions import Permission
from vigie_runtime import logging
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx, stale_before_ms
from vigie_api.exposition.families import LatestTable
from vigie_api.exposition.negotiation import NegotiatedFormat, negotiate
from vigie_api.exposition.writing import Exposition
from vigie_api.metrics import DROPPED

log = logging.get(__name__)

_WRITE_BYTES = 32_768

router = APIRouter(tags=["exposition"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/metrics"): Access(Permission.METRICS_READ),
    },
    "For Prometheus",
)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text 0.0.4, or OpenMetrics 1.0 when Accept prefers it",
            "content": {"text/plain": {}, "application/openmetrics-text": {}},
        }
    },
)
async def latest_values(
    context: Ctx,
    accept: Annotated[str, Header(max_length=4_096)] = "",
    stale: Annotated[
        bool, Query(description="also series without a sample in the last five minutes (VIGIE_API_STALE_AFTER_S)")
    ] = False,
) -> Response:
    """The latest values of all series.

    Gauges and cumulative counters show their last value, delta counters the sum of their increments, histograms
    `_count` and `_sum` as a summary. Names with other characters than Prometheus knows come quoted to clients that
    negotiate `escaping=allow-utf-8`; for others these characters become underscores, or where that name is taken, the
    reversible form `U__a_2e_b`. No sample is ever written twice.
    """
    return _Scrape(context, negotiate(accept), 0 if stale else stale_before_ms(context))


class _Scrape(Response):
    """The answer with its place, which is free again however the answer ends: it is taken and given back in here, so
    a client that is gone before its answer begins cannot keep it."""

    def __init__(self, context: Context, negotiated: NegotiatedFormat, since_ms: int) -> None:
        super().__init__()
        self._context, self._negotiated, self._since_ms = context, negotiated, since_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, resources, tenant = self._context.state, self._context.resources, self._context.tenant
        async with resources.scrapes.slot():
            # Read before the answer begins: afterwards an error could no longer be said.
            index = await resources.families.of(tenant)
            latest = LatestTable(await resources.latest.everything(tenant, index.chunks()))
            exposition = Exposition(index.families(), latest, self._negotiated, self._since_ms)
            headers = {"content-type": self._negotiated.content_type, "vary": "Accept"}
            answer = StreamingResponse(_written(exposition), headers=headers)
            try:
                async with asyncio.timeout(state.settings.api_scrape_timeout_s):
                    await answer(scope, receive, send)
            except TimeoutError:
                # An answer that has no end tells the server to close the connection, and the client that it is cut.
                log.warning("an answer of /metrics was not read in time; its connection is closed", tenant=tenant)
            state.metrics.counter(DROPPED).inc(exposition.dropped)


async def _written(exposition: Exposition) -> AsyncIterator[bytes]:
    held = bytearray()
    for piece in exposition.pieces():
        held += piece
        if len(held) >= _WRITE_BYTES:
            yield bytes(held)
            held.clear()
        await asyncio.sleep(0)  # lets other requests have their turn between pieces
    if held:
        yield bytes(held)
