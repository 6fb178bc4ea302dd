"""GET /api/v1/status: what data sources ask a Prometheus about itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

import msgspec
from fastapi import APIRouter
from starlette.responses import Response
from vigie_contracts.tiers import TIERS
from vigie_query.times import duration, iso

from vigie_api.context import Ctx
from vigie_api.promql.encoding import success
from vigie_api.promql.http.answers import as_json
from vigie_api.promql.http.docs import asked_by_get

API_VERSION: Final = "3.5.0"
"""The Prometheus whose query API this is. Data sources choose by it what they ask for."""

router = APIRouter()


@asked_by_get(router, "/api/v1/status/buildinfo", (), {"version": API_VERSION})
async def build_info(_context: Ctx) -> Response:
    """The version of Prometheus whose API this is; `revision` is Vigie's own."""
    own = version("vigie-api")
    return _json(
        {
            "version": API_VERSION, "revision": f"vigie-{own}", "branch": "", "buildUser": "vigie", "buildDate": "",
            "goVersion": "",
        }
    )  # fmt: skip


@asked_by_get(router, "/api/v1/status/runtimeinfo", (), {"storageRetention": "2d of 10s windows"})
async def runtime_info(context: Ctx) -> Response:
    """The time of the server, and how long what is kept."""
    kept = ", ".join(f"{duration(tier.retention_ms)} of {duration(tier.width_ms)} windows" for tier in TIERS)
    return _json({"serverTime": iso(context.now_ms), "reloadConfigSuccess": True, "storageRetention": kept})


@asked_by_get(router, "/api/v1/status/config", (), {"yaml": ""})
async def config(_context: Ctx) -> Response:
    """There is no configuration file: an empty one."""
    return _json({"yaml": ""})


@asked_by_get(router, "/api/v1/status/flags", (), {"query.timeout": "30s"})
async def flags(context: Ctx) -> Response:
    """The bounds of queries, by the flags of Prometheus that set them there."""
    settings = context.state.settings
    return _json(
        {
            "query.lookback-delta": duration(round(settings.api_promql_lookback_s * 1_000)),
            "query.max-concurrency": str(settings.api_promql_concurrent),
            "query.timeout": duration(round(settings.api_promql_timeout_s * 1_000)),
        }
    )


@asked_by_get(router, "/api/v1/status/tsdb", (), {"headStats": {"numSeries": 1_200}})
async def tsdb(context: Ctx) -> Response:
    """How many series the tenant has."""
    series = await context.resources.series.total(context.tenant)
    return _json(
        {
            "headStats": {"numSeries": series, "numLabelPairs": 0, "chunkCount": 0, "minTime": 0, "maxTime": 0},
            "seriesCountByMetricName": [],
            "labelValueCountByLabelName": [],
            "memoryInBytesByLabelName": [],
            "seriesCountByLabelValuePair": [],
        }
    )


def _json(data: dict[str, Any]) -> Response:
    return as_json(success(msgspec.json.encode(data)))
