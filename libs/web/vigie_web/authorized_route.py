"""Routes that take a body: who asks is authorised, and charged, before anything of the body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vigie_web.context import charge_anonymous, context_of
from vigie_web.errors import BodyTooSlow, Malformed, UnsupportedMedia
from vigie_web.state import app_state

BODY_S: Final = 10.0
"""How long a body may take to arrive."""


class AuthorizedRoute(APIRoute):
    """FastAPI reads and decodes the body first and asks the dependencies then: strangers would be told what is wrong
    with their JSON, and their bytes would be kept meanwhile."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, after authorisation. Raises what `context_of` or `charge_anonymous` does, and for the body
        BodyTooLarge, BodyTooSlow, Malformed, UnsupportedMedia."""
        handle = super().get_route_handler()

        async def authorized(request: Request) -> Response:
            public = app_state(request).table.of(request).public
            await (charge_anonymous if public else context_of)(request)
            if self.body_field is not None and await body_of(request) and not _is_json(request):
                raise UnsupportedMedia
            return await handle(request)

        return authorized


async def body_of(request: Request) -> bytes:
    """The whole body, which the request keeps, for FastAPI to decode. Raises BodyTooLarge, BodyTooSlow, Malformed."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.body()
    except TimeoutError:
        raise BodyTooSlow(BODY_S) from None
    except ClientDisconnect:
        raise Malformed("the connection ended before the body did") from None


def _is_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
