"""/api/health/services: services are added, changed, removed, imported and exported."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Header, Query
from fastapi import Path as PathParameter
from starlette.responses import Response
from vigie_contracts.targets import Target
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.bodies import JsonBody, YamlBody, described
from vigie_web.errors import BodyTooLarge, Malformed
from vigie_web.feature import Feature
from vigie_web.named_route import NamedRoute
from vigie_web.problem_schema import Responses, problem_response

from vigie_healthcheck.api.context import Context, Ctx
from vigie_healthcheck.api.services.schemas import Import, ImportedService, Line, WrittenService
from vigie_healthcheck.targets import file, form, importing, references
from vigie_healthcheck.targets.checking import MAX_NAME_CHARS
from vigie_healthcheck.targets.errors import InvalidTarget, InvalidTargetFile, TargetConflict
from vigie_healthcheck.targets.importing import Outcome
from vigie_healthcheck.targets.problems import InvalidTargetError, TargetProblem
from vigie_healthcheck.targets.targetbook import Made

router = APIRouter(tags=["health checks"], route_class=NamedRoute)
_SERVICES: Final = "/api/health/services"
_SERVICE: Final = f"{_SERVICES}/{{name}}"
_READ, _CONFIGURE = Access(Permission.MONITORING_READ), Access(Permission.MONITORING_CONFIGURE)
FEATURE = Feature(
    router,
    {
        ("POST", _SERVICES): _CONFIGURE,
        ("POST", f"{_SERVICES}/import"): _CONFIGURE,
        ("GET", f"{_SERVICES}/export"): _READ,
        ("PUT", _SERVICE): _CONFIGURE,
        ("PATCH", _SERVICE): _CONFIGURE,
        ("DELETE", _SERVICE): _CONFIGURE,
    },
)
_TAKEN: Responses = {409: problem_response("There is a service of this name already")}
_CONFLICT: Responses = {
    409: problem_response(
        "The service is at another version: the sentence says who changed it; or its name is taken; or it is managed "
        "by a file, and changed there"
    )
}
Name = Annotated[str, PathParameter(max_length=MAX_NAME_CHARS, description="percent-encoded: `a%2Fb` for a/b")]
IfMatch = Annotated[str | None, Header(max_length=64, description='the version that was changed: "3"')]
_EXAMPLE: Final = {
    "name": "custom-service",
    "url": "http://custom-service:8080/health",
    "interval": 30000,
    "timeout": 5000,
    "retries": 3,
}
_BODY: Final = described({"type": "object"}, _EXAMPLE)
_FILE_BODY: Final = described(
    {"type": "string"},
    "targets:\n  - name: shop\n    url: https://shop.example.com/health\n    interval: 30s\n",
    "application/yaml",
)


@router.post(_SERVICES, response_model=WrittenService, status_code=201, openapi_extra=_BODY, responses=_TAKEN)
async def add_service(context: Ctx, body: JsonBody, response: Response) -> Any:
    """A service, watched from the next moment on. Everything that is wrong with it is told at once. The answer to a
    heartbeat has its token, which is not shown again."""
    try:
        draft = form.read(_decoded(body), context.tenant)
    except InvalidTargetError as e:
        raise InvalidTarget.of(e) from None
    made = await context.resources.targetbook.create(draft, context.actor)
    response.headers["location"] = f"{_SERVICES}/{quote(made.stored.target.name, safe='')}"
    return await _written(context, made, draft.warnings, response)


@router.post(f"{_SERVICES}/import", response_model=Import, openapi_extra=_FILE_BODY, responses=_CONFLICT)
async def import_services(
    context: Ctx,
    body: YamlBody,
    dry_run: Annotated[bool, Query(alias="dryRun", description="only say what would be done")] = False,
) -> Any:
    """A file of targets, whole or not at all. A service is known by its name, so a file that is imported again changes
    what differs in it; services that are not in it stay."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    try:
        entries, warnings = await asyncio.to_thread(file.read, text)
        done, more = await importing.put_all(
            context.resources.targetbook, context.tenant, entries, context.actor, dry_run=dry_run
        )
    except file.InvalidTargetFileError as e:
        raise InvalidTargetFile([(one.line, one.message) for one in e.findings]) from None
    counts = {outcome: sum(one.outcome is outcome for one in done) for outcome in Outcome}
    return Import(
        dry_run=dry_run,
        created=counts[Outcome.CREATED],
        changed=counts[Outcome.CHANGED],
        unchanged=counts[Outcome.UNCHANGED],
        services=[ImportedService.of(one, dry_run=dry_run) for one in done],
        warnings=[Line.of(one) for one in (*warnings, *references.unfilled(entries), *more)],
    )


