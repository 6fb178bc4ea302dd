"""/api/hosts, and what agents ask for: /api/agents/config."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response
from vigie_contracts.hosts import HOST_PATTERN, IMPORTED, INSTANCE_PATTERN
from vigie_contracts.hosts import MAX_SITES as MAX_REPORTED
from vigie_identity.audit import Action
from vigie_identity.permissions import Permission
from vigie_query.times import iso, iso_of
from vigie_storage.hosts.agents import SeenAgent
from vigie_storage.hosts.reports import HostBrief, LatestReport
from vigie_storage.mongo import Session, transaction
from vigie_summaries import hosts as shown
from vigie_web.access import Access
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_api.context import Context, Ctx
from vigie_api.hosts import errors, schemas

router = APIRouter(tags=["hosts"], responses=READ_PROBLEMS)
FEATURE = Feature(
    router,
    {
        ("GET", "/api/hosts"): Access(Permission.SERVER_READ),
        ("GET", "/api/hosts/{host}"): Access(Permission.SERVER_READ),
        ("GET", "/api/agents/config"): Access(Permission.HOSTS_REPORT),
    },
    "Hosts and their agents",
)
REPORTERS_MS: Final = 10 * 60_000
ACTIONS: Final = ("start", "stop", "restart")
HostPath = Annotated[str, Path(pattern=HOST_PATTERN, description="name of the host")]
_NO_HOST: Responses = {404: problem_response("The host has not reported")}
_BOUND: Responses = {
    304: {"description": "Nothing has changed since the version of If-None-Match"},
    403: problem_response("The permission is missing, or the key is bound to another host"),
}


@router.get("/api/hosts", response_model=schemas.HostList)
async def list_hosts(context: Ctx) -> Any:
    """Every host that has reported, by name, with its last numbers; at most 1,000."""
    found = await context.resources.host_reports.hosts(context.tenant)
    return schemas.HostList(
        timestamp=iso(context.now_ms), hosts=[schemas.Host(**_brief(context, one)) for one in found]
    )


@router.get("/api/hosts/{host}", response_model=schemas.HostDetail, responses=_NO_HOST)
async def read_host(context: Ctx, host: HostPath) -> Any:
    """The host, and the agents that speak in its name."""
    resources, tenant = context.resources, context.tenant
    latest, reporters, asked = await asyncio.gather(
        resources.host_reports.latest(tenant, host),
        resources.host_reports.reporters(tenant, host, context.now_ms - REPORTERS_MS),
        resources.host_agents.of(tenant, host),
    )
    if latest is None:
        raise errors.no_host()
    services = shown.services_of(latest.body)
    running = sum(one["state"] == shown.ACTIVE for one in services)
    brief = _brief(context, HostBrief(latest, len(latest.body.get("sites") or ()), len(services), running))
    reports = {one.instance: one for one in reporters}
    seen = {one.instance: one for one in asked}
    agents = [
        schemas.Agent(
            instance=instance,
            version=reports[instance].version if instance in reports else None,
            last_report=iso(reports[instance].last_ms) if instance in reports else None,
            reports=reports[instance].reports if instance in reports else 0,
            last_asked=iso_of(seen[instance].at) if instance in seen else None,
            key=seen[instance].key if instance in seen else None,
            address=seen[instance].address if instance in seen else None,
            skew_seconds=_seconds(seen[instance].skew_ms) if instance in seen else None,
        )
        for instance in dict.fromkeys((*reports, *seen))
    ]
    return schemas.HostDetail(**brief, agents=agents, warnings=_warnings(context, latest, agents))


@router.get("/api/agents/config", response_model=schemas.AgentConfig, responses=_BOUND)
async def agent_config(
    *,
    context: Ctx,
    response: Response,
    host: Annotated[str, Query(pattern=HOST_PATTERN, description="whose agent asks")],
    instance: Annotated[
        str | None, Query(pattern=INSTANCE_PATTERN, description="which one, when several use the name of a host")
    ] = None,
    clock: Annotated[
        int | None, Query(ge=0, le=1 << 50, description="the agent's time, ms since 1970: shown when it is off")
    ] = None,
    if_none_match: Annotated[str | None, Header(max_length=256, description="the ETag of an earlier answer")] = None,
) -> Any:
    """What the agent of a host goes by. To be asked every interval: a change is in force within one."""
    context.principal.require_host(context.tenant, host)
    if instance is not None:
        await _seen(context, host, instance, clock)
    resources = context.resources
    configs, sites = await asyncio.gather(
        resources.monitoring.all_of(context.tenant),
        resources.sites.page(context.tenant, MAX_REPORTED, host=host),
    )
    config = configs.of(host)
    answer = schemas.AgentConfig(
        host=host,
        collection_interval=config.collection_interval,
        site_stats_enabled=config.site_stats_enabled,
        service_pattern=context.state.settings.service_pattern,
        sites=[
            schemas.AgentSite(
                id=one.id,
                name=one.name,
                account=one.account,
                directory=one.directory,
                ports=schemas.ports_of(one),
                domains=list(one.domains),
                limits=schemas.limits_of(one),
            )
            for one in sites
        ],
        actions=schemas.AgentActions(allowed=list(ACTIONS)),
        version="",
    )
    version = blake2b(answer.model_dump_json().encode(), digest_size=8).hexdigest()
    etag = f'"{version}"'
    if if_none_match is not None and etag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return answer.model_copy(update={"version": version})


async def _seen(context: Context, host: str, instance: str, clock: int | None) -> None:
    """Note who asked, and in the audit log when the agent's key is used from elsewhere than before."""
    now = datetime.fromtimestamp(context.now_ms / 1000, UTC)
    skew = None if clock is None else clock - context.now_ms
    agent = SeenAgent(instance, now, context.actor.id, context.actor.address, skew)
    known = await context.resources.host_agents.of(context.tenant, host)
    before = await context.resources.host_agents.seen(context.tenant, host, agent)
    same_key = next((one for one in known if one.key == agent.key and one.instance != instance), None)
    elsewhere = before if before is not None and before.address != agent.address else None
    if before is None and same_key is not None:
        elsewhere = same_key
    if elsewhere is None:
        return

    async def work(session: Session) -> None:
        await context.resources.identity.audit.add(
            session, context.tenant, context.actor, Action.AGENT_MOVED, host,
            instance=instance, address=agent.address, before=elsewhere.address, before_instance=elsewhere.instance,
        )  # fmt: skip

    await transaction(context.resources.database, work)


