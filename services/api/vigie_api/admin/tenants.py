"""/admin/tenants: tenants and their licences, audit log and usage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response
from vigie_identity import api_keys
from vigie_identity import licences as licences_
from vigie_identity.names import tenant_id
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Permission
from vigie_identity.tenants import Plan, Status
from vigie_identity.users import MAX_PER_HOME
from vigie_query.times import iso
from vigie_storage.usage import KEPT
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response

from vigie_api.admin.bodies import NewLicence, NewTenant, TenantChange
from vigie_api.admin.listing import InTenant, PageAsked, located
from vigie_api.admin.schemas import (
    AuditEntry,
    AuditPage,
    Licence,
    LicencePage,
    Tenant,
    TenantPage,
    TenantUsage,
    UsageDay,
    Used,
)
from vigie_api.context import Context, Ctx

router = APIRouter(tags=["tenants"], route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("GET", "/admin/tenants"): Access(Permission.PLATFORM_READ, platform=True),
        ("POST", "/admin/tenants"): Access(Permission.TENANTS_MANAGE, platform=True),
        ("GET", "/admin/tenants/{tenant}"): Access(Permission.TENANT_READ),
        ("PATCH", "/admin/tenants/{tenant}"): Access(Permission.TENANTS_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}"): Access(Permission.TENANTS_MANAGE),
        ("GET", "/admin/tenants/{tenant}/licences"): Access(Permission.TENANT_READ),
        ("POST", "/admin/tenants/{tenant}/licences"): Access(Permission.LICENCES_MANAGE),
        ("DELETE", "/admin/tenants/{tenant}/licences/{licence}"): Access(Permission.LICENCES_MANAGE),
        ("GET", "/admin/tenants/{tenant}/audit"): Access(Permission.AUDIT_READ, deleted=True),
        ("GET", "/admin/tenants/{tenant}/usage"): Access(Permission.TENANT_READ),
        ("GET", "/admin/audit"): Access(Permission.AUDIT_READ, platform=True),
    },
    "Tenants, their licences, audit log and usage",
)

_ACTIVE: Responses = {409: problem_response("The tenant is active: switch it off first")}
_TAKEN: Responses = {409: problem_response("There is a tenant of that id or name already")}


@router.get("/admin/tenants", response_model=TenantPage)
async def list_tenants(
    context: Ctx, page_request: PageAsked, status: Annotated[Status | None, Query(description="only these")] = None
) -> Any:
    """All tenants, by id; those that were deleted only when they are asked for."""
    page = await context.resources.identity.tenants.page(page_request, status=status)
    return TenantPage(tenants=[Tenant.of(one) for one in page.items], next_cursor=page.cursor)


@router.post("/admin/tenants", response_model=Tenant, status_code=201, responses=_TAKEN)
async def create_tenant(context: Ctx, body: NewTenant, request: Request, response: Response) -> Any:
    """An active tenant. Its id never changes, and is never given to another one."""
    plan = Plan(**body.plan.said) if body.plan else Plan()
    made = await context.resources.identity.tenants.create(tenant_id(body.id), body.name, context.actor, plan)
    located(request, response, made.id)
    return Tenant.of(made)


@router.get("/admin/tenants/{tenant}", response_model=Tenant)
async def read_tenant(context: Ctx) -> Any:
    """The tenant's name, status and plan."""
    return Tenant.of(await context.resources.identity.tenants.get(context.tenant))


@router.patch("/admin/tenants/{tenant}", response_model=Tenant, responses=_TAKEN)
async def change_tenant(context: InTenant, body: TenantChange) -> Any:
    """Change what is said and leave the rest, all in one transaction. Switched off, nothing is taken from a tenant, and
    nothing shown to it."""
    said = body.model_fields_set
    changed = await context.resources.identity.tenants.change(
        context.tenant,
        context.actor,
        name=body.name if "name" in said else None,
        status=Status(body.status) if "status" in said else None,
        plan=body.plan.said if "plan" in said else None,
    )
    return Tenant.of(changed)


@router.delete("/admin/tenants/{tenant}", status_code=204, responses=_ACTIVE)
async def delete_tenant(context: InTenant) -> None:
    """For ever: only one that is switched off. Its samples go with their retention; the audit log stays."""
    await context.resources.identity.tenants.delete(context.tenant, context.actor)


@router.get("/admin/tenants/{tenant}/licences", response_model=LicencePage)
async def list_licences(context: InTenant, page_request: PageAsked) -> Any:
    """All licences that the tenant has or had, oldest first."""
    page = await context.resources.identity.licences.page(context.tenant, page_request)
    return LicencePage(licences=[Licence.of(one) for one in page.items], next_cursor=page.cursor)


@router.post("/admin/tenants/{tenant}/licences", response_model=Licence, status_code=201)
async def give_licence(context: InTenant, body: NewLicence, request: Request, response: Response) -> Any:
    """A licence from now on."""
    licences = context.resources.identity.licences
    made = await licences.give(context.tenant, body.product, body.expires, context.actor)
    located(request, response, made.id)
    return Licence.of(made)


@router.delete("/admin/tenants/{tenant}/licences/{licence}", status_code=204)
async def end_licence(context: InTenant, licence: str) -> None:
    """Let it expire now. One that has expired stays as it is."""
    await context.resources.identity.licences.end(context.tenant, licence, context.actor)


@router.get("/admin/tenants/{tenant}/audit", response_model=AuditPage)
async def read_audit(context: Ctx, page_request: PageAsked) -> Any:
    """Who changed what in the tenant, newest first. SUPERADMIN and SUPPORT also read that of a deleted tenant."""
    return await _audit(context, page_request)


@router.get("/admin/audit", response_model=AuditPage)
async def read_platform_audit(context: Ctx, page_request: PageAsked) -> Any:
    """Who changed what that belongs to no tenant, newest first."""
    return await _audit(context, page_request)


@router.get("/admin/tenants/{tenant}/usage", response_model=TenantUsage)
async def read_usage(context: InTenant, days: Annotated[int, Query(ge=0, le=KEPT.days)] = 30) -> Any:
    """What the tenant has now, beside what it may have; and what it did today and on so many days before."""
    who, usage, tenant = context.resources.identity, context.resources.usage, context.tenant
    today = datetime.fromtimestamp(context.now_ms / 1000, UTC).date()
    about, users, keys, licences = await asyncio.gather(
        who.tenants.get(tenant), who.users.count(tenant), who.keys.count(tenant), who.licences.count(tenant)
    )
    series, now, past = await asyncio.gather(
        usage.series(tenant),
        usage.today(tenant),
        usage.of(tenant, today - timedelta(days=days), today - timedelta(days=1)),
    )
    return TenantUsage(
        timestamp=iso(context.now_ms),
        tenant=tenant,
        series=Used(used=series, limit=about.plan.series),
        users=Used(used=users, limit=MAX_PER_HOME),
        keys=Used(used=keys, limit=api_keys.MAX_PER_TENANT),
        licences=Used(used=licences, limit=licences_.MAX_PER_TENANT),
        today=UsageDay.of(now),
        days=[UsageDay.of(one) for one in past],
    )


async def _audit(context: Context, page_request: PageRequest) -> AuditPage:
    page = await context.resources.identity.audit.page(context.tenant, page_request)
    return AuditPage(entries=[AuditEntry.of(one) for one in page.items], next_cursor=page.cursor)
