"""What the routes of the api work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Annotated, TypeAlias

from pydantic import BaseModel
from vigie_web import context as web

from vigie_api.resources import Resources
from vigie_api.settings import ApiSettings

Context: TypeAlias = web.Context[ApiSettings, Resources]
Ctx = Annotated[Context, web.AUTHORIZED]


async def cached(context: Context, key: Hashable, compute: Callable[[], Awaitable[BaseModel]]) -> BaseModel:
    """The tenant's answer to the question `key`, at most `api_answer_cache_s` old."""
    return await context.resources.answers.get((context.tenant, key), compute)


def stale_before_ms(context: Context) -> int:
    """A series whose newest sample is older than this is not live."""
    return context.now_ms - round(context.state.settings.api_stale_after_s * 1000)
