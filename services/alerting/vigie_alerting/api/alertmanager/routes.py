"""/api/v2 of Alertmanager, but for silences."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.bodies import JsonBody, described
from vigie_web.errors import Malformed
from vigie_web.feature import Feature

from vigie_alerting.api.alertmanager import answers, config, errors, standing
from vigie_alerting.api.alertmanager.asked import MAX_FILTERS, Asked
from vigie_alerting.api.alertmanager.json_answer import JSON, answer
from vigie_alerting.api.alertmanager.standing import Standing
from vigie_alerting.api.alerts import queries
from vigie_alerting.api.alerts.schemas import Status
from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.external.intake import MAX_OPEN
from vigie_alerting.external.reading import UnreadableError, read
from vigie_alerting.notifying.muters import muters
from vigie_alerting.routing import matchers

router = APIRouter(tags=["alertmanager"])
FEATURE = Feature(
    router,
    {
        ("GET", "/api/v2/status"): Access(Permission.ALERTS_READ),
        ("GET", "/api/v2/receivers"): Access(Permission.ALERTS_READ),
        ("GET", "/api/v2/alerts"): Access(Permission.ALERTS_READ),
        ("POST", "/api/v2/alerts"): Access(Permission.DATA_WRITE),
        ("GET", "/api/v2/alerts/groups"): Access(Permission.ALERTS_READ),
    },
    "What clients of Alertmanager ask for, answered as it answers",
    errors.written,
    "/api/v2/",
)
_FIRING: Final = (Status.ACTIVE, Status.ACKNOWLEDGED)
_EXAMPLE: Final = [
    {
        "labels": {"alertname": "InstanceDown", "instance": "web-1:9100", "severity": "critical"},
        "annotations": {"summary": "web-1 is down"},
        "startsAt": "2026-01-31T12:00:00Z",
        "endsAt": "2026-01-31T12:05:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0",
    }
]
Texts = Annotated[list[str] | None, Query(max_length=MAX_FILTERS)]


@router.get("/api/v2/status", response_class=Response, responses=JSON)
async def status(context: Ctx) -> Response:
    """The version, and the routes as a configuration of Alertmanager, without secrets."""
    routes = await context.resources.routebook.held.of(context.tenant)
    text = config.written(routes.tree)
    return answer(answers.status(version("vigie-alerting"), text, context.resources.started_ms))


@router.get("/api/v2/receivers", response_class=Response, responses=JSON)
async def receivers(context: Ctx, receiver_matchers: Texts = None) -> Response:
    """The receivers of the routes. They have no labels, so that only matchers which fit nothing find them."""
    if not matchers.parse(receiver_matchers or (), "receiver_matchers").match({}):
        return answer([])
    routes = await context.resources.routebook.held.of(context.tenant)
    return answer([{"name": name} for name in routes.tree.receivers])


@router.get("/api/v2/alerts", response_class=Response, responses=JSON)
async def alerts(
    *,
    context: Ctx,
    active: bool = True,
    silenced: bool = True,
    inhibited: bool = True,
    unprocessed: bool = True,
    filter_: Annotated[list[str] | None, Query(alias="filter", max_length=MAX_FILTERS)] = None,
    receiver: Annotated[str | None, Query(max_length=1_024)] = None,
    receiver_matchers: Texts = None,
) -> Response:
    """The alerts that fire, those that rules evaluate and those from outside, by fingerprint. None is ever
    unprocessed."""
    wanted = Asked.of(
        filter_ or (), receiver, receiver_matchers or (), active=active, silenced=silenced, inhibited=inhibited
    )
    standings, receivers = await _standings(context, wanted)
    found = [one for one in standings if any(way.receiver in receivers for way in one.ways)]
    return answer(await asyncio.to_thread(answers.alerts, found, context.now_ms))


@router.get("/api/v2/alerts/groups", response_class=Response, responses=JSON)
async def groups(
    *,
    context: Ctx,
    active: bool = True,
    silenced: bool = True,
    inhibited: bool = True,
    muted: bool = True,
    filter_: Annotated[list[str] | None, Query(alias="filter", max_length=MAX_FILTERS)] = None,
    receiver: Annotated[str | None, Query(max_length=1_024)] = None,
    receiver_matchers: Texts = None,
) -> Response:
    """The same, by what is told together. The channels that a rule has itself are receivers here, with a group for each
    name of an alert."""
    wanted = Asked.of(
        filter_ or (), receiver, receiver_matchers or (), active=active, silenced=silenced, inhibited=inhibited
    )
    found, receivers = await _standings(context, wanted)
    made = await asyncio.to_thread(answers.groups, found, receivers, context.now_ms, muted=muted)
    return answer(made)


async def _standings(context: Context, wanted: Asked) -> tuple[list[Standing], frozenset[str]]:
    """Those that fire and are wanted, and which of their receivers are. Raises StoreUnavailable, ExpressionTooSlow,
    Busy."""
    known, routes = await asyncio.gather(
        queries.going_on(context, _FIRING), context.resources.routebook.held.of(context.tenant)
    )
    all_ = await asyncio.to_thread(lambda: [standing.ways(one, routes) for one in known])
    if wanted.tries_expressions:
        thinking = context.resources.patterns.question("filter", context.tenant)
        matching, receivers = await thinking.run(lambda check: wanted.among(all_, check))
    else:
        matching, receivers = await asyncio.to_thread(wanted.among, all_)
    found = await standing.judged(matching, muters(context.resources.mutes), context.tenant, context.now_ms)
    return [one for one in found if wanted.shows(one)], receivers


@router.post(
    "/api/v2/alerts", response_class=Response, openapi_extra=described({"type": "array"}, _EXAMPLE), responses=JSON
)
async def post_alerts(context: Ctx, body: JsonBody) -> Response:
    """Alerts from outside, such as Prometheus sends them. One without an end, or with one that is still to come, fires
    until then and has to be sent again before; one with an end that is past is over. Those that are right are taken
    also where others are not; then the answer is 400 and says what is wrong with which."""
    try:
        posted, problems = read(body)
    except UnreadableError as e:
        raise Malformed(str(e)) from None
    refused = await context.resources.intake.take(context.tenant, posted, len(problems))
    if refused:
        problems.append(f"{refused} alerts were not taken: {MAX_OPEN:,} from outside fire already")
    if problems:
        raise Malformed("; ".join(problems))
    return Response()
