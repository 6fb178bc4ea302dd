"""What channels and sources are made with: add what yours needs, and where `app.py` gets it from."""

from __future__ import annotations

from dataclasses import dataclass, field

from vigie_runtime.clients import Database, Redis
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet

from vigie_push.settings import PushSettings
from vigie_push.sources.recent_reports import RecentReports
from vigie_push.sources.summaries import SummaryBoard, summaries_of


@dataclass(frozen=True, slots=True)
class ChannelResources:
    """Of a process; connected."""

    settings: PushSettings
    database: Database
    redis: Redis
    clock: Clock
    metrics: MetricSet
    recent_reports: RecentReports = field(default_factory=RecentReports)
    board: SummaryBoard = field(init=False)

    def __post_init__(self) -> None:
        made = SummaryBoard(
            lambda: summaries_of(self.settings, self.database, self.redis, self.clock, self.metrics),
            self.settings.websocket_broadcast_interval / 1000,
            self.clock,
        )
        object.__setattr__(self, "board", made)
