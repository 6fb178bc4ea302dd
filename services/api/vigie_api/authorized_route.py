"""Routes that take a body: who asks is judged, and charged, before anything of the body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vigie_api.access import access_of
from vigie_api.context import charge_stranger, context_of
from vigie_api.errors import BodyTooSlow, Malformed, UnsupportedMedia

BODY_S: Final = 10.0
"""How long a body may take to arrive."""


class AuthorizedRoute(APIRoute):
    """FastAPI reads and decodes the body first and asks the dependencies then: strangers would be told what is wrong
    with their JSON, and their bytes would be kept meanwhile."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, after the judgement. Raises what `context_of` or `charge_stranger` does, and for the body
        BodyTooLarge, BodyTooSlow, Malformed, UnsupportedMedia."""
        handle = super().get_route_handler()

        async def judged(request: Request) -> Response:
            await (charge_stranger if access_of(request).public else context_of)(request)
            if self.body_field is not None and await _body(request) and not _is_json(request):
                raise UnsupportedMedia
            return await handle(request)

        return judged


async def _body(request: Request) -> bytes:
    """The request keeps it, for FastAPI to decode."""
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
