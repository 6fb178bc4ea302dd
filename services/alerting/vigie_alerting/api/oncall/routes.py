"""/api/oncall: who is on call, and who is told when nobody acknowledges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.tenants import TenantId, is_tenant
from vigie_identity.errors import InvalidField
from vigie_identity.permissions import Permission
from vigie_query.times import DAY, iso, parse_time
from vigie_storage.alerts.configuration import Stored
from vigie_web.access import PUBLIC, Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response
from vigie_web.state import app_state

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.oncall.bodies import NAME, ChainBody, OverrideBody, PersonBody, ScheduleBody
from vigie_alerting.api.oncall.schemas import (
    Chain,
    ChainList,
    OnCallList,
    OnCallNow,
    Override,
    Person,
    PersonList,
    Schedule,
    ScheduleList,
    ScheduleNow,
    Shared,
    Shifts,
    warned,
)
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.errors import OnCallNotFound
from vigie_alerting.escalation.oncall import OnCall
from vigie_alerting.schedules import ical, rotation

router = APIRouter(tags=["on call"], route_class=AuthorizedRoute)
_ONCALL: Final = "/api/oncall"
_SCHEDULES: Final = f"{_ONCALL}/schedules"
_SCHEDULE: Final = f"{_SCHEDULES}/{{schedule}}"
_PEOPLE: Final = f"{_ONCALL}/people"
_CHAINS: Final = f"{_ONCALL}/chains"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("GET", _ONCALL): Access(Permission.ALERTS_READ),
        ("GET", _SCHEDULES): _READ,
        ("GET", _SCHEDULE): _READ,
        ("PUT", _SCHEDULE): _CONFIGURE,
        ("DELETE", _SCHEDULE): _CONFIGURE,
        ("GET", f"{_SCHEDULE}/shifts"): Access(Permission.ALERTS_READ),
        ("POST", f"{_SCHEDULE}/preview"): _READ,
        ("POST", f"{_SCHEDULE}/overrides"): _CONFIGURE,
        ("DELETE", f"{_SCHEDULE}/overrides/{{override}}"): _CONFIGURE,
        ("POST", f"{_SCHEDULE}/calendar"): _CONFIGURE,
        ("DELETE", f"{_SCHEDULE}/calendar"): _CONFIGURE,
        ("GET", f"{_SCHEDULE}/calendar.ics"): PUBLIC,
        ("GET", _PEOPLE): _READ,
        ("GET", f"{_PEOPLE}/{{person}}"): _READ,
        ("PUT", f"{_PEOPLE}/{{person}}"): _CONFIGURE,
        ("DELETE", f"{_PEOPLE}/{{person}}"): _CONFIGURE,
        ("GET", _CHAINS): _READ,
        ("GET", f"{_CHAINS}/{{chain}}"): _READ,
        ("PUT", f"{_CHAINS}/{{chain}}"): _CONFIGURE,
        ("DELETE", f"{_CHAINS}/{{chain}}"): _CONFIGURE,
    },
    "Who is on call, and who is told when nobody acknowledges",
)
MAX_SHIFTS_MS: Final = 366 * DAY
_CALENDAR_AHEAD_MS: Final = 120 * DAY
_CALENDAR: Final[Responses] = {200: {"content": {"text/calendar": {"schema": {"type": "string"}}}}}
_CONFLICT: Responses = {409: problem_response("It is at another version, or others name it: the sentence says which")}
IfMatch = Annotated[
    str | None, Header(max_length=64, description='the version that was changed: "3"; "0": there was none')
]
Name = Annotated[str, Path(pattern=NAME, description="letters, digits, spaces and . _ - @ + ', at most 64")]


@router.get(_ONCALL, response_model=OnCallList)
async def read_on_call(
    context: Ctx,
    at: Annotated[str, Query(max_length=64, description="at another time", examples=["now+8h"])] = "now",
) -> Any:
    """Who is on call in every schedule, until when, and who is next."""
    at_ms = parse_time(at, "at", context.now_ms)
    known = await _known(context)

    def of_all() -> list[OnCallNow]:
        return [OnCallNow.of(name, schedule, at_ms) for name, schedule in known.schedules.items()]

    return OnCallList(timestamp=iso(at_ms), schedules=await asyncio.to_thread(of_all))  # many may take a while


@router.get(_SCHEDULES, response_model=ScheduleList)
async def list_schedules(context: Ctx) -> Any:
    """Schedules by name; at most 200."""
    found = await context.resources.oncall.store.schedules.all(context.tenant)
    return ScheduleList(schedules=[Schedule.of(one) for one in found])


@router.get(_SCHEDULE, response_model=ScheduleNow)
async def read_schedule(context: Ctx, schedule: Name, response: Response) -> Any:
    """The schedule, who is on call now, and where nobody will be; its version is the ETag."""
    found = await context.resources.oncall.store.schedules.get(context.tenant, schedule)
    if found is None:
        raise OnCallNotFound("schedule", schedule)
    response.headers["etag"] = f'"{found.version}"'
    return await asyncio.to_thread(ScheduleNow.at, found, context.now_ms)


@router.put(_SCHEDULE, response_model=ScheduleNow, responses=_CONFLICT)
async def replace_schedule(
    context: Ctx, schedule: Name, body: ScheduleBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Make it, or put another in its place; its overrides stay. Whoever is on call by it, and was not before, is told
    at once. `gaps` says where nobody will be."""
    made = await context.resources.oncall.book.put_schedule(
        context.tenant, schedule, body.value, context.actor, expected_version(if_match)
    )
    response.headers["etag"] = f'"{made.version}"'
    return await asyncio.to_thread(ScheduleNow.at, made, context.now_ms)


