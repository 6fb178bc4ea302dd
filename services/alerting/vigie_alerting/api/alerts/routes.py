"""/api/alerts: alerts, what people do to them, and what happened to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from vigie_contracts.alerts import Severity, Transition
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_identity.errors import InvalidField
from vigie_identity.permissions import Permission
from vigie_query.times import iso, parse_time
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting import commands
from vigie_alerting.alerts.desk import Command
from vigie_alerting.alerts.errors import AlertNotFound, NotificationNotFound, NotificationSettled
from vigie_alerting.api.alerts import queries
from vigie_alerting.api.alerts.schemas import (
    Acknowledge,
    Alert,
    AlertPage,
    Counts,
    Escalated,
    Explained,
    History,
    HistoryEntry,
    Remark,
    Status,
    Told,
)
from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.why.explaining import explained

router = APIRouter(tags=["alerts"], route_class=AuthorizedRoute)
_ONE: Final = "/api/alerts/{alert}"
_REPLAY: Final = f"{_ONE}/notifications/{{notification}}/replay"
FEATURE = Feature(
    router,
    {
        ("GET", "/api/alerts"): Access(Permission.ALERTS_READ),
        ("GET", _ONE): Access(Permission.ALERTS_READ),
        ("GET", f"{_ONE}/history"): Access(Permission.ALERTS_READ),
        ("POST", f"{_ONE}/acknowledge"): Access(Permission.ALERTS_ACKNOWLEDGE),
        ("POST", f"{_ONE}/unacknowledge"): Access(Permission.ALERTS_ACKNOWLEDGE),
        ("POST", f"{_ONE}/escalate"): Access(Permission.ALERTS_ACKNOWLEDGE),
        ("POST", f"{_ONE}/resolve"): Access(Permission.ALERTS_RESOLVE),
        ("POST", _REPLAY): Access(Permission.MONITORING_CONFIGURE),
    },
    "What is wrong",
)
MAX_COUNTED: Final = 10_000
_MAX_TOLD: Final = 100
_SETTLED: Responses = {409: problem_response("It was not given up, or something newer of the alert was delivered")}
_UNESCALATED: Responses = {409: problem_response("It has no chain, or the chain has nobody else to tell now")}
_CONFLICT: Responses = {409: problem_response("It does not fire, or somebody else has it: the sentence says who")}
AlertPath = Annotated[str, Path(max_length=64, description="16 hex digits")]


@router.get("/api/alerts", response_model=AlertPage)
async def list_alerts(
    *,
    context: Ctx,
    status: Annotated[
        list[Status] | None, Query(description="only these; all but pending ones when nothing is said")
    ] = None,
    severity: Annotated[list[Severity] | None, Query(description="only of these severities")] = None,
    type_: Annotated[
        list[Annotated[str, Query(max_length=MAX_NAME_CHARS)]] | None,
        Query(alias="type", description="only of rules with these names", examples=[["cpu_high"]]),
    ] = None,
    rule: Annotated[str | None, Query(max_length=128, description="only of the rule with this id")] = None,
    match: Annotated[
        list[str] | None,
        Query(description="label=value or label!=value; all must hold", examples=[["service=booking"]]),
    ] = None,
    since: Annotated[
        str | None, Query(max_length=64, description="only those that began then or later", examples=["now-1h"])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: cursors.Cursor = None,
) -> Any:
    """Alerts, the last begun first; of an alert its present or last life. USER and READONLY see those of their sites
    and apps, by the labels `site` and `app`."""
    began = None if since is None else datetime.fromtimestamp(parse_time(since, "since", context.now_ms) / 1000, UTC)
    conditions = queries.visible(context)
    conditions += queries.asked(severity=severity, rule=rule, type_=type_, match=match or [], since_ms=began)
    wanted = queries.all_of([*conditions, queries.in_status(status or queries.LISTED)])
    states, after = context.resources.stores.states, None if cursor is None else cursors.decode(cursor, tuple[int, str])
    found, counts = await asyncio.gather(
        states.page(context.tenant, wanted, limit + 1, after), _counts(context, conditions)
    )
    shown = found[:limit]
    known = await context.resources.desk.known(context.tenant, shown)
    return AlertPage(
        timestamp=iso(context.now_ms),
        alerts=[Alert.of(one) for one in known],
        counts=counts,
        next_cursor=cursors.encode((shown[-1].starts_at, shown[-1].fingerprint)) if len(found) > limit else None,
    )


async def _counts(context: Context, conditions: list[queries.Query]) -> Counts:
    numbers = await asyncio.gather(
        *(
            context.resources.stores.states.count(
                context.tenant, queries.all_of([*conditions, queries.in_status((status,))]), MAX_COUNTED
            )
            for status in Status
        )
    )
    return Counts(**{status.value: number for status, number in zip(Status, numbers, strict=True)})


@router.get(_ONE, response_model=Alert)
async def read_alert(context: Ctx, alert: AlertPath) -> Any:
    """The alert in its present or last life."""
    known = await context.resources.desk.one(context.tenant, alert)
    if not queries.sees_known(context, known):
        raise AlertNotFound
    return Alert.of(known)


@router.get(f"{_ONE}/history", response_model=History)
async def read_history(context: Ctx, alert: AlertPath, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Any:
    """Every step of the alert, with its reason; what was told about it, and for each receiver and channel why, or why
    not: longer than the alert itself is kept."""
    resources, tenant = context.resources, context.tenant
    transitions, notifications, decisions, channels = await asyncio.gather(
        resources.stores.ledger.history(tenant, alert, limit),
        resources.stores.outbox.of_alert(tenant, alert, min(limit, _MAX_TOLD)),
        resources.stores.decisions.of_alert(tenant, alert),
        resources.stores.channels.all(tenant),
    )
    _check_seen(context, transitions)
    names = {one.id: one.name for one in channels}
    return History(
        transitions=[HistoryEntry.of(one) for one in transitions],
        notifications=[Told.of(one, names) for one in notifications],
        why=[Explained.of(one) for one in explained(transitions, decisions, notifications, names)],
    )


@router.post(_REPLAY, status_code=204, responses=_SETTLED)
async def replay_notification(
    context: Ctx, alert: AlertPath, notification: Annotated[str, Path(max_length=128, description="from the history")]
) -> None:
    """Send what was given up once more, for as long as a new one is tried."""
    resources, tenant = context.resources, context.tenant
    _check_seen(context, await resources.stores.ledger.history(tenant, alert, 1))
    if notification not in {one.id for one in await resources.stores.outbox.of_alert(tenant, alert, _MAX_TOLD)}:
        raise NotificationNotFound
    if not await resources.stores.outbox.replay(tenant, notification):
        raise NotificationSettled


def _check_seen(context: Context, history: Sequence[Transition]) -> None:
    if not history or not queries.sees(context, history[0].labels):
        raise AlertNotFound


@router.post(f"{_ONE}/acknowledge", response_model=Alert, responses=_CONFLICT)
async def acknowledge_alert(context: Ctx, alert: AlertPath, body: Acknowledge | None = None) -> Any:
    """Somebody has it: the caller. Again from the same one: another note or end. From anybody else: 409, with who has
    it; take it back first."""
    said, now = body or Acknowledge(), context.now_ms
    until = None if said.until is None else parse_time(said.until, "until", now)
    if until is not None and until <= now:
        raise InvalidField("until", "must be in the future")
    return await _move(
        context,
        alert,
        lambda one, rule: commands.acknowledge(one, rule, context.actor.name, now, until=until, note=said.note),
    )


@router.post(f"{_ONE}/unacknowledge", response_model=Alert, responses=_CONFLICT)
async def unacknowledge_alert(context: Ctx, alert: AlertPath, body: Remark | None = None) -> Any:
    """Nobody has it any more, whoever had."""
    note = body.note if body else ""
    return await _move(
        context,
        alert,
        lambda one, rule: commands.unacknowledge(one, rule, context.actor.name, context.now_ms, note=note),
    )


@router.post(f"{_ONE}/escalate", response_model=Escalated, responses=_UNESCALATED)
async def escalate_alert(context: Ctx, alert: AlertPath) -> Any:
    """The next step of its escalation chain is told now, without waiting for its time. Asked again before that is told,
    it changes nothing."""
    known = await context.resources.desk.one(context.tenant, alert)
    if not queries.sees_known(context, known):
        raise AlertNotFound
    return Escalated.of(await context.resources.oncall.by_hand.escalate(known.alert, context.actor))


@router.post(f"{_ONE}/resolve", response_model=Alert, responses=_CONFLICT)
async def resolve_alert(context: Ctx, alert: AlertPath, body: Remark | None = None) -> Any:
    """Over, whatever is measured: when the condition still holds after the deduplication window, it begins anew."""
    note = body.note if body else ""
    return await _move(
        context, alert, lambda one, rule: commands.resolve(one, rule, context.actor.name, context.now_ms, note=note)
    )


async def _move(context: Context, alert: str, command: Command) -> Alert:
    known = await context.resources.desk.move(
        context.tenant, alert, command, lambda found: queries.sees_known(context, found)
    )
    return Alert.of(known)
