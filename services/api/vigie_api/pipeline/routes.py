"""GET /admin/global/pipeline and /admin/global/dead-letters: for those who look after the platform."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS

from vigie_api.context import Ctx
from vigie_api.pipeline.schemas import DeadLettersAnswer, PipelineAnswer
from vigie_api.pipeline.state import MAX_LETTERS

router = APIRouter(tags=["pipeline"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/admin/global/pipeline"): Access(Permission.PLATFORM_READ, platform=True),
        ("GET", "/admin/global/dead-letters"): Access(Permission.PLATFORM_READ, platform=True),
    },
    "What goes through Vigie, how far it is behind, what was set aside, and which promises are proven",
)


@router.get("/admin/global/pipeline", response_model=PipelineAnswer)
async def pipeline(context: Ctx) -> Any:
    """Logs, readers and how far they are behind, what was used today, and the promises with their last proof; at most
    two seconds old. While Kafka is away `kafka` says why, and what only Kafka knows is left out."""
    return await context.resources.pipeline.now()


@router.get("/admin/global/dead-letters", response_model=DeadLettersAnswer)
async def dead_letters(
    context: Ctx, limit: Annotated[int, Query(ge=1, le=MAX_LETTERS, description="how many of the newest")] = 50
) -> Any:
    """The newest records that no consumer could process, with their story and without what was in them."""
    return await context.resources.pipeline.dead_letters(limit)
