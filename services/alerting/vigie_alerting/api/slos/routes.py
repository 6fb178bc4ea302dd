"""/api/slos: objectives, and what is left of their error budgets."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.alerts import Rule
from vigie_identity.permissions import Permission
from vigie_storage.alerts.configuration import Stored
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.rules.writing import evaluable, expected_version
from vigie_alerting.api.slos.schemas import NewSlo, Slo, SloBody, SloNow, SloPage, WrittenSlo
from vigie_alerting.rulebook.destinations import check, known_again
from vigie_alerting.rulebook.errors import InvalidRule
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem
from vigie_alerting.slos import model
from vigie_alerting.slos.checking import judged
from vigie_alerting.slos.errors import SloNotFound

router = APIRouter(tags=["slos"], route_class=AuthorizedRoute)
_SLOS: Final = "/api/slos"
_ONE: Final = f"{_SLOS}/{{name}}"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("GET", _SLOS): _READ,
        ("POST", _SLOS): _CONFIGURE,
        ("GET", _ONE): _READ,
        ("PUT", _ONE): _CONFIGURE,
        ("DELETE", _ONE): _CONFIGURE,
    },
    "Service level objectives and their error budgets",
)
_CONFLICT: Responses = {409: problem_response("It is at another version, or there is one of this name already")}
Name = Annotated[str, Path(max_length=100)]
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]


@router.get(_SLOS, response_model=SloPage)
async def list_slos(
    context: Ctx, limit: Annotated[int, Query(ge=1, le=1_000)] = 100, cursor: cursors.Cursor = None
) -> Any:
    """By name, without their budgets."""
    after = "" if cursor is None else cursors.decode(cursor, str)
    found = await context.resources.slobook.store.page(context.tenant, limit + 1, after)
    shown = found[:limit]
    more = len(found) > limit
    return SloPage(slos=[Slo.of(one) for one in shown], next_cursor=cursors.encode(shown[-1].name) if more else None)


@router.post(_SLOS, response_model=WrittenSlo, status_code=201, responses=_CONFLICT)
async def create_slo(context: Ctx, body: NewSlo, request: Request, response: Response) -> Any:
    """With the rules that watch it: recorded error rates over several windows, and alerts on how fast the budget
    burns. Everything that is wrong with it is told at once."""
    made = await _write(context, body.name, body, response, before=None, if_version=0)
    response.headers["location"] = f"{request.url.path}/{body.name}"  # judged first: it may be any text
    return made


@router.get(_ONE, response_model=SloNow)
async def read_slo(context: Ctx, name: Name, response: Response) -> Any:
    """What is left of its error budgets, by all that was measured, also what came late. Its version is the ETag."""
    found = await _stored(context, name)
    response.headers["etag"] = f'"{found.version}"'
    standing = await context.resources.slobook.standing(context.tenant, found.value, context.now_ms)
    return SloNow.standing(found, standing, context.now_ms)


@router.put(_ONE, response_model=WrittenSlo, responses=_CONFLICT)
async def replace_slo(context: Ctx, name: Name, body: SloBody, response: Response, if_match: IfMatch = None) -> Any:
    """Another objective in its place; what is not said is as by default."""
    before = await _stored(context, name)
    version = expected_version(if_match)
    return await _write(context, name, body, response, before=before.value, if_version=version)


@router.delete(_ONE, status_code=204, responses=_CONFLICT)
async def delete_slo(context: Ctx, name: Name, if_match: IfMatch = None) -> None:
    """With its rules; their alerts are resolved."""
    version = expected_version(if_match)
    if await context.resources.slobook.delete(context.tenant, name, context.actor, if_version=version) is None:
        raise SloNotFound


async def _stored(context: Context, name: str) -> Stored[model.Slo]:
    found = await context.resources.slobook.store.get(context.tenant, name)
    if found is None:
        raise SloNotFound
    return found


async def _write(
    context: Context, name: str, body: SloBody, response: Response, *, before: model.Slo | None, if_version: int | None
) -> WrittenSlo:
    slo, rules, warnings = await _judged(context, name, body, before)
    stored = await context.resources.slobook.put(context.tenant, name, slo, rules, context.actor, if_version=if_version)
    response.headers["etag"] = f'"{stored.version}"'
    return WrittenSlo.with_rules(stored, [rule.id for rule in rules], warnings)


async def _judged(
    context: Context, name: str, body: SloBody, before: model.Slo | None
) -> tuple[model.Slo, list[Rule], list[RuleProblem]]:
    """The objective, its rules and warnings. Raises InvalidRule."""
    resources, tenant = context.resources, context.tenant
    names = {channel.name for channel in await resources.channels.all(tenant) if not channel.default}
    known = before.notification_channels if before else []
    try:
        slo = body.slo()
        slo = replace(slo, notification_channels=known_again(slo.notification_channels, known))
        made, warnings = judged(tenant, name, slo, check(names, resources.notifiers, known))
    except InvalidRuleError as e:
        raise InvalidRule(e.problems) from None
    for one in made:
        try:
            await evaluable(context, one)
        except InvalidRule as e:
            raise InvalidRule([_of_objective(body, problem) for problem in e.problems]) from None
    return slo, [one.rule for one in made], warnings


def _of_objective(body: SloBody, problem: RuleProblem) -> RuleProblem:
    """Rules are made of it: what they look at is said by these fields."""
    field = "metricName" if body.metric_name else "good" if body.good else "errors"
    return RuleProblem(field, problem.reason, None, problem.hint)