@router.get(
    f"{_SERVICES}/export",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def export_services(
    context: Ctx,
    group: Annotated[str | None, Query(max_length=200, description="only this group")] = None,
) -> Response:
    """A file of targets, with `***` in the place of what is secret: imported again, that stays as it is. Without what a
    file or Vigie manages."""
    book = context.resources.targetbook
    every = await book.store.all(context.tenant)
    names = {one.id: one.name for one in every}
    wanted = [one for one in every if not one.managed_by and group in (None, one.group)]
    text = file.written(form.shown(one, book.present(one).secrets, names) for one in wanted)
    return Response(text, headers={"content-type": "application/yaml; charset=utf-8"})


@router.put(_SERVICE, response_model=WrittenService, openapi_extra=_BODY, responses=_CONFLICT)
async def replace_service(
    context: Ctx, name: Name, body: JsonBody, response: Response, if_match: IfMatch = None
) -> Any:
    """Put another service in its place: what is not said is as by default. A `version` in the body, or If-Match, is the
    version that was changed."""
    return await _change(context, name, body, response, if_match, merge=False)


@router.patch(_SERVICE, response_model=WrittenService, openapi_extra=_BODY, responses=_CONFLICT)
async def change_service(context: Ctx, name: Name, body: JsonBody, response: Response, if_match: IfMatch = None) -> Any:
    """Change the fields that are given; null puts one back to what it is by default."""
    return await _change(context, name, body, response, if_match, merge=True)


@router.delete(_SERVICE, status_code=204, responses=_CONFLICT)
async def remove_service(
    context: Ctx,
    name: Name,
    if_match: IfMatch = None,
    force: Annotated[bool, Query(description="although a file manages it, which may be gone")] = False,
) -> None:
    """It is watched no more, and what depended on it does so no more."""
    book = context.resources.targetbook
    before = (await book.get(context.tenant, name)).target
    _at_version(before, if_match)
    await book.delete(before, context.actor, force=force)


async def _change(
    context: Context, name: str, body: bytes, response: Response, if_match: str | None, *, merge: bool
) -> WrittenService:
    book = context.resources.targetbook
    before = (await book.get(context.tenant, name)).target
    present = book.present(before)
    try:
        sent = _decoded(body)
        _at_version(before, if_match, sent.get("version"))
        draft = form.read(form.merged(present, sent) if merge else sent, context.tenant, present)
    except InvalidTargetError as e:
        raise InvalidTarget.of(e) from None
    made = await book.change(draft, before, context.actor)
    return await _written(context, made, draft.warnings, response)


async def _written(
    context: Context, made: Made, warnings: Sequence[TargetProblem], response: Response
) -> WrittenService:
    target = made.stored.target
    response.headers["etag"] = f'"{target.version}"'
    definition = await context.resources.targetbook.definition(target)
    return WrittenService.of(definition, made.token, warnings)


def _decoded(body: bytes) -> dict[str, Any]:
    """Raises BodyTooLarge, InvalidTargetError."""
    if len(body) > form.MAX_BODY_BYTES:
        raise BodyTooLarge(form.MAX_BODY_BYTES)
    return form.decoded(body)


def _at_version(target: Target, header: str | None, version: object = None) -> None:
    """Raises TargetConflict when it is at another version than was changed, InvalidTarget for what is no version."""
    if header is not None and header.strip() != "*":
        text = header.strip().removeprefix("W/").strip('"')
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InvalidTarget([TargetProblem("If-Match", 'must be a version: "3"')])
        version = int(text)
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise InvalidTarget([TargetProblem("version", "must be a whole number")])
    if version is not None and version != target.version:
        raise TargetConflict(target)
