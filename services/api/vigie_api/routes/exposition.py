"""GET /metrics: the latest values of a tenant, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from vigie_api.answers.problem import READ_PROBLEMS
from vigie_api.errors import Busy
from vigie_api.exposition.families import LatestTable
from vigie_api.exposition.negotiation import negotiate
from vigie_api.exposition.writing import Exposition
from vigie_api.metrics import DROPPED
from vigie_api.routes.context import Ctx

_WRITE_BYTES = 32_768

router = APIRouter(tags=["exposition"], responses=READ_PROBLEMS)


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
    scrapes = context.desk.scrapes
    if scrapes.locked():
        raise Busy("answers of /metrics")
    # Read before the answer begins: afterwards an error could no longer be said.
    index = await context.stores.families.of(context.tenant)
    latest = LatestTable(await context.stores.latest.everything(context.tenant, index.chunks()))
    wanted = negotiate(accept)
    exposition = Exposition(index.families(), latest, wanted, 0 if stale else context.stale_before_ms)

    async def body() -> AsyncIterator[bytes]:
        # Taken here and not above: a client that is gone by now never starts this, and would keep the place for ever.
        async with scrapes:
            async for piece in _written(exposition):
                yield piece
        context.desk.metrics.counter(DROPPED).inc(exposition.dropped)

    return StreamingResponse(body(), headers={"content-type": wanted.content_type, "vary": "Accept"})


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
