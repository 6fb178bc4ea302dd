"""What channels and sources are made with: add what yours needs, and where `app.py` gets it from."""

from __future__ import annotations

from dataclasses import dataclass

from vigie_runtime.clients import Database, Redis
from vigie_runtime.clock import Clock
from vigie_runtime.metrics import MetricSet

from vigie_push.settings import PushSettings
from vigie_push.sources.summaries import SummaryBoard


@dataclass(frozen=True, slots=True)
class ChannelResources:
    """Of a process; connected."""

    settings: PushSettings
    database: Database
    redis: Redis
    clock: Clock
    metrics: MetricSet
    board: SummaryBoard
