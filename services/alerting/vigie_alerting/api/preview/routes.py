"""POST /api/alerts/rules/preview: what rules would have done, before anybody is paged by them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.bodies import JsonBody, described
from vigie_web.feature import Feature

from vigie_alerting.api.context import Ctx
from vigie_alerting.api.preview.asking import asked
from vigie_alerting.api.preview.schemas import Preview

MAX_EPISODES: Final = 1_000
router = APIRouter(tags=["rules"])
_PREVIEW: Final = "/api/alerts/rules/preview"
FEATURE = Feature(router, {("POST", _PREVIEW): Access(Permission.MONITORING_CONFIGURE)}, "Rules over the past")
_BODY: Final = described(
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "rule": {"type": "object", "description": "as it is sent to be made"},
            "rules": {"type": "array", "items": {"type": "object"}},
            "ids": {"type": "array", "items": {"type": "string"}, "description": "of rules that are there"},
            "file": {"type": "string", "description": "a Prometheus rule file"},
            "from": {"type": ["string", "integer"], "description": "RFC 3339, milliseconds, or now-2d"},
            "to": {"type": ["string", "integer"], "description": "now by default"},
            "days": {"type": "number", "description": "instead of from; 7 by default, at most 30"},
        },
    },
    {
        "rule": {"name": "High Error Rate", "expression": "sum by (service) (rate(errors[5m])) > 0.1", "for": "10m"},
        "days": 7,
    },
)


@router.post(_PREVIEW, response_model=Preview, openapi_extra=_BODY)
async def preview_rules(context: Ctx, body: JsonBody) -> Any:
    """When these rules would have fired over the stored past, for what, how long, and how often somebody would have
    been told. Nothing is stored, and nobody is told. What is not known within 30 s is left out, and `complete` is
    false."""
    backtester = context.resources.backtester
    async with backtester.slots.slot(context.tenant):
        wanted = await asked(context, body)
        done, told = await backtester.run(context.tenant, wanted.rules, wanted.start_ms, wanted.end_ms)
        times = wanted.start_ms, wanted.end_ms
        return await asyncio.to_thread(Preview.of, done, told, times, wanted.warnings, MAX_EPISODES)
