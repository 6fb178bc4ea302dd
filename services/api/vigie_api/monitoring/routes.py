"""/stats/config: how hosts are watched, of the tenant and of single hosts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from vigie_contracts import monitoring
from vigie_contracts.hosts import HOST_PATTERN, MAX_INTERVAL_S, MIN_INTERVAL_S
from vigie_contracts.monitoring import DEFAULT, MAX_OWN_HOSTS, MAX_RETENTION_HOURS, MonitoringConfig
from vigie_identity.audit import Action
from vigie_identity.errors import Conflict, InvalidField, LimitReached
from vigie_identity.permissions import Permission
from vigie_query.times import iso_of
from vigie_storage.hosts.configuration import MAX_KNOWN_HOSTS, ConfigMoved, StoredConfig, TenantConfig
from vigie_storage.mongo import Session, transaction
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response

from vigie_api.admin.bodies import Change
from vigie_api.context import Context, Ctx
from vigie_api.schemas import Body
from vigie_api.stats import schemas

router = APIRouter(tags=["stats"], responses=READ_PROBLEMS, route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("GET", "/stats/config"): Access(Permission.MONITORING_READ),
        ("PUT", "/stats/config"): Access(Permission.MONITORING_CONFIGURE),
        ("DELETE", "/stats/config"): Access(Permission.MONITORING_CONFIGURE),
    },
    "How hosts are watched",
)
HostAsked = Annotated[
    str | None, Query(pattern=HOST_PATTERN, description="of this host; without it, of all that have none of their own")
]
_CONFLICT: Responses = {409: problem_response("Somebody else changed it, or too many hosts have one of their own")}
Percent = Annotated[float, Field(gt=0, le=100)]


class ThresholdBody(Body):
    """Per cent; what is not said stays."""

    warning: Percent | None = None
    critical: Percent | None = None


class ThresholdsBody(Body):
    cpu: ThresholdBody | None = None
    memory: ThresholdBody | None = None
    disk: ThresholdBody | None = None


class ConfigBody(Change):
    """What is not said stays as it is."""

    collection_interval: Annotated[int, Field(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] | None = Field(
        default=None, description="seconds", examples=[30]
    )
    alert_thresholds: ThresholdsBody | None = None
    alerts_enabled: bool | None = None
    site_stats_enabled: bool | None = None
    retention_hours: Annotated[int, Field(ge=1, le=MAX_RETENTION_HOURS)] | None = Field(
        default=None, description="for which reports are kept whole, from when they are stored", examples=[24]
    )


@router.get("/stats/config", response_model=schemas.Config)
async def read_config(context: Ctx, host: HostAsked = None) -> Any:
    """What is in force; until somebody changes it, what the replaced system began with."""
    return _shown(await context.resources.monitoring.all_of(context.tenant), host)


@router.put("/stats/config", response_model=schemas.Config, responses=_CONFLICT)
async def change_config(context: Ctx, body: ConfigBody, host: HostAsked = None) -> Any:
    """In force for alerts within seconds, for agents within one interval."""
    known = await context.resources.monitoring.all_of(context.tenant)
    before = known.of(host) if host else known.tenant.config or DEFAULT
    config = _merged(before, body)
    if (crossed := monitoring.crossed(config)) is not None:
        raise InvalidField(f"alertThresholds.{crossed}", "warning must be below critical")
    if host and host not in known.own and len(known.own) >= MAX_OWN_HOSTS:
        raise LimitReached("hosts with a configuration of their own", MAX_OWN_HOSTS)
    if host and host not in known.hosts and len(known.hosts) >= MAX_KNOWN_HOSTS:
        raise LimitReached("hosts that ever had a configuration of their own", MAX_KNOWN_HOSTS)
    await _put(context, known, host, config)
    return _shown(await context.resources.monitoring.all_of(context.tenant), host)


@router.delete("/stats/config", status_code=204, responses=_CONFLICT)
async def remove_config(context: Ctx, host: HostAsked = None) -> None:
    """The host goes by what holds for the tenant again; the tenant by what holds until somebody changes it."""
    known = await context.resources.monitoring.all_of(context.tenant)
    mine = known.hosts.get(host) if host else known.tenant
    if mine is not None and mine.config is not None:
        await _put(context, known, host, None)


async def _put(context: Context, known: TenantConfig, host: str | None, config: MonitoringConfig | None) -> None:
    before = known.hosts.get(host) if host else known.tenant
    version = 1 if before is None else before.version + 1
    now = datetime.fromtimestamp(context.now_ms / 1000, UTC)
    made = StoredConfig(host or "", config, version, now, context.actor.name)

    async def work(session: Session) -> None:
        try:
            await context.resources.monitoring.put(context.tenant, made, session)
        except ConfigMoved as e:
            raise Conflict(str(e)) from e
        changes = {} if config is None else _changes(before.config if before else None, config)
        await context.resources.identity.audit.add(
            session, context.tenant, context.actor, Action.MONITORING_CHANGED, host or "all hosts",
            version=version, removed=config is None, **changes,
        )  # fmt: skip

    await transaction(context.resources.database, work)


def _changes(before: MonitoringConfig | None, after: MonitoringConfig) -> dict[str, Any]:
    old, new = msgspec.to_builtins(before or DEFAULT), msgspec.to_builtins(after)
    return {name: value for name, value in new.items() if old[name] != value}


def _merged(before: MonitoringConfig, body: ConfigBody) -> MonitoringConfig:
    said = body.model_dump(exclude_none=True)
    thresholds = said.pop("alert_thresholds", {})
    now = before.alert_thresholds
    merged = {
        name: msgspec.structs.replace(getattr(now, name), **thresholds.get(name, {}))
        for name in monitoring.AlertThresholds.__struct_fields__
    }
    return msgspec.structs.replace(before, alert_thresholds=monitoring.AlertThresholds(**merged), **said)


def _shown(known: TenantConfig, host: str | None) -> schemas.Config:
    own = known.hosts.get(host) if host else known.tenant
    mine = own is not None and own.config is not None
    stored = own if mine or not host else known.tenant
    config = known.of(host) if host else known.tenant.config or DEFAULT
    values = msgspec.to_builtins(config)
    return schemas.Config(
        **values,
        host=host,
        own=mine,
        version=stored.version if stored else 0,
        updated_at=iso_of(stored.changed) if stored and stored.changed else None,
        updated_by=stored.by or None if stored else None,
    )
