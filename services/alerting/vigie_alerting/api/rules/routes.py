"""/api/alerts/rules: rules, their versions, and rule files."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_contracts.alerts import RuleKind, Severity
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_identity.names import new_id
from vigie_identity.permissions import Permission
from vigie_storage.alerts.rules import StoredRule, order
from vigie_web import cursors
from vigie_web.access import Access
from vigie_web.bodies import JsonBody, YamlBody, described
from vigie_web.errors import Malformed
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.rules.schemas import (
    Import,
    ImportedRule,
    Line,
    RuleNow,
    RulePage,
    Version,
    VersionPage,
    WrittenRule,
)
from vigie_alerting.api.rules.writing import at_version, evaluable, expected_version, judged, merged
from vigie_alerting.rulebook.errors import InvalidRule, InvalidRuleFile, RuleNotFound
from vigie_alerting.rulebook.rulebook import Verdict
from vigie_alerting.rules import exporting, files
from vigie_alerting.rules.problems import InvalidRuleError, RuleProblem

router = APIRouter(tags=["rules"])
_RULES: Final = "/api/alerts/rules"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("GET", _RULES): _READ,
        ("POST", _RULES): _CONFIGURE,
        ("POST", f"{_RULES}/import"): _CONFIGURE,
        ("GET", f"{_RULES}/export"): _READ,
        ("GET", f"{_RULES}/{{rule}}"): _READ,
        ("PUT", f"{_RULES}/{{rule}}"): _CONFIGURE,
        ("PATCH", f"{_RULES}/{{rule}}"): _CONFIGURE,
        ("DELETE", f"{_RULES}/{{rule}}"): _CONFIGURE,
        ("GET", f"{_RULES}/{{rule}}/versions"): _READ,
    },
    "What is watched",
)
_CONFLICT: Responses = {
    409: problem_response(
        "The rule is at another version: the sentence says who changed it; or it belongs to an objective"
    )
}
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]
_EXAMPLE: Final = {
    "name": "High Error Rate",
    "metricName": "http_requests_total",
    "condition": ">",
    "threshold": 0.05,
    "severity": "high",
    "notificationChannels": [{"type": "slack", "destination": "#alerts"}],
}
_RULE_BODY: Final = described({"type": "object"}, _EXAMPLE)
_FILE_BODY: Final = described(
    {"type": "string"},
    "groups:\n  - name: booking\n    rules:\n      - alert: QueueIsLong\n        expr: queue_length > 100\n",
    "application/yaml",
)


@router.get(_RULES, response_model=RulePage)
async def list_rules(
    *,
    context: Ctx,
    name: Annotated[str | None, Query(max_length=MAX_NAME_CHARS, description="only rules of this name")] = None,
    group: Annotated[str | None, Query(max_length=MAX_NAME_CHARS, description="only rules of this group")] = None,
    kind: Annotated[list[RuleKind] | None, Query(description="only rules of these kinds")] = None,
    severity: Annotated[list[Severity] | None, Query(description="only rules of these severities")] = None,
    enabled: Annotated[bool | None, Query(description="only those that are on, or off")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    cursor: cursors.Cursor = None,
) -> Any:
    """Rules by group and name."""
    query: dict[str, Any] = {}
    for field, wanted in (("name", name), ("group", group), ("enabled", enabled)):
        query |= {} if wanted is None else {field: {"$eq": wanted}}
    for field, several in (("kind", kind), ("severity", severity)):
        query |= {field: {"$in": [one.value for one in several]}} if several else {}
    after = None if cursor is None else cursors.decode(cursor, str)
    store = context.resources.stores.rules
    found = await store.page(context.tenant, query, limit + 1, after)
    shown = found[:limit]
    return RulePage(
        rules=[_now(context, one) for one in shown],
        total=await store.count(context.tenant),
        next_cursor=cursors.encode(order(shown[-1].rule)) if len(found) > limit else None,
    )


@router.post(_RULES, response_model=WrittenRule, status_code=201, openapi_extra=_RULE_BODY)
async def create_rule(context: Ctx, body: JsonBody, request: Request, response: Response) -> Any:
    """A rule, watched from the next moment on. Everything that is wrong with it is told at once."""
    rule, warnings = await judged(context, body, new_id())
    made = await context.resources.rulebook.create(rule, context.actor)
    response.headers["location"] = f"{request.url.path}/{rule.id}"
    return _written(context, made, warnings, response)


@router.post(f"{_RULES}/import", response_model=Import, openapi_extra=_FILE_BODY, responses=_CONFLICT)
async def import_rules(
    context: Ctx,
    body: YamlBody,
    dry_run: Annotated[bool, Query(alias="dryRun", description="only say what would be done")] = False,
) -> Any:
    """A Prometheus rule file, whole or not at all. A rule keeps its id, so a file that is imported again changes what
    differs in it; rules that are not in it stay."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    try:
        rules, findings = await asyncio.to_thread(files.read, text, context.tenant)
    except files.InvalidRuleFileError as e:
        raise InvalidRuleFile(e.findings) from None
    for rule in rules:
        try:
            await evaluable(context, context.resources.compiled.of(rule))
        except InvalidRule as e:
            raise InvalidRule([_of_rule(rule.name, one) for one in e.problems]) from None
    done = await context.resources.rulebook.put_all(context.tenant, rules, context.actor, dry_run=dry_run)
    counts = {verdict.value: sum(one.verdict is verdict for one in done) for verdict in Verdict}
    return Import(
        dry_run=dry_run,
        **counts,
        rules=[
            ImportedRule(
                id=one.rule.id,
                name=one.rule.name,
                group=one.rule.group,
                kind=one.rule.kind,
                verdict=one.verdict.value,
            )
            for one in done
        ],
        warnings=[Line.of(one) for one in findings],
    )


