"""What the routes of administration share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_identity.pages import DEFAULT_PAGE, MAX_PAGE, PageRequest

from vigie_api.context import Context, Ctx


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Annotated[str | None, Query(max_length=1_024, description="nextCursor of the page before")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


async def _in_tenant(context: Ctx) -> Context:
    if context.principal.everywhere:
        await context.resources.identity.tenants.get(context.tenant)
    return context


InTenant = Annotated[Context, Depends(_in_tenant)]
"""To who sees every tenant MongoDB says whether it exists, so that a deletion shows at once; elsewhere that is
remembered for a few seconds. Raises NotFound."""
PageAsked = Annotated[PageRequest, Depends(_page_request)]


def located(request: Request, response: Response, id_: str, under: str | None = None) -> None:
    """Say where that is which was made: below the request's own path, or below `under`."""
    response.headers["location"] = f"{request.url.path if under is None else under}/{id_}"
