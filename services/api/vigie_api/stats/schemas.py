"""The answers of /stats. What could not be read is null."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vigie_api.hosts.schemas import Ports
from vigie_api.schemas import Model, Time

Number = float | None
Count = int | None


class LoadAverage(Model):
    one: float
    five: float
    fifteen: float


class Cpu(Model):
    percent: Number
    cores: Count
    model: str | None
    load_avg: LoadAverage | None
    per_core: list[float] | None


class Memory(Model):
    total: Count
    used: Count
    free: Count
    available: Count
    percent: Number


class Volume(Model):
    total: Count
    used: Count
    free: Count
    percent: Number


class Network(Model):
    bytes_in: Count
    bytes_out: Count
    interfaces: list[dict[str, Any]] | None


class Totals(Model):
    sites: int = Field(description="on this host")
    services: int
    users: int = Field(description="accounts of the tenant")
    services_running: int


class ServerStats(Model):
    host: str
    timestamp: Time
    stale: bool = Field(description="whether the host is silent for more than three intervals")
    cpu: Cpu
    memory: Memory
    swap: dict[str, Any] | None
    disk: Volume
    disks: list[dict[str, Any]]
    network: Network
    processes: dict[str, Any] | None
    pressure: dict[str, Any] | None
    uptime: float | None
    totals: Totals


class PointCpu(Model):
    percent: Number
    load_avg: LoadAverage | None


class PointNetwork(Model):
    bytes_in: float | None
    bytes_out: float | None


class PointVolume(Model):
    total: Number
    used: Number
    free: Number
    percent: Number


class ServerPoint(Model):
    timestamp: Time
    cpu: PointCpu
    memory: PointVolume
    disk: PointVolume
    network: PointNetwork


class _History(Model):
    from_: Time = Field(alias="from")
    to: Time
    step: float = Field(description="seconds between points")
    source: str = Field(
        description="reports: the last one of each step; windows: means of each step", examples=["reports", "windows"]
    )


class ServerHistory(_History):
    host: str
    history: list[ServerPoint]


class Percent(Model):
    percent: Number


class SystemStats(Model):
    """For everybody: how busy the host is, and nothing else of it."""

    host: str
    timestamp: Time
    cpu: Percent
    memory: Percent
    disk: Percent


class SiteCpu(Model):
    percent: Number
    time_ms: Number


class SiteMemory(Model):
    used_bytes: Number
    percent: Number
    limit: Count


class SiteDisk(Model):
    used_bytes: Number
    percent: Number
    limit: Count
    file_count: Number
    complete: bool | None = Field(description="false while the directory is being counted")


class ServiceCounts(Model):
    total: int
    running: int
    stopped: int
    failed: int


class Unavailable(Model):
    what: str
    reason: str


class SiteStats(Model):
    site: str
    name: str
    host: str
    timestamp: Time | None = Field(description="null: nothing was reported yet")
    stale: bool
    cpu: SiteCpu
    memory: SiteMemory
    disk: SiteDisk
    processes: Count
    services: ServiceCounts
    domains: list[str]
    ports: list[Ports]
    unavailable: list[Unavailable] = Field(description="what could not be read, and why")


class SiteList(Model):
    timestamp: Time
    sites: list[SiteStats]
    next_cursor: str | None


class SitePoint(Model):
    timestamp: Time
    cpu: SiteCpu
    memory: SiteMemory
    disk: SiteDisk
    services: ServiceCounts | None


class SiteHistory(_History):
    site: str
    host: str
    history: list[SitePoint]


class Service(Model):
    name: str
    site: str | None
    state: str = Field(description="ActiveState of systemd, or unknown", examples=["active", "inactive", "failed"])
    sub_state: str | None
    pid: Count
    uptime: float | None = Field(description="seconds since it is active")
    memory_bytes: Count
    cpu_time_ms: Count
    restarts: Count


class Services(ServiceCounts):
    host: str
    site: str | None = Field(description="null: all services of the host")
    timestamp: Time | None
    services: list[Service] = Field(description="by name")


class Threshold(Model):
    warning: float
    critical: float


class AlertThresholds(Model):
    cpu: Threshold
    memory: Threshold
    disk: Threshold


class Config(Model):
    host: str | None = Field(description="null: what holds for all hosts without a configuration of their own")
    own: bool = Field(description="whether it was configured for this host, or tenant; else what it goes by")
    collection_interval: int = Field(description="seconds")
    alert_thresholds: AlertThresholds
    alerts_enabled: bool
    site_stats_enabled: bool
    retention_hours: int
    version: int
    updated_at: Time | None
    updated_by: str | None
