"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from pydantic import Field
from vigie_runtime.settings import ChecksSettings, CommandsSettings, ReportsSettings, SamplesSettings, ZonesSettings


class AggregatorSettings(SamplesSettings, ReportsSettings, ChecksSettings, CommandsSettings, ZonesSettings):
    """Read by `vigie_runtime.settings.load`."""

    host: str = Field(
        default="0.0.0.0",
        min_length=1,
        validation_alias="VIGIE_AGGREGATOR_HOST",
        description="address to listen on",
    )
    port: int = Field(
        default=8081,
        ge=0,
        le=65_535,
        validation_alias="VIGIE_AGGREGATOR_PORT",
        description="port of /health/live, /health/ready and /metrics",
    )
    consumer_group: str = Field(
        default="vigie-aggregator",
        min_length=1,
        validation_alias="VIGIE_AGGREGATOR_GROUP",
        description="aggregators of one group share the partitions",
    )
    commit_interval_s: float = Field(
        default=1.0, ge=0.05, le=5.0, description="seconds between commits; longer when commits are slow"
    )
    coarse_interval_s: float = Field(
        default=30.0,
        ge=0.05,
        le=600.0,
        description="seconds until 1 min and 1 h windows follow the 10 s ones",
    )
    pending_bytes: int = Field(
        default=64 << 20,
        ge=1 << 20,
        description="uncommitted windows of one partition, bytes; more: commit at once",
    )
    cache_bytes: int = Field(
        default=128 << 20, ge=0, description="committed windows kept in memory, bytes, all partitions together"
    )
    health_checks_ttl: int = Field(
        default=30 * 86_400,
        ge=3_600,
        le=10 * 365 * 86_400,
        validation_alias="HEALTH_CHECKS_TTL",
        description="seconds for which the checks of targets are kept, each with its reason",
    )
