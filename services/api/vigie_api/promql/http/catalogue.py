"""GET /api/v1/series, /api/v1/labels, /api/v1/label/{name}/values and /api/v1/metadata: what can be asked for."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import msgspec
from fastapi import APIRouter
from starlette.responses import Response
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS
from vigie_contracts.problems import shortened
from vigie_query.errors import InvalidParameter, QueryError

from vigie_api.context import Ctx
from vigie_api.promql import listing
from vigie_api.promql.encoding import listed, success
from vigie_api.promql.http.answers import as_json
from vigie_api.promql.http.asked import Asked
from vigie_api.promql.http.docs import LIMIT, MATCH, MATCHES, SINCE, UNTIL, Field, asked_both_ways, asked_by_get
from vigie_api.promql.queries import turn

_METRIC: Final = Field("metric", "only this one", "bookings_created_total")
_PER_METRIC: Final = Field("limit_per_metric", "at most so many types of each metric", "1")
_ESCAPED: Final = re.compile(r"_(?:(_)|([0-9a-f]{1,6})_)")

router = APIRouter()


@asked_both_ways(
    router,
    "/api/v1/series",
    (MATCHES, SINCE, UNTIL, LIMIT),
    [{"__name__": "bookings_created_total", "service": "hotel-booking"}],
)
async def series(context: Ctx, form: Asked) -> Response:
    """The series that one of the selectors shows."""
    texts, limit = form.texts("match[]"), form.limit()
    if not texts:
        raise QueryError("no match[] parameter provided")
    async with turn(context, form):
        found = await listing.series(context, await listing.selectors(texts))
        return as_json(await asyncio.to_thread(lambda: listed([dict(labels) for labels in found], limit)))


@asked_both_ways(router, "/api/v1/labels", (MATCH, SINCE, UNTIL, LIMIT), ["__name__", "service"])
async def labels(context: Ctx, form: Asked) -> Response:
    """The names of labels."""
    limit = form.limit()
    async with turn(context, form):
        wanted = await listing.selectors(form.texts("match[]"))
        return as_json(listed(await listing.label_names(context, wanted), limit))


@asked_by_get(router, "/api/v1/label/{name}/values", (MATCH, SINCE, UNTIL, LIMIT), ["flight-booking", "hotel-booking"])
async def label_values(context: Ctx, form: Asked, name: str) -> Response:
    """The values of a label; `__name__` has the names of metrics. `U__` begins a name in the escaping `values`."""
    label = _unescaped(name)
    if not label or len(label) > MAX_LABEL_NAME_CHARS:
        raise QueryError(f'invalid label name: "{shortened(name)}"')
    limit = form.limit()
    async with turn(context, form):
        wanted = await listing.selectors(form.texts("match[]"))
        return as_json(listed(await listing.label_values(context, label, wanted), limit))


@asked_by_get(
    router,
    "/api/v1/metadata",
    (_METRIC, LIMIT, _PER_METRIC),
    {"bookings_created_total": [{"type": "counter", "help": "", "unit": ""}]},
)
async def metadata(context: Ctx, form: Asked) -> Response:
    """The types of metrics."""
    limit, each = _at_most(form, "limit"), _at_most(form, "limit_per_metric")
    async with turn(context, form):
        found = await listing.types(context, form.text("metric"))
    data: dict[str, Any] = {
        name: [{"type": one, "help": "", "unit": ""} for one in types[:each]]
        for name, types in list(found.items())[:limit]
    }
    return as_json(success(msgspec.json.encode(data)))


def _at_most(form: Asked, name: str) -> int | None:
    """As Prometheus takes these two: any whole number, and less than 0 for all."""
    text = form.text(name)
    if not text:
        return None
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise InvalidParameter(name, "must be a number")
    return None if int(text) < 0 else int(text)


def _unescaped(name: str) -> str:
    if not name.startswith("U__"):
        return name

    def character(match: re.Match[str]) -> str:
        code = 0x5F if match[1] else int(match[2], 16)
        return match[0] if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF else chr(code)

    return _ESCAPED.sub(character, name[3:])
