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
from vigie_summaries.families.families import LatestTable
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Context, Ctx, stale_before_ms
from vigie_api.exposition.negotiation import Format, NegotiatedFormat, negotiate
from vigie_api.exposition.writing import Exposition
from vigie_api.metrics import STALE_SCRAPES

log = logging.get(__name__)

_WRITE_BYTES = 32_768
_READS_S = 2.8
"""How long everything may take that is read for an answer about known series. Of this the catalogue takes at most
1.5 s. Series of a tenant that is not known yet are read for as long as that takes; the time begins afterwards."""
_VALUES_S = 1.0
"""How long the values may take at least, whatever the catalogue took."""

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
    `_bucket`, `_sum` and `_count` since they are counted. The name of a series is as it was sent, whatever other series
    there are; a label `vigie_type` tells its type where the name alone does not. Names with other characters than
    Prometheus knows come quoted to clients that negotiate `escaping=allow-utf-8`; for others these characters become
    underscores, and a label `vigie_name` tells the name. No sample is ever written twice.

    While MongoDB does not answer, the answer goes on from the series that are known, and says so in the header
    `Warning` and in a comment of the text format.
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
            loop, known = asyncio.get_running_loop(), resources.families.knows(tenant)
            began = loop.time()
            index = await resources.families.of(tenant)
            took_s = loop.time() - began if known else 0.0
            chunks, complete = await resources.latest.at_hand(tenant, index.chunks(), max(_READS_S - took_s, _VALUES_S))
            exposition = Exposition(index.families(), LatestTable(chunks), self._negotiated, self._since_ms)
            headers = {"content-type": self._negotiated.content_type, "vary": "Accept"}
            warning = "" if complete and not index.age_s else _warning(index.age_s, complete=complete)
            if warning:
                state.metrics.counter(STALE_SCRAPES).inc()
                headers["warning"] = f'110 vigie "{warning}"'
            answer = StreamingResponse(_written(exposition, warning), headers=headers)
            try:
                async with asyncio.timeout(state.settings.api_scrape_timeout_s):
                    await answer(scope, receive, send)
            except TimeoutError:
                # An answer that has no end tells the server to close the connection, and the client that it is cut.
                log.warning("an answer of /metrics was not read in time; its connection is closed", tenant=tenant)


def _warning(age_s: float, *, complete: bool) -> str:
    """What is stale, in one line without quotes."""
    parts = [f"series are missing that were sent for the first time in the last {age_s:.0f} s"] if age_s else []
    if not complete:
        parts.append("series are missing whose values Redis does not have")
    return f"MongoDB does not answer: {', '.join(parts)}"


async def _written(exposition: Exposition, warning: str) -> AsyncIterator[bytes]:
    held = bytearray()
    if warning and exposition.negotiated.format is Format.TEXT:  # OpenMetrics has no comments
        held += f"# {warning}\n".encode()
    for piece in exposition.pieces():
        held += piece
        if len(held) >= _WRITE_BYTES:
            yield bytes(held)
            held.clear()
        await asyncio.sleep(0)  # lets other requests have their turn between pieces
    if held:
        yield bytes(held)
