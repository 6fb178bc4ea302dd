"""GET /api/hosts, /api/sites and what agents are told."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field
from vigie_query.times import iso_of
from vigie_storage.hosts import sites
from vigie_web.schemas import NextCursor

from vigie_api.schemas import Model, Time


class Ports(Model):
    """Both included."""

    from_: int = Field(alias="from")
    to: int


class SiteLimits(Model):
    """Bytes; null: none."""

    memory_bytes: int | None
    disk_bytes: int | None


class Site(Model):
    id: str
    host: str
    name: str
    account: str = Field(description="Unix account")
    directory: str
    ports: list[Ports]
    domains: list[str]
    limits: SiteLimits
    created: Time
    updated: Time
    version: int

    @classmethod
    def of(cls, site: sites.Site) -> Self:
        return cls(
            id=site.id,
            host=site.host,
            name=site.name,
            account=site.account,
            directory=site.directory,
            ports=ports_of(site),
            domains=list(site.domains),
            limits=limits_of(site),
            created=iso_of(site.created),
            updated=iso_of(site.updated),
            version=site.version,
        )


class SitePage(Model):
    sites: list[Site]
    next_cursor: NextCursor


class AgentSite(Model):
    """A site, as its agent needs it."""

    id: str
    name: str
    account: str
    directory: str
    ports: list[Ports]
    domains: list[str]
    limits: SiteLimits


class AgentActions(Model):
    allowed: list[str]


class AgentConfig(Model):
    """What the agent of a host goes by."""

    host: str
    collection_interval: int = Field(description="seconds")
    site_stats_enabled: bool
    service_pattern: str = Field(description="of the names of services that are watched", examples=["twoine-*"])
    sites: list[AgentSite]
    actions: AgentActions
    version: str = Field(description="another one means that something is different; also the ETag")


class Clock(Model):
    skew_seconds: float | None = Field(
        description="how far the host's clock is ahead, negative when it is behind; null: not known"
    )
    warning: str | None = Field(description="a sentence when that is a minute or more")


class Agent(Model):
    """An agent that has spoken in the name of the host."""

    instance: str
    version: str | None
    last_report: Time | None
    reports: int = Field(description="in the last ten minutes")
    last_asked: Time | None = Field(description="when it asked for its configuration")
    key: str | None = Field(description="the key that it used for that")
    address: str | None = Field(description="where it asked from")
    skew_seconds: float | None = Field(description="of its clock, when it asked")


class HostTotals(Model):
    sites: int
    services: int
    services_running: int


class Host(Model):
    host: str
    timestamp: Time = Field(description="of the last report")
    received: Time
    stale: bool = Field(description="whether it is silent for more than three intervals")
    interval: float = Field(description="seconds")
    uptime: float | None
    cpu: dict[str, Any]
    memory: dict[str, Any]
    disk: dict[str, Any]
    totals: HostTotals
    agent: dict[str, Any]
    clock: Clock


class HostList(Model):
    timestamp: Time
    hosts: list[Host]


class HostDetail(Host):
    agents: list[Agent] = Field(description="more than one: several agents use the name of this host")
    warnings: list[str]


def ports_of(site: sites.Site) -> list[Ports]:
    """As answers have them."""
    return [Ports(**{"from": first}, to=last) for first, last in site.ports]


def limits_of(site: sites.Site) -> SiteLimits:
    """As answers have them."""
    return SiteLimits(memory_bytes=site.limits.get("memory"), disk_bytes=site.limits.get("disk"))
