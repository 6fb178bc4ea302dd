"""GET /api/v1/rules and /api/v1/alerts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response
from vigie_contracts.alerts import Rule, RuleKind
from vigie_identity.errors import InvalidField
from vigie_identity.permissions import Permission
from vigie_query.errors import QueryError
from vigie_query.matchers import Matcher, predicate
from vigie_query.promql import parsing
from vigie_query.promql.plan import Selector
from vigie_web.access import Access
from vigie_web.feature import Feature

from vigie_alerting.alerts.desk import Known
from vigie_alerting.api.alerts import queries
from vigie_alerting.api.alerts.schemas import Status
from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.prometheus import answers, errors
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.exporting import DEFAULT_GROUP
from vigie_alerting.rules.problems import InvalidRuleError

router = APIRouter(tags=["prometheus"])
FEATURE = Feature(
    router,
    {
        ("GET", "/api/v1/rules"): Access(Permission.ALERTS_READ_ALL),
        ("GET", "/api/v1/alerts"): Access(Permission.ALERTS_READ),
    },
    "Rules and alerts, as Prometheus answers them",
    errors.written,
    "/api/v1/",
)
_GOING_ON: Final = (Status.PENDING, Status.ACTIVE, Status.ACKNOWLEDGED)
_MAX_TEXTS: Final = 100


@router.get("/api/v1/rules", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def rules(
    *,
    context: Ctx,
    type_: Annotated[Literal["alert", "record"] | None, Query(alias="type")] = None,
    rule_name: Annotated[list[str] | None, Query(alias="rule_name[]", max_length=_MAX_TEXTS)] = None,
    rule_group: Annotated[list[str] | None, Query(alias="rule_group[]", max_length=_MAX_TEXTS)] = None,
    file: Annotated[list[str] | None, Query(alias="file[]", max_length=_MAX_TEXTS)] = None,
    match: Annotated[list[str] | None, Query(alias="match[]", max_length=_MAX_TEXTS)] = None,
    exclude_alerts: bool = False,
    group_limit: Annotated[int | None, Query(ge=1)] = None,
    group_next_token: str | None = None,
) -> Response:
    """Rules by group, those that are off left out, with the alerts that are pending or fire."""
    if group_next_token is not None and group_limit is None:
        raise InvalidField("group_limit", "needs to be set in order to paginate over the groups")
    selectors = [_selector(text) for text in match or ()]
    wanted = [
        made
        for made in await _compiled(context)
        if (not rule_name or (made.rule.record or made.rule.name) in rule_name)
        and (not rule_group or (made.rule.group or DEFAULT_GROUP) in rule_group)
        and (not file or answers.FILE in file)
        and (type_ is None or (made.rule.kind is RuleKind.RECORDING) is (type_ == "record"))
        and (not selectors or any(predicate(one)(answers.labels(made.rule)) for one in selectors))
    ]
    by_rule: dict[str, list[Known]] = defaultdict(list)
    for known in await queries.going_on(context, _GOING_ON):
        by_rule[known.alert.rule_id].append(known)
    found = await asyncio.to_thread(  # templates of thousands of alerts
        answers.groups, wanted, by_rule, context.resources.health, with_alerts=not exclude_alerts
    )
    return _success(_page(found, group_limit, group_next_token))


def _page(found: list[answers.Group], limit: int | None, token: str | None) -> dict[str, Any]:
    if token is not None:
        start = next((place for place, group in enumerate(found) if group.token == token), None)
        if start is None:
            raise InvalidField("group_next_token", "there is no such group: were rule groups changed?")
        found = found[start:]
    shown = found if limit is None else found[:limit]
    more = {} if len(shown) == len(found) else {"groupNextToken": found[len(shown)].token}
    return {"groups": [group.answer for group in shown], **more}


@router.get("/api/v1/alerts", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def alerts(context: Ctx) -> Response:
    """The alerts that are pending or fire."""
    found = await queries.going_on(context, _GOING_ON)
    return _success({"alerts": await asyncio.to_thread(lambda: [answers.alert(one) for one in found])})


async def _compiled(context: Context) -> list[CompiledRule]:
    made: list[CompiledRule] = []
    for rule in await context.resources.stores.rules.all(context.tenant, {"enabled": True}):
        made += _understood(context, rule)
    return made


def _understood(context: Context, rule: Rule) -> list[CompiledRule]:
    try:
        return [context.resources.compiled.of(rule)]
    except InvalidRuleError:  # of a later version of Vigie
        return []


def _selector(text: str) -> tuple[Matcher, ...]:
    try:
        node = parsing.parse(text)
    except QueryError as e:
        raise InvalidField("match[]", e.detail) from None
    if not isinstance(node, Selector):
        raise InvalidField("match[]", 'must be a selector of series: {severity="critical"}')
    return node.matchers


def _success(data: dict[str, Any]) -> Response:
    return Response(
        msgspec.json.encode({"status": "success", "data": data}), headers={"content-type": "application/json"}
    )
