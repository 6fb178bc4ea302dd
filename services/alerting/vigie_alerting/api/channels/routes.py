"""/api/alerts/channels: where notifications go."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts import alerts as contracts
from vigie_identity.audit import Action
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.channels.schemas import Channel, ChannelBody, ChannelList, InlineChannel, Tested
from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.channels.drafts import ShownChannel

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
_CONFLICT: Responses = {409: problem_response("The name is taken, there are too many, or somebody else changed it")}
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]


@router.get(_CHANNELS, response_model=ChannelList)
async def list_channels(context: Ctx) -> Any:
    """The tenant's channels by name, then those of the settings."""
    return ChannelList(channels=[Channel.of(one) for one in await context.resources.channels.all(context.tenant)])


@router.post(_CHANNELS, response_model=Channel, status_code=201, responses=_CONFLICT)
async def create_channel(context: Ctx, body: ChannelBody, request: Request, response: Response) -> Any:
    """A channel, which rules name: `{"type": "channel", "destination": "<its name>"}`."""
    made = await context.resources.channels.create(context.tenant, body.draft, context.actor.name)
    await _note(context, Action.CHANNEL_CREATED, made)
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
async def replace_channel(context: Ctx, channel: str, body: ChannelBody, if_match: IfMatch = None) -> Any:
    """Change where all rules that name it go, also for what already waits to be sent."""
    version = expected_version(if_match)
    made = await context.resources.channels.change(context.tenant, channel, body.draft, context.actor.name, version)
    await _note(context, Action.CHANNEL_CHANGED, made)
    return Channel.of(made)


@router.delete(f"{_CHANNELS}/{{channel}}", status_code=204)
async def delete_channel(context: Ctx, channel: str) -> None:
    """What waits to be sent there cannot be delivered any more."""
    gone = await context.resources.channels.get(context.tenant, channel)
    await context.resources.channels.remove(context.tenant, channel)
    await _note(context, Action.CHANNEL_DELETED, gone)


@router.post(f"{_CHANNELS}/{{channel}}/test", response_model=Tested)
async def test_channel(context: Ctx, channel: str) -> Any:
    """Send one test message at once: by the id of a channel, or the type of one of the settings."""
    return Tested.of(await context.resources.channels.test(context.tenant, channel))


async def _note(context: Context, action: Action, channel: ShownChannel) -> None:
    await context.resources.audit.add(
        None, context.tenant, context.actor, action, channel.id, name=channel.name, type=channel.type
    )
