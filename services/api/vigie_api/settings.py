"""The settings of the reads; what every service has too is in `vigie_runtime.settings`."""

from __future__ import annotations

from pydantic import Field
from vigie_runtime.settings import CommandsSettings, ReportsSettings, ZonesSettings
from vigie_web.access_control import AccessSettings


class ApiSettings(AccessSettings, ReportsSettings, CommandsSettings, ZonesSettings):
    """Read from `VIGIE_<FIELD>`."""

    api_host: str = Field(default="0.0.0.0", description="address to listen on")
    api_port: int = Field(default=8080, ge=0, le=65535, description="port to listen on")

    api_max_series: int = Field(default=20_000, ge=1, description="series that one question may select")
    api_max_documents: int = Field(
        default=40_000,
        ge=100,
        description="window documents that one question may read; beyond: 422. 20,000 series of an hour are as many",
    )
    api_preferred_documents: int = Field(
        default=5_000, ge=100, description="window documents that a question without a step is made to need at most"
    )
    api_concurrent_reads: int = Field(
        default=4, ge=1, le=64, description="reads of windows, and pages of reports, at the same time"
    )
    api_answer_cache_s: float = Field(
        default=0.5, ge=0, le=60, description="how long summaries and dashboards are kept; 0: never"
    )
    api_stale_after_s: float = Field(
        default=300.0, gt=0, description="a series without a sample for so long is left out of /metrics"
    )
    api_max_exposed_series: int = Field(
        default=500_000, ge=1_000, description="series of all tenants that /metrics keeps in memory: about 0.3 kB each"
    )
    api_concurrent_scrapes: int = Field(default=4, ge=1, le=64, description="answers of /metrics written at a time")
    api_scrape_timeout_s: float = Field(
        default=30.0, gt=0, description="a client that has not read its answer of /metrics by then is cut off"
    )

    service_pattern: str = Field(
        default="twoine-*",
        min_length=1,
        max_length=128,
        description="names of the systemd services that agents watch, unless they are told otherwise themselves",
    )

    api_promql_timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="a PromQL query may take so long, and a client may ask for less"
    )
    api_promql_concurrent: int = Field(
        default=4, ge=1, le=64, description="PromQL queries at the same time; others wait for their turn"
    )
    api_promql_max_points: int = Field(
        default=1_000_000, ge=1_000, description="points of all series in one answer to a PromQL query"
    )
    api_promql_lookback_s: float = Field(
        default=300.0, gt=0, description="how old the newest sample of a series may be in PromQL"
    )
