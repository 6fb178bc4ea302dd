"""What every consumer of the aggregator is made of."""

from __future__ import annotations

from dataclasses import dataclass

from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.settings import AggregatorSettings


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once, by `app`."""

    settings: AggregatorSettings
    database: Database
    clock: Clock
    metrics: Metrics