def _of_rule(name: str, problem: RuleProblem) -> RuleProblem:
    return RuleProblem(f"{name}: {problem.field}", problem.reason, problem.position, problem.hint)


@router.get(
    f"{_RULES}/export",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def export_rules(
    context: Ctx,
    group: Annotated[str | None, Query(max_length=MAX_NAME_CHARS, description="only this group")] = None,
) -> Response:
    """A Prometheus rule file. What it cannot say stands in comments at its beginning; rules of objectives, which would
    be other rules when they are imported, are not in it."""
    rules = await context.resources.stores.rules.all(context.tenant, {} if group is None else {"group": {"$eq": group}})
    text, lost = exporting.written([rule for rule in rules if not rule.managed_by])
    notes = "".join(f"# {' '.join(str(one).split())}\n" for one in lost)
    return Response(notes + text, headers={"content-type": "application/yaml; charset=utf-8"})


@router.get(f"{_RULES}/{{rule}}", response_model=RuleNow)
async def read_rule(context: Ctx, rule: str, response: Response) -> Any:
    """The rule; its version is the ETag."""
    found = await context.resources.rulebook.get(context.tenant, rule)
    response.headers["etag"] = f'"{found.rule.version}"'
    return _now(context, found)


@router.put(f"{_RULES}/{{rule}}", response_model=WrittenRule, openapi_extra=_RULE_BODY, responses=_CONFLICT)
async def replace_rule(context: Ctx, rule: str, body: JsonBody, response: Response, if_match: IfMatch = None) -> Any:
    """Put another rule in its place: what is not said is as by default. A `version` in the body, or If-Match, is the
    version that was changed."""
    before = await context.resources.rulebook.changeable(context.tenant, rule)
    at_version(before.rule, expected_version(if_match, body))
    return await _change(context, before, body, response)


@router.patch(f"{_RULES}/{{rule}}", response_model=WrittenRule, openapi_extra=_RULE_BODY, responses=_CONFLICT)
async def change_rule(context: Ctx, rule: str, body: JsonBody, response: Response, if_match: IfMatch = None) -> Any:
    """Change the fields that are given; null puts one back to what it is by default."""
    before = await context.resources.rulebook.changeable(context.tenant, rule)
    at_version(before.rule, expected_version(if_match, body))
    return await _change(context, before, merged(before.rule, body), response)


@router.delete(f"{_RULES}/{{rule}}", status_code=204, responses=_CONFLICT)
async def delete_rule(context: Ctx, rule: str, if_match: IfMatch = None) -> None:
    """Its alerts are resolved. The versions are kept for 90 days."""
    before = await context.resources.rulebook.changeable(context.tenant, rule)
    at_version(before.rule, expected_version(if_match))
    await context.resources.rulebook.delete(context.tenant, before.rule, context.actor)


@router.get(f"{_RULES}/{{rule}}/versions", response_model=VersionPage)
async def list_versions(
    context: Ctx,
    rule: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: cursors.Cursor = None,
) -> Any:
    """Who changed what, newest first: the last 100 versions. Those of a rule that was deleted too."""
    before = None if cursor is None else cursors.decode(cursor, int)
    found = await context.resources.stores.rules.versions(context.tenant, rule, limit + 1, before)
    if not found and cursor is None:
        raise RuleNotFound
    more = len(found) > limit
    return VersionPage(
        versions=[Version.of(one) for one in found[:limit]],
        next_cursor=cursors.encode(found[limit - 1].rule.version) if more else None,
    )


async def _change(context: Context, before: StoredRule, body: bytes, response: Response) -> WrittenRule:
    rule, warnings = await judged(context, body, before.rule.id, before.rule)
    made = await context.resources.rulebook.change(rule, before.rule, context.actor)
    return _written(context, made, warnings, response)


def _written(context: Context, made: StoredRule, warnings: list[RuleProblem], response: Response) -> WrittenRule:
    response.headers["etag"] = f'"{made.rule.version}"'
    return WrittenRule.with_warnings(_now(context, made), warnings)


def _now(context: Context, stored: StoredRule) -> RuleNow:
    try:
        promql = context.resources.compiled.of(stored.rule).text
    except InvalidRuleError:
        promql = ""
    return RuleNow.of(stored, promql, context.resources.health(stored.rule.id))
