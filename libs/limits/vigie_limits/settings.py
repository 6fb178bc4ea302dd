"""The settings of the limits. A service that takes requests inherits from these too."""

from __future__ import annotations

from pydantic import Field
from vigie_runtime.settings import Settings


class LimitSettings(Settings):
    """Read from `VIGIE_<FIELD>`; 0 means no limit. A tenant's plan goes before what is said here of tenants."""

    rate_ip_per_minute: int = Field(
        default=6_000,
        ge=0,
        description="requests of an address (IPv6: of a /64) that come without a credential, or are refused for theirs",
    )
    rate_key_per_minute: int = Field(default=600_000, ge=0, description="requests of an API key or a user")
    rate_tenant_requests_per_s: int = Field(default=0, ge=0, description="requests of a tenant whose plan says nothing")
    rate_tenant_samples_per_s: int = Field(default=0, ge=0, description="samples of a tenant whose plan says nothing")
    rate_telemetry_per_minute: int = Field(
        default=600,
        ge=0,
        description="reports that POST /telemetry takes for one tenant from a credential; and from all without one "
        "together, a fifth of it from each address",
    )
    rate_telemetry_bytes_per_minute: int = Field(
        default=1_200_000,
        ge=0,
        description="bytes of the reports that POST /telemetry takes for one tenant from all without a credential "
        "together, unpacked, a fifth of it from each address; one report of any size always fits",
    )