@router.delete(_SCHEDULE, status_code=204, responses=_CONFLICT)
async def delete_schedule(context: Ctx, schedule: Name, if_match: IfMatch = None) -> None:
    """Refused while chains name it."""
    await context.resources.oncall.book.delete_schedule(
        context.tenant, schedule, context.actor, expected_version(if_match)
    )


@router.get(f"{_SCHEDULE}/shifts", response_model=Shifts)
async def list_shifts(
    context: Ctx,
    schedule: Name,
    from_: Annotated[str, Query(alias="from", max_length=64, examples=["now-7d"])] = "now",
    to: Annotated[str, Query(max_length=64, examples=["2026-12-31T00:00:00Z"])] = "now+28d",
) -> Any:
    """Who is on call when, and when nobody is; at most a year."""
    found = (await _known(context)).schedules.get(schedule)
    if found is None:
        raise OnCallNotFound("schedule", schedule)
    return await asyncio.to_thread(Shifts.between, found, *_between(context, from_, to))


@router.post(f"{_SCHEDULE}/preview", response_model=Shifts)
async def preview_schedule(
    context: Ctx,
    schedule: Name,
    body: ScheduleBody,
    from_: Annotated[str, Query(alias="from", max_length=64, examples=["now"])] = "now",
    to: Annotated[str, Query(max_length=64, examples=["now+28d"])] = "now+28d",
) -> Any:
    """Who would be on call when, and when nobody, if the schedule were as the body says; with the overrides that it
    has. Nothing is stored, and nobody is told."""
    between = _between(context, from_, to)
    wanted = await context.resources.oncall.book.tried(context.tenant, schedule, body.value)
    return await asyncio.to_thread(Shifts.between, wanted, *between)


@router.post(f"{_SCHEDULE}/overrides", response_model=Override, status_code=201)
async def create_override(context: Ctx, schedule: Name, body: OverrideBody) -> Any:
    """Somebody takes over for a while. Of overrides that overlap the later made one counts."""
    wanted = body.value(context.now_ms)
    return Override.of(
        await context.resources.oncall.book.add_override(context.tenant, schedule, wanted, context.actor)
    )


@router.delete(f"{_SCHEDULE}/overrides/{{override}}", status_code=204)
async def delete_override(context: Ctx, schedule: Name, override: Annotated[str, Path(max_length=64)]) -> None:
    """The layers, and the other overrides, count again."""
    await context.resources.oncall.book.remove_override(context.tenant, schedule, override, context.actor)


@router.post(f"{_SCHEDULE}/calendar", response_model=Shared, status_code=201)
async def share_calendar(context: Ctx, schedule: Name, request: Request) -> Any:
    """A secret address of its calendar, which calendar apps subscribe to; one that was given before is none any
    more."""
    token = await context.resources.oncall.book.share_calendar(context.tenant, schedule, context.actor)
    base = (context.state.settings.external_url or str(request.base_url)).rstrip("/")
    return Shared(url=f"{base}{_SCHEDULES}/{quote(schedule)}/calendar.ics?token={token}")


@router.delete(f"{_SCHEDULE}/calendar", status_code=204)
async def close_calendar(context: Ctx, schedule: Name) -> None:
    """Nobody reads its calendar any more."""
    await context.resources.oncall.book.close_calendar(context.tenant, schedule, context.actor)


