"""`GET /stats/websocket`: the live connections of the tenant, of the process that is asked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from vigie_identity.permissions import Permission
from vigie_query.times import iso
from vigie_web import context as web
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS
from vigie_web.schemas import Model, Time

from vigie_push.resources import Resources
from vigie_push.settings import PushSettings

router = APIRouter(tags=["live"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router, {("GET", "/stats/websocket"): Access(Permission.SERVER_READ)}, "How many listen to what"
)  # fmt: skip
Ctx = Annotated[web.Context[PushSettings, Resources], web.AUTHORIZED]


class WebSocketStats(Model):
    timestamp: Time
    connections: int = Field(description="clients of this tenant that are subscribed to something")
    subscriptions: int
    topics: int = Field(description="different things that they are subscribed to")
    channels: dict[str, int] = Field(description="subscriptions by channel")


@router.get("/stats/websocket", response_model=WebSocketStats)
async def websocket_stats(context: Ctx) -> Any:
    """Live connections of all transports; of several replicas, those of the one that answers."""
    census = context.resources.hub.census(context.tenant)
    return WebSocketStats(
        timestamp=iso(context.now_ms),
        connections=census.clients,
        subscriptions=sum(census.channels.values()),
        topics=census.topics,
        channels=census.channels,
    )
