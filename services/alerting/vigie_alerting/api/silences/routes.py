"""/api/alerts/silences: what is kept quiet, and what that would have meant."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_query.times import parse_time
from vigie_storage.alerts.configuration import Stored
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.api.silences.schemas import (
    Extension,
    PreviewBody,
    Previewed,
    Silence,
    SilenceBody,
    SilencePage,
    WrittenSilence,
)
from vigie_alerting.api.silences.visibility import check_mutes, check_sees, has, having, sees, sees_alert
from vigie_alerting.routing.matchers import parse
from vigie_alerting.silences import checking, model
from vigie_alerting.silences.active import State, Timing, state
from vigie_alerting.silences.preview import Preview

router = APIRouter(tags=["silences"], route_class=AuthorizedRoute)
_SILENCES: Final = "/api/alerts/silences"
_ONE: Final = f"{_SILENCES}/{{silence}}"
_READ, _SILENCE = Access(Permission.ALERTS_READ), Access(Permission.ALERTS_SILENCE)
FEATURE = Feature(
    router,
    {
        ("GET", _SILENCES): _READ,
        ("POST", _SILENCES): _SILENCE,
        ("POST", f"{_SILENCES}/preview"): _SILENCE,
        ("GET", _ONE): _READ,
        ("PUT", _ONE): _SILENCE,
        ("DELETE", _ONE): _SILENCE,
        ("POST", f"{_ONE}/extend"): _SILENCE,
    },
    "What is kept quiet",
)
_BATCH: Final = 1_000
_CONFLICT: Responses = {
    403: problem_response("It may mute alerts of other sites than the caller's"),
    409: problem_response("Somebody else changed it, or it mutes everything and that is not confirmed"),
}
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]
SilencePath = Annotated[str, Path(max_length=64, description="a UUID")]


@router.get(_SILENCES, response_model=SilencePage)
async def list_silences(
    *,
    context: Ctx,
    states: Annotated[
        list[State] | None, Query(alias="state", description="only these; all but expired ones, unsaid")
    ] = None,
    matcher: Annotated[
        list[str] | None,
        Query(description="only those that have this matcher", examples=[['alertname="cpu_high"']]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Silences in the order in which they were made. USER and READONLY see those about their sites and apps, and those
    that name none."""
    after = "" if cursor is None else cursors.decode(cursor, str)
    wanted, in_state = having(matcher or []), set(states or (State.ACTIVE, State.PENDING))

    def listed(one: Stored[model.Silence]) -> bool:
        return _state(one, context) in in_state and has(one.value, wanted) and sees(context, one.value)

    found: list[Stored[model.Silence]] = []
    while len(found) <= limit:
        some = await context.resources.mutes.silences.page(context.tenant, _BATCH, after)
        found += filter(listed, some)
        if len(some) < _BATCH:
            break
        after = some[-1].name
    return SilencePage(
        silences=[Silence.of(one, context.now_ms) for one in found[:limit]],
        next_cursor=cursors.encode(found[limit - 1].name) if len(found) > limit else None,
    )


@router.post(_SILENCES, response_model=WrittenSilence, status_code=201, responses=_CONFLICT)
async def create_silence(context: Ctx, body: SilenceBody, request: Request, response: Response) -> Any:
    """A silence, which mutes from the next moment on, and what it would have muted in the last 7 days. One that mutes
    everything must be confirmed."""
    draft = body.draft(context.now_ms)
    check_mutes(context, draft.matchers)
    made, preview = await context.resources.mutes.silencebook.create(
        context.tenant, draft, context.actor, sees=partial(sees_alert, context)
    )
    response.headers["location"] = f"{request.url.path}/{made.name}"
    return _written(context, made, preview, response)


@router.post(f"{_SILENCES}/preview", response_model=Previewed)
async def preview_silence(context: Ctx, body: PreviewBody) -> Any:
    """What it would have muted in the last 7 days, and would mute now. Nothing is changed."""
    now, mutes = context.now_ms, context.resources.mutes
    matchers = checking.checked_matchers(parse(body.matchers).all)
    asked = body.timing(now)
    timing = checking.checked_timing(asked, now) if asked.rrule else Timing(now)
    seen = partial(sees_alert, context)
    preview = await mutes.previews.of(context.tenant, matchers, timing, now, sees=seen)
    fits_now = await mutes.previews.now(context.tenant, matchers, sees=seen)
    return Previewed.of(preview, fits_now, preview.everything(matchers))


@router.get(_ONE, response_model=Silence)
async def read_silence(context: Ctx, silence: SilencePath, response: Response) -> Any:
    """The silence; its version is the ETag. One that has expired is shown for 5 days more."""
    found = await _seen(context, silence)
    return _shown(context, found, response)


@router.put(_ONE, response_model=WrittenSilence, responses=_CONFLICT)
async def replace_silence(
    context: Ctx, silence: SilencePath, body: SilenceBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Put another one in its place. With other matchers, or, once it has begun, another start or recurrence, it expires
    and another silence is made: the answer has its `id`. So what was muted stays explained by what it was."""
    before = await _mine(context, silence)
    started = before.value.timing.starts if _state(before, context) is not State.EXPIRED else None
    draft = body.draft(context.now_ms, started)
    check_mutes(context, draft.matchers)
    made, preview = await context.resources.mutes.silencebook.change(
        context.tenant,
        silence,
        draft,
        context.actor,
        if_version=expected_version(if_match),
        sees=partial(sees_alert, context),
    )
    return _written(context, made, preview, response)


@router.post(f"{_ONE}/extend", response_model=Silence, responses=_CONFLICT)
async def extend_silence(
    context: Ctx, silence: SilencePath, body: Extension, response: Response, if_match: IfMatch = None
) -> Any:
    """Let it end later, or earlier, than it would. One that has expired stays so."""
    await _mine(context, silence)
    ends = parse_time(body.ends_at, "endsAt", context.now_ms)
    made = await context.resources.mutes.silencebook.extend(
        context.tenant, silence, ends, context.actor, if_version=expected_version(if_match)
    )
    return _shown(context, made, response)


@router.delete(_ONE, status_code=204, responses=_CONFLICT)
async def expire_silence(context: Ctx, silence: SilencePath, if_match: IfMatch = None) -> None:
    """End it now. Alerts that it muted and that still fire are told."""
    await _mine(context, silence)
    await context.resources.mutes.silencebook.expire(
        context.tenant, silence, context.actor, if_version=expected_version(if_match)
    )


async def _seen(context: Context, silence: str) -> Stored[model.Silence]:
    found = await context.resources.mutes.silencebook.get(context.tenant, silence)
    check_sees(context, found.value)
    return found


async def _mine(context: Context, silence: str) -> Stored[model.Silence]:
    """One that the caller may change."""
    found = await _seen(context, silence)
    check_mutes(context, found.value.matchers)
    return found


def _state(one: Stored[model.Silence], context: Context) -> State:
    return state(one.value.timing, context.now_ms)


def _shown(context: Context, stored: Stored[model.Silence], response: Response) -> Silence:
    response.headers["etag"] = f'"{stored.version}"'
    return Silence.of(stored, context.state.clock.now_ms())  # not when it was asked: it may have begun since


def _written(context: Context, made: Stored[model.Silence], preview: Preview, response: Response) -> WrittenSilence:
    response.headers["etag"] = f'"{made.version}"'
    return WrittenSilence.with_preview(made, preview, context.state.clock.now_ms())
