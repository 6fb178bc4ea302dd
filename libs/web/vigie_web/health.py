"""Readiness checks, run at once, and the one response that all services give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from vigie_runtime import logging
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

_REQUIRED_S: Final = 3.0
_OTHER_S: Final = 1.0
"""Nobody waits long for what the service can do without."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a service needs; without one that is not `required` it is ready and works less well.

    `ask` is a ping, or says at once. It is away when that raises, is False, or takes too long."""

    name: str
    ask: Callable[[], Awaitable[object] | bool]
    required: bool = True

    async def passes(self) -> bool:
        """Never raises, and never takes much longer than three seconds."""
        try:
            async with asyncio.timeout(_REQUIRED_S if self.required else _OTHER_S):
                answer = self.ask()
                return (answer if isinstance(answer, bool) else await answer) is not False
        except Exception as e:  # noqa: BLE001  # whatever a client raises, its server did not answer
            log.debug("a health check failed", check=self.name, reason=reason_of(e))
            return False


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Readiness(BaseModel):
    """Ready means that requests are served. Beside these fields every check has one of its own: `"mongodb": "ok"`."""

    __pydantic_extra__: dict[str, Literal["ok", "away"]]  # pyright: ignore[reportIncompatibleVariableOverride]
    model_config = ConfigDict(extra="allow")

    status: Literal["ready", "not ready"]
    not_ready: list[str] = Field(description="checks that failed and without which requests are not served")
    degraded: list[str] = Field(description="checks that failed and without which requests are served less well")
    checks: dict[str, bool] = Field(description="every check and whether it passed")

    @property
    def ready(self) -> bool:
        return not self.not_ready


class OwnMetrics(BaseModel):
    """What the service measures of itself."""

    declared: int = Field(description="how many metrics, beside those of the process")
    path: str = Field(description="where they are shown")


class Health(BaseModel):
    """The state of the service in the words of the replaced KPI system."""

    status: Literal["healthy", "degraded", "unhealthy"] = Field(
        description="`degraded`: requests are served less well; `unhealthy`: they are not served"
    )
    timestamp: str = Field(description="ISO 8601, UTC", examples=["2026-01-31T12:00:00.000Z"])
    metrics: OwnMetrics
    version: str

    @classmethod
    def of(cls, found: Readiness, timestamp: str, metrics: OwnMetrics, version: str) -> Self:
        status = "unhealthy" if not found.ready else "degraded" if found.degraded else "healthy"
        return cls(status=status, timestamp=timestamp, metrics=metrics, version=version)


_STARTED: Final = Check("start", lambda: False)


async def readiness(checks: Sequence[Check] | None) -> Readiness:
    """Run all checks. None: the service is not started, or stops."""
    asked = (_STARTED,) if checks is None else checks
    passed = await asyncio.gather(*(check.passes() for check in asked))
    found = {check.name: passes for check, passes in zip(asked, passed, strict=True)}
    failed = [check for check in asked if not found[check.name]]
    not_ready = [check.name for check in failed if check.required]
    return Readiness.model_validate(
        {
            **{name: "ok" if passes else "away" for name, passes in found.items()},
            "status": "not ready" if not_ready else "ready",
            "not_ready": not_ready,
            "degraded": [check.name for check in failed if not check.required],
            "checks": found,
        }
    )
