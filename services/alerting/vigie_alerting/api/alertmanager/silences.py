"""/api/v2/silences and /api/v2/silence/{id} of Alertmanager, on the silences of /api/alerts/silences."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_storage.alerts.configuration import Stored
from vigie_web.access import Access
from vigie_web.bodies import JsonBody, described
from vigie_web.errors import Malformed
from vigie_web.feature import Feature

from vigie_alerting.api.alertmanager import errors, silence_json
from vigie_alerting.api.alertmanager.asked import MAX_FILTERS
from vigie_alerting.api.alertmanager.json_answer import JSON, answer
from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.silences.visibility import check_mutes, check_sees, sees, sees_alert
from vigie_alerting.routing import matchers
from vigie_alerting.silences.active import State
from vigie_alerting.silences.model import Silence

router = APIRouter(tags=["alertmanager"])
_SILENCES: Final = "/api/v2/silences"
_ONE: Final = "/api/v2/silence/{silence}"
FEATURE = Feature(
    router,
    {
        ("GET", _SILENCES): Access(Permission.ALERTS_READ),
        ("POST", _SILENCES): Access(Permission.ALERTS_SILENCE),
        ("GET", _ONE): Access(Permission.ALERTS_READ),
        ("DELETE", _ONE): Access(Permission.ALERTS_SILENCE),
    },
    errors=errors.written,
)
_EXAMPLE: Final = {
    "matchers": [{"name": "team", "value": "db", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-31T12:00:00Z",
    "endsAt": "2026-01-31T14:00:00Z",
    "createdBy": "anna",
    "comment": "the database moves",
}
SilencePath = Annotated[str, Path(max_length=64, description="a UUID")]


@router.get(_SILENCES, response_class=Response, responses=JSON)
async def silences(
    *,
    context: Ctx,
    active: bool = True,
    pending: bool = True,
    expired: bool = True,
    filter_: Annotated[list[str] | None, Query(alias="filter", max_length=MAX_FILTERS)] = None,
) -> Response:
    """Those that have all matchers of the filter, word by word: the active ones by their end, the pending ones by their
    start, then those that expired in the last 5 days."""
    wanted = matchers.parse(filter_ or (), "filter").all
    asked = {State.ACTIVE: active, State.PENDING: pending, State.EXPIRED: expired}
    states = frozenset(state for state, shown in asked.items() if shown)
    found = [one for one in await context.resources.mutes.silences.all(context.tenant) if sees(context, one.value)]
    return answer(silence_json.listed(found, wanted, states, context.now_ms))


@router.post(_SILENCES, response_class=Response, responses=JSON, openapi_extra=described({"type": "object"}, _EXAMPLE))
async def post_silence(context: Ctx, body: JsonBody) -> Response:
    """A new silence or, with the `id` of one, another in its place: where that has muted with other matchers or from
    another start on it expires, and the answer has the id of the new one."""
    changed, draft = silence_json.read(body, context.now_ms)
    check_mutes(context, draft.matchers)
    book, seen = context.resources.mutes.silencebook, partial(sees_alert, context)
    if changed:
        before = await _mine(context, changed)
        if before.value.timing.rrule:
            raise Malformed(
                "this silence recurs, which Alertmanager's API cannot say: change it at /api/alerts/silences"
            )
        made, _ = await book.change(context.tenant, changed, draft, context.actor, sees=seen)
    else:
        made, _ = await book.create(context.tenant, draft, context.actor, sees=seen)
    return answer({"silenceID": made.name})


@router.get(_ONE, response_class=Response, responses=JSON)
async def silence(context: Ctx, silence: SilencePath) -> Response:
    """One of them."""
    return answer(silence_json.written(await _seen(context, silence), context.now_ms))


@router.delete(_ONE, response_class=Response)
async def delete_silence(context: Ctx, silence: SilencePath) -> Response:
    """End it now. One that has expired stays as it is."""
    await _mine(context, silence)
    await context.resources.mutes.silencebook.expire(context.tenant, silence, context.actor)
    return Response()


async def _seen(context: Context, silence: str) -> Stored[Silence]:
    found = await context.resources.mutes.silencebook.get(context.tenant, silence)
    check_sees(context, found.value)
    return found


async def _mine(context: Context, silence: str) -> Stored[Silence]:
    found = await _seen(context, silence)
    check_mutes(context, found.value.matchers)
    return found