def _brief(context: Context, one: HostBrief) -> dict[str, Any]:
    report = one.report
    body = report.body
    skew = shown.skew_ms(body, report.at_ms)
    return {
        "host": report.host,
        "timestamp": iso(report.at_ms),
        "received": iso(int(body.get("receivedAt") or report.received_ms)),
        "stale": shown.stale(body, report.at_ms, context.now_ms),
        "interval": body["interval"],
        "uptime": body.get("uptime"),
        "cpu": body.get("cpu") or {},
        "memory": body.get("memory") or {},
        "disk": body.get("disk") or {},
        "totals": schemas.HostTotals(sites=one.sites, services=one.services, services_running=one.running),
        "agent": body["agent"],
        "clock": schemas.Clock(skew_seconds=_seconds(skew), warning=_clock_warning(skew)),
    }


def _warnings(context: Context, latest: LatestReport, agents: list[schemas.Agent]) -> list[str]:
    found: list[str] = []
    if (clock := _clock_warning(shown.skew_ms(latest.body, latest.at_ms))) is not None:
        found.append(clock)
    found += [
        warning
        for agent in agents
        if agent.skew_seconds is not None
        and (warning := _clock_warning(round(agent.skew_seconds * 1000), f"the clock of the agent {agent.instance}"))
    ]
    if sum(agent.reports > 0 for agent in agents if agent.instance != IMPORTED) > 1:
        found.append("several agents report in the name of this host: give each a host name of its own")
    if shown.stale(latest.body, latest.at_ms, context.now_ms):
        found.append(f"no report since {iso(latest.at_ms)}")
    return found


def _clock_warning(skew_ms: int | None, whose: str = "its clock") -> str | None:
    if skew_ms is None or abs(skew_ms) < shown.SKEWED_MS:
        return None
    side = "ahead: reports are refused from ten minutes on" if skew_ms > 0 else "behind: its reports look old"
    return f"{whose} is {abs(skew_ms) / 1000:.0f} s {side}"


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
