"""`GET /api/stream`: a channel as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final

from anyio import BrokenResourceError
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send
from vigie_contracts.problems import ProblemKind
from vigie_runtime import logging
from vigie_runtime.errors import RETRY_AFTER_S, ProblemError
from vigie_web.access import PUBLIC
from vigie_web.close_codes import Closing
from vigie_web.connection import STREAM
from vigie_web.context import origin_of
from vigie_web.feature import Feature
from vigie_web.middleware import HEAD
from vigie_web.problem_schema import problem_response
from vigie_web.state import app_state

from vigie_push.credentials import of_request
from vigie_push.errors import Ended
from vigie_push.messages import Closed, encode, type_of
from vigie_push.metrics import Transport
from vigie_push.sessions import Session, Sessions
from vigie_push.subscriber import Delivery, Outgoing

log = logging.get(__name__)

PATH: Final = "/api/stream"
RETRY_MS: Final = 3_000
"""How long a browser waits before it connects again."""
_OWN: Final = frozenset({"channel", "token", "tenant", "after"})


class StreamRefused(ProblemError):  # noqa: N818 - named after what happened
    """There is no place for one more connection."""

    kind = ProblemKind.LIMIT
    status = 503

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.reason, retry_after=RETRY_AFTER_S)


class _StreamRoute(APIRoute):
    """A stream that nobody reads is cut off: its writes have a time-out."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Route`."""
        scope[STREAM] = True
        timeout_s = scope["app"].state.service.settings.push_write_timeout_s

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(timeout_s):
                await send(message)

        try:
            await super().handle(scope, receive, bounded)
        except* (TimeoutError, BrokenResourceError):
            # An answer that has no end tells the server to close the connection. Who makes the events may find at the
            # same time that nobody takes them.
            log.info("a stream was not read in time; its connection is closed")


router = APIRouter(tags=["live"], route_class=_StreamRoute)


async def _opened(
    *,
    request: Request,
    channel: Annotated[str, Query(max_length=64, examples=["alerts"], description="which channel")],
    tenant: Annotated[str | None, Query(max_length=64, description="for those who see several tenants")] = None,
    after: Annotated[
        str | None, Query(max_length=1_024, description="the `id` of the last event seen, as Last-Event-ID")
    ] = None,
    token: Annotated[
        str | None, Query(max_length=8_192, description="the credential, of those who can send no header: browsers")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=1_024)] = None,
) -> AsyncGenerator[Session]:
    """A session that is subscribed. What is refused is refused before the answer begins, as a problem document."""
    del token  # `of_request` takes it, with those of the headers
    sessions: Sessions = app_state(request).connected().sessions
    try:
        async with sessions.opened(origin_of(request), Transport.SSE) as session:
            await session.authenticate(of_request(request.scope["query_string"], request.headers.raw))
            await session.subscribe(channel, _fields(request), after=last_event_id or after, tenant=tenant)
            yield session
    except Ended as e:
        raise StreamRefused(e.closing) from None


def _fields(request: Request) -> Mapping[str, Any]:
    """The parameters of the channel: whatever else the query has. What is there twice is a list."""
    query = request.query_params
    fields: dict[str, Any] = {}
    for name in query:
        if name not in _OWN:
            values = query.getlist(name)
            fields[name.removesuffix("[]")] = values if len(values) > 1 or name.endswith("[]") else values[0]
    return fields


@router.get(
    PATH,
    response_class=EventSourceResponse,
    responses={
        404: problem_response("There is no such channel"),
        501: problem_response("The channel is not served yet"),
        503: problem_response("Too many connections are open"),
    },
)
async def stream(request: Request, session: Annotated[Session, Depends(_opened)]) -> AsyncIterator[ServerSentEvent]:
    """The messages of one channel, as they happen. Beside `channel` stand the channel's own parameters.

    Each event has the message's type as `event`, its cursor as `id` and the message as `data`. A browser that lost the
    connection sends the cursor back (Last-Event-ID) and gets what it missed. Comments keep the connection alive; after
    `VIGIE_PUSH_STREAM_S` the stream ends, and a browser connects anew."""
    if request.scope.get(HEAD):
        return
    sessions: Sessions = app_state(request).connected().sessions
    yield ServerSentEvent(comment="open", retry=RETRY_MS)
    ends = asyncio.get_running_loop().time() + sessions.settings.push_stream_s
    while (batch := await _batch(session, ends)) is not None:
        for one in batch:
            yield _event(one)
            if isinstance(one, Closed):
                return


async def _batch(session: Session, ends: float) -> Sequence[Outgoing] | None:
    """What waits; the end of the session as a message; None when the time of the stream is over."""
    try:
        async with asyncio.timeout_at(ends):
            return await session.take()
    except TimeoutError:
        return None
    except Ended as e:
        return [Closed(code=int(e.closing.code), reason=e.closing.reason)]


def _event(one: Outgoing) -> ServerSentEvent:
    if isinstance(one, Delivery):
        update = one.event.update
        return ServerSentEvent(event=type_of(update.message), id=update.cursor, raw_data=one.text.decode())
    return ServerSentEvent(event=type_of(one), raw_data=encode(one).decode())


FEATURE: Final = Feature(router, {("GET", PATH): PUBLIC}, "What changes, as it changes")
"""Public for the access table: the session asks who it is, also of a token in the query."""
