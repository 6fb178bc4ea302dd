"""/api/alerts/slack: what Slack sends when somebody presses a button."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from vigie_web.access import PUBLIC
from vigie_web.authorized_route import BODY_S, AuthorizedRoute
from vigie_web.bodies import described
from vigie_web.errors import BodyTooLarge, BodyTooSlow, Malformed
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response
from vigie_web.state import app_state

from vigie_alerting.slack.payloads import MAX_BYTES
from vigie_alerting.slack.signature import SIGNATURE_HEADER, TIME_HEADER

router = APIRouter(tags=["slack"], route_class=AuthorizedRoute)
_PRESSES: Final = "/api/alerts/slack/interactions"
FEATURE = Feature(
    router,
    {("POST", _PRESSES): PUBLIC},
    "What Slack sends, signed",
)
_FORM: Final = "application/x-www-form-urlencoded"
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object", "required": ["payload"], "properties": {"payload": {"type": "string", "description": "JSON"}}
}  # fmt: skip
_EXAMPLE: Final = {"payload": '{"type": "block_actions", "user": {"id": "U1"}, "actions": [{"...": "..."}]}'}
_RESPONSES: Final[Responses] = {
    401: problem_response("It is not signed by the app that posted the message, or is more than 5 minutes old"),
    409: problem_response("It was taken before"),
    413: problem_response("It is longer than Slack's are"),
}


@router.post(_PRESSES, response_class=Response, responses=_RESPONSES, openapi_extra=described(_SCHEMA, _EXAMPLE, _FORM))
async def press(request: Request) -> Response:
    """A button of a message was pressed: the request URL of the Slack app's interactivity. `X-Slack-Signature` and
    `X-Slack-Request-Timestamp` say that it comes from the app whose token posted the message. What is refused is told
    to whoever pressed, in Slack."""
    resources = app_state(request).connected()
    body = await _body(request)
    headers = [request.headers.getlist(name) for name in (TIME_HEADER, SIGNATURE_HEADER)]
    timestamp, signature = (values[0] if len(values) == 1 else "" for values in headers)
    await resources.slack.take(timestamp, signature, body)
    return Response()


async def _body(request: Request) -> bytes:
    """As it came: the signature is of these bytes. Raises BodyTooLarge, BodyTooSlow, Malformed."""
    got = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                got += part
                if len(got) > MAX_BYTES:
                    raise BodyTooLarge(MAX_BYTES)
    except TimeoutError:
        raise BodyTooSlow(BODY_S) from None
    except ClientDisconnect:
        raise Malformed("the connection ended before the body did") from None
    return bytes(got)
