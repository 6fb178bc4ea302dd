"""The gateway's settings; what every service has too is in `vigie_runtime.settings`."""

from __future__ import annotations

from pydantic import Field
from vigie_contracts import limits
from vigie_runtime.settings import ReportsSettings
from vigie_web.access_control import AccessSettings


class IngestSettings(AccessSettings, ReportsSettings):
    """Read from `VIGIE_<FIELD>`."""

    ingest_host: str = Field(default="0.0.0.0", description="address to listen on")
    ingest_port: int = Field(default=8081, ge=0, le=65535, description="port to listen on")
    ingest_metrics_path: str = Field(
        default="/metrics", pattern=r"^/[\w/.-]*$", description="where the gateway shows its own metrics"
    )

    ingest_max_buffered_samples: int = Field(
        default=1_000_000, ge=limits.MAX_BATCH_ITEMS, description="samples that may wait for Kafka; beyond: 503"
    )
    ingest_linger_ms: float = Field(default=4.0, ge=0, le=1_000, description="how long samples are gathered")
    ingest_known_series: int = Field(
        default=400_000, ge=1_000, description="series the gateway remembers; about 0.5 kB each"
    )
    ingest_catalogue_wait_s: float = Field(
        default=5.0, gt=0, le=60, description="how long a request with new series waits for MongoDB; then 503"
    )
    ingest_refusal_memory_s: float = Field(
        default=10.0, gt=0, le=3_600, description="how long a series that the catalogue refused is not asked for again"
    )
    ingest_max_body_bytes: int = Field(
        default=512 * 1024 * 1024,
        ge=limits.MAX_DECOMPRESSED_BYTES,
        description="bytes of all request bodies held at once, a quarter for callers without a credential; beyond: 503",
    )
    ingest_max_connections: int = Field(
        default=10_000, ge=1, description="open connections, fewer where `ulimit -n` is low; beyond: 503"
    )
    ingest_body_timeout_s: float = Field(default=30.0, gt=0, le=600, description="time for a body to arrive; then 408")
