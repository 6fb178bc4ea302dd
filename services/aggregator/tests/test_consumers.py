"""The registry of event consumers."""

from __future__ import annotations

from unittest.mock import MagicMock

from vigie_aggregator.consumers import CONSUMERS
from vigie_aggregator.metrics import SERVICE, Metrics
from vigie_aggregator.resources import Resources
from vigie_aggregator.settings import AggregatorSettings
from vigie_contracts.topics import SAMPLES, TOPICS
from vigie_runtime.clock import SystemClock


def test_contract_says_what_is_read_here() -> None:
    settings = AggregatorSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://nowhere", redis_url="redis://nowhere"
    )
    resources = Resources(settings, MagicMock(), SystemClock(), Metrics())
    registered = [declare(resources).topic.name for declare in CONSUMERS]
    assert sorted([SAMPLES.name, *registered]) == sorted(topic.name for topic in TOPICS if SERVICE in topic.read_by)
