"""/api/alerts/routes: who is told of which alerts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from vigie_identity.permissions import Permission
from vigie_query.times import parse_time
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.bodies import JsonBody, YamlBody, described
from vigie_web.errors import Malformed
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_alerting.api.context import Ctx
from vigie_alerting.api.routing.schemas import Asked, Imported, Tested, Tree, WrittenTree
from vigie_alerting.api.rules.writing import expected_version
from vigie_alerting.routing.checking import converted, read

router = APIRouter(tags=["routes"], route_class=AuthorizedRoute)
_ROUTES: Final = "/api/alerts/routes"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("GET", _ROUTES): _READ,
        ("PUT", _ROUTES): _CONFIGURE,
        ("DELETE", _ROUTES): _CONFIGURE,
        ("POST", f"{_ROUTES}/test"): _READ,
        ("POST", f"{_ROUTES}/import"): _CONFIGURE,
    },
    "Who is told of which alerts",
)
_CONFLICT: Responses = {409: problem_response("The routes are at another version: the sentence says who changed them")}
IfMatch = Annotated[
    str | None, Header(max_length=64, description='the version that was changed: "3"; "0": there were none')
]
EXAMPLE: Final = {
    "route": {
        "receiver": "operations",
        "groupBy": ["alertname"],
        "routes": [
            {"matchers": ['team="db"'], "receiver": "databases", "repeatInterval": {"critical": "1h", "default": "4h"}},
            {"matchers": ['severity=~"info|low"'], "receiver": "nobody"},
        ],
    },
    "receivers": {
        "operations": {"channels": [{"type": "email", "destination": "ops@example.com"}]},
        "databases": {"channels": [{"type": "channel", "destination": "database team"}]},
        "nobody": {},
    },
    "defaultReceiver": "operations",
}
_TREE_BODY: Final = described({"type": "object"}, EXAMPLE)
_FILE_BODY: Final = described(
    {"type": "string"},
    "route:\n  receiver: ops\n  group_by: [alertname]\n  routes:\n    - matchers: ['team=\"db\"']\n      receiver: db\n"
    "receivers:\n  - name: ops\n    email_configs:\n      - to: ops@example.com\n  - name: db\n    webhook_configs:\n"
    "      - url: https://hooks.example.com/db\n",
    "application/yaml",
)


@router.get(_ROUTES, response_model=Tree)
async def read_routes(context: Ctx, response: Response) -> Any:
    """The tree; its version is the ETag. A tenant without routes has an empty one, at version 0."""
    found = await context.resources.routebook.stored(context.tenant)
    response.headers["etag"] = f'"{found.version if found else 0}"'
    return Tree.of(found)


@router.put(_ROUTES, response_model=WrittenTree, openapi_extra=_TREE_BODY, responses=_CONFLICT)
async def replace_routes(context: Ctx, body: JsonBody, response: Response, if_match: IfMatch = None) -> Any:
    """Put another tree in its place, for alerts from this moment on. A `version` in the body, or If-Match, is the
    version that was changed. Everything that is wrong is told at once."""
    version = expected_version(if_match, body)
    made, warnings = await context.resources.routebook.change(
        context.tenant, read(body), context.actor, if_version=version
    )
    response.headers["etag"] = f'"{made.version}"'
    return WrittenTree.written(made, warnings)


@router.delete(_ROUTES, status_code=204, responses=_CONFLICT)
async def delete_routes(context: Ctx, if_match: IfMatch = None) -> None:
    """Alerts go to the channels of their rules and of the settings only, as without routes."""
    await context.resources.routebook.delete(context.tenant, context.actor, if_version=expected_version(if_match))


@router.post(f"{_ROUTES}/test", response_model=Tested)
async def test_routes(context: Ctx, body: Asked) -> Any:
    """Where an alert with these labels would go, beside the channels of its rule, and why. Nobody is told anything.
    An alert has `alertname` and `severity` among its labels."""
    book = context.resources.routebook
    if body.tree is None:
        routes = await book.held.of(context.tenant)
    else:
        routes, _ = await book.judged(context.tenant, converted(body.tree))
    at = parse_time(body.at, "at", context.now_ms)
    times = await book.times(context.tenant)
    return await book.thinking(context.tenant).run(lambda check: Tested.of(routes, body.labels, times, at, check))


@router.post(f"{_ROUTES}/import", response_model=Imported, openapi_extra=_FILE_BODY, responses=_CONFLICT)
async def import_routes(
    context: Ctx,
    body: YamlBody,
    dry_run: Annotated[bool, Query(alias="dryRun", description="only say what would be done")] = False,
    if_match: IfMatch = None,
) -> Any:
    """A configuration file of Alertmanager, whole or not at all: its routes in the place of the present ones; its
    receivers as named channels, whose secrets are sealed; its time intervals and inhibition rules. A file that is
    imported again changes what differs."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    done = await context.resources.imports.put(
        context.tenant, text, context.actor, if_version=expected_version(if_match), dry_run=dry_run
    )
    return Imported.of(done, dry_run=dry_run)
