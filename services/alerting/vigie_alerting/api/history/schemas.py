"""JSON of /api/alerts/import."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AwareDatetime, Field
from vigie_contracts.alerts import Severity
from vigie_contracts.hosts import HOST_PATTERN, SERVICE_PATTERN, SITE_PATTERN
from vigie_web.schemas import Body, Model

MAX_ALERTS: Final = 200
"""Of one request, which is one transaction."""
Name = Annotated[str, Field(max_length=128, description="a name, as it is shown")]

At = Annotated[AwareDatetime, Field(strict=False)]


class PastAlert(Body):
    """One that is over."""

    id: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$", description="where it comes from: the same one is imported once"),
    ]
    type: Annotated[
        str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$", description="what it is about", examples=["cpu_high"])
    ]
    severity: Annotated[Severity, Field(strict=False)]
    message: Annotated[str, Field(max_length=1_000)] = ""
    host: Annotated[str | None, Field(pattern=HOST_PATTERN)] = None
    site: Annotated[str | None, Field(pattern=SITE_PATTERN)] = None
    service: Annotated[str | None, Field(pattern=SERVICE_PATTERN)] = None
    created_at: At
    resolved_at: At
    acknowledged_by: Name = ""
    resolved_by: Name = ""


class PastAlerts(Body):
    alerts: Annotated[list[PastAlert], Field(min_length=1, max_length=MAX_ALERTS)]


class Refused(Model):
    """One that was not taken."""

    index: int = Field(description="its place in the request, from 0")
    field: str
    reason: str


class Imported(Model):
    imported: int = Field(description="those that were not there before")
    repeated: int = Field(description="those that were")
    rejected: int
    repeats: list[int] = Field(description="the places of the repeated ones in the request, from 0")
    errors: list[Refused]