@router.get(f"{_SCHEDULE}/calendar.ics", response_class=Response, responses=_CALENDAR)
async def read_calendar(
    request: Request, schedule: Name, token: Annotated[str, Query(max_length=256, description="the secret")] = ""
) -> Response:
    """Shifts since the month before this one, and of the next 120 days, as a calendar (RFC 5545)."""
    state = app_state(request)
    resources, now = state.connected(), state.clock.now_ms()
    tenant, _, secret = token.partition(".")
    if not is_tenant(tenant):
        raise OnCallNotFound("calendar of", schedule)
    found = await resources.oncall.book.shared(TenantId(tenant), schedule, secret)
    await resources.access.known_tenants.require(TenantId(tenant))

    def calendar() -> bytes:
        shifts = rotation.shifts(found, _last_month(now), now + _CALENDAR_AHEAD_MS)
        return ical.calendar(TenantId(tenant), schedule, shifts, now)

    made = await asyncio.to_thread(calendar)
    return Response(
        made, headers={"content-type": "text/calendar; charset=utf-8", "cache-control": "private, max-age=300"}
    )


@router.get(_PEOPLE, response_model=PersonList)
async def list_people(context: Ctx) -> Any:
    """Everybody who can be on call, by name; at most 1,000."""
    found = await context.resources.oncall.store.people.all(context.tenant)
    return PersonList(people=[Person.of(one) for one in found])


@router.get(f"{_PEOPLE}/{{person}}", response_model=Person)
async def read_person(context: Ctx, person: Name, response: Response) -> Any:
    """How somebody is reached; the version is the ETag."""
    found = await context.resources.oncall.store.people.get(context.tenant, person)
    if found is None:
        raise OnCallNotFound("person", person)
    response.headers["etag"] = f'"{found.version}"'
    return Person.of(found)


@router.put(f"{_PEOPLE}/{{person}}", response_model=Person, responses=_CONFLICT)
async def replace_person(
    context: Ctx, person: Name, body: PersonBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Say how somebody is reached."""
    made = await context.resources.oncall.book.put_person(
        context.tenant, person, body.value, context.actor, expected_version(if_match)
    )
    response.headers["etag"] = f'"{made.version}"'
    return Person.of(made)


@router.delete(f"{_PEOPLE}/{{person}}", status_code=204, responses=_CONFLICT)
async def delete_person(context: Ctx, person: Name, if_match: IfMatch = None) -> None:
    """Refused while schedules or chains name the person."""
    await context.resources.oncall.book.delete_person(context.tenant, person, context.actor, expected_version(if_match))


@router.get(_CHAINS, response_model=ChainList)
async def list_chains(context: Ctx) -> Any:
    """Chains by name; at most 200. `warnings` say where one would tell nobody in the next 28 days."""
    found = await context.resources.oncall.store.chains.all(context.tenant)
    return ChainList(chains=await _warned(context, found))


@router.get(f"{_CHAINS}/{{chain}}", response_model=Chain)
async def read_chain(context: Ctx, chain: Name, response: Response) -> Any:
    """The chain; its version is the ETag."""
    found = await context.resources.oncall.store.chains.get(context.tenant, chain)
    if found is None:
        raise OnCallNotFound("chain", chain)
    response.headers["etag"] = f'"{found.version}"'
    return (await _warned(context, [found]))[0]


@router.put(f"{_CHAINS}/{{chain}}", response_model=Chain, responses=_CONFLICT)
async def replace_chain(
    context: Ctx, chain: Name, body: ChainBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Make it, or put another in its place, also for alerts that are in it."""
    made = await context.resources.oncall.book.put_chain(
        context.tenant, chain, body.value, context.actor, expected_version(if_match)
    )
    response.headers["etag"] = f'"{made.version}"'
    return (await _warned(context, [made]))[0]


@router.delete(f"{_CHAINS}/{{chain}}", status_code=204, responses=_CONFLICT)
async def delete_chain(context: Ctx, chain: Name, if_match: IfMatch = None) -> None:
    """Refused while routes name it."""
    await context.resources.oncall.book.delete_chain(context.tenant, chain, context.actor, expected_version(if_match))


def _between(context: Context, from_: str, to: str) -> tuple[int, int]:
    start, end = parse_time(from_, "from", context.now_ms), parse_time(to, "to", context.now_ms)
    if not start < end <= start + MAX_SHIFTS_MS:
        raise InvalidField("to", "must be later than from, by at most 366 days")
    return start, end


async def _known(context: Context) -> OnCall:
    return await context.resources.oncall.held.of(context.tenant)


async def _warned(context: Context, found: Sequence[Stored[chains.Chain]]) -> list[Chain]:
    return await asyncio.to_thread(warned, found, (await _known(context)).schedules, context.now_ms)


def _last_month(now_ms: int) -> int:
    """The beginning of the month before this one, UTC: what begins there stays the same event for a month."""
    first = datetime.fromtimestamp(now_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int((first - timedelta(days=1)).replace(day=1).timestamp()) * 1000
