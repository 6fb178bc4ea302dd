"""GET and POST /api/v1/query and /api/v1/query_range, and what belongs to them."""

from __future__ import annotations

from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_query.promql.formatting import pretty
from vigie_query.promql.syntax_tree import tree
from vigie_web.access import Access
from vigie_web.feature import Feature

from vigie_api.context import Ctx
from vigie_api.promql.encoding import success
from vigie_api.promql.http import catalogue, errors, status
from vigie_api.promql.http.answers import as_json
from vigie_api.promql.http.asked import Asked
from vigie_api.promql.http.docs import (
    END,
    LIMIT,
    LOOKBACK,
    QUERY,
    SINCE,
    START,
    STEP,
    TIME,
    TIMEOUT,
    UNTIL,
    asked_both_ways,
)
from vigie_api.promql.queries import answered, instant, parsed, ranged

router = APIRouter(tags=["promql"])
_BOTH: Final = ("query", "query_range", "query_exemplars", "format_query", "parse_query", "series", "labels")
_GET: Final = (
    "label/{name}/values", "metadata", "status/buildinfo", "status/runtimeinfo", "status/config", "status/flags",
    "status/tsdb",
)  # fmt: skip
FEATURE = Feature(
    router,
    {
        (method, f"/api/v1/{path}"): Access(Permission.METRICS_READ)
        for paths, methods in ((_BOTH, ("GET", "POST")), (_GET, ("GET",)))
        for path in paths
        for method in methods
    },
    "PromQL, as Prometheus answers it",
    errors.written,
    "/api/v1/",
)
_VECTOR: Final = {
    "resultType": "vector",
    "result": [{"metric": {"service": "hotel-booking"}, "value": [1_790_000_000, "12.5"]}],
}
_MATRIX: Final = {
    "resultType": "matrix",
    "result": [{"metric": {"service": "hotel-booking"}, "values": [[1_790_000_000, "12.5"], [1_790_000_015, "12.75"]]}],
}


@asked_both_ways(router, "/api/v1/query", (QUERY, TIME, TIMEOUT, LIMIT, LOOKBACK), _VECTOR)
async def query(context: Ctx, form: Asked) -> Response:
    """The value of an expression at one time."""
    return as_json(await answered(context, form, instant(form, context.now_ms)))


@asked_both_ways(router, "/api/v1/query_range", (QUERY, START, END, STEP, TIMEOUT, LIMIT, LOOKBACK), _MATRIX)
async def query_range(context: Ctx, form: Asked) -> Response:
    """The values of an expression over time."""
    return as_json(await answered(context, form, ranged(form)))


@asked_both_ways(router, "/api/v1/query_exemplars", (QUERY, SINCE, UNTIL), [])
async def query_exemplars(context: Ctx, form: Asked) -> Response:
    """Exemplars are not kept: an empty list."""
    await parsed(form.text("query"))
    return as_json(success(b"[]"))


@asked_both_ways(router, "/api/v1/format_query", (QUERY,), "foo / bar")
async def format_query(_context: Ctx, form: Asked) -> Response:
    """The expression, laid out for people."""
    return as_json(success(msgspec.json.encode(pretty(await parsed(form.text("query"))))))


@asked_both_ways(router, "/api/v1/parse_query", (QUERY,), {"type": "numberLiteral", "val": "1"})
async def parse_query(_context: Ctx, form: Asked) -> Response:
    """The expression as a tree."""
    return as_json(success(msgspec.json.encode(tree(await parsed(form.text("query"))))))


router.include_router(catalogue.router)
router.include_router(status.router)
