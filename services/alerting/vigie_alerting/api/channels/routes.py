"""/api/alerts/channels: where notifications go."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts import alerts as contracts
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.channels.schemas import Channel, ChannelBody, ChannelList, InlineChannel, Tested
from vigie_alerting.api.context import Ctx
from vigie_alerting.api.rules.writing import expected_version

router = APIRouter(tags=["channels"], route_class=AuthorizedRoute)
_CHANNELS: Final = "/api/alerts/channels"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("GET", _CHANNELS): _READ,
        ("POST", _CHANNELS): _CONFIGURE,
        ("POST", f"{_CHANNELS}/test"): _CONFIGURE,
        ("GET", f"{_CHANNELS}/{{channel}}"): _READ,
        ("PUT", f"{_CHANNELS}/{{channel}}"): _CONFIGURE,
        ("DELETE", f"{_CHANNELS}/{{channel}}"): _CONFIGURE,
        ("POST", f"{_CHANNELS}/{{channel}}/test"): _CONFIGURE,
    },
    "Where notifications go",
)
_CONFLICT: Responses = {
    409: problem_response("The name is taken, there are too many, somebody else changed it, or rules know it by it")
}
_USED: Responses = {409: problem_response("Rules name it: `errors` lists them")}
Force = Annotated[bool, Query(description="although rules name it")]
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]


@router.get(_CHANNELS, response_model=ChannelList)
async def list_channels(context: Ctx) -> Any:
    """The tenant's channels by name, then those of the settings."""
    return ChannelList(channels=[Channel.of(one) for one in await context.resources.channels.all(context.tenant)])


@router.post(_CHANNELS, response_model=Channel, status_code=201, responses=_CONFLICT)
async def create_channel(context: Ctx, body: ChannelBody, request: Request, response: Response) -> Any:
    """A channel, which rules name: `{"type": "channel", "destination": "<its name>"}`."""
    made = await context.resources.channelbook.create(context.tenant, body.draft, context.actor)
    response.headers["location"] = f"{request.url.path}/{made.id}"
    return Channel.of(made)


@router.post(f"{_CHANNELS}/test", response_model=Tested)
async def test_inline_channel(context: Ctx, body: InlineChannel) -> Any:
    """Send a test message through a channel as rules have them."""
    inline = contracts.Channel(body.type, body.destination)
    return Tested.of(await context.resources.channels.test_inline(context.tenant, inline))


@router.get(f"{_CHANNELS}/{{channel}}", response_model=Channel)
async def read_channel(context: Ctx, channel: str, response: Response) -> Any:
    """The channel without what is secret of it; its version is the ETag."""
    found = await context.resources.channels.get(context.tenant, channel)
    response.headers["etag"] = f'"{found.version}"'
    return Channel.of(found)


@router.put(f"{_CHANNELS}/{{channel}}", response_model=Channel, responses=_CONFLICT)
async def replace_channel(
    context: Ctx, channel: str, body: ChannelBody, if_match: IfMatch = None, force: Force = False
) -> Any:
    """Change where all rules that name it go, also for what already waits to be sent. Another name is refused while
    rules know it by this one."""
    made = await context.resources.channelbook.change(
        context.tenant, channel, body.draft, context.actor, version=expected_version(if_match), force=force
    )
    return Channel.of(made)


@router.delete(f"{_CHANNELS}/{{channel}}", status_code=204, responses=_USED)
async def delete_channel(context: Ctx, channel: str, force: Force = False) -> None:
    """Refused while rules name it. What waits to be sent there cannot be delivered any more."""
    await context.resources.channelbook.remove(context.tenant, channel, context.actor, force=force)


@router.post(f"{_CHANNELS}/{{channel}}/test", response_model=Tested)
async def test_channel(context: Ctx, channel: str) -> Any:
    """Send one test message at once: by the id of a channel, or the type of one of the settings."""
    return Tested.of(await context.resources.channels.test(context.tenant, channel))
