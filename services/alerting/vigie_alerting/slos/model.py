"""A service level objective as it is stored."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_contracts.alerts import Channel

DAY_MS: Final = 24 * 3_600_000
MAX_SLOS: Final = 500
"""Of a tenant."""


class Slo(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """So many percent of the events of `window_ms` are good.

    Which are: by `good` and `total`, by `errors` and `total`, or by a histogram (`metric_name` and `matchers`) whose
    observations up to `threshold` are good."""

    objective: float
    """Percent, above 0 and below 100."""
    window_ms: int
    """Rolling: always the last so long."""
    description: str = ""
    good: str = ""
    errors: str = ""
    total: str = ""
    """PromQL: the selector of a counter, or an expression with ranges of `[$window]`."""
    metric_name: str = ""
    matchers: list[str] = []
    threshold: float | None = None
    by: list[str] = []
    """Labels to group by: each group has a budget of its own."""
    labels: dict[str, str] = {}
    """Added to what is recorded, and to alerts."""
    notification_channels: list[Channel] = []
    owner: str = ""
    runbook: str = ""
    enabled: bool = True

    @property
    def budget(self) -> float:
        """The part of all events that may fail."""
        return round((100 - self.objective) / 100, 12)
