"""The event consumers of the aggregator: one line each. The samples, which are state, have a log reader instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vigie_runtime.bus.events import Batches

from vigie_aggregator.checks import consumer as checks
from vigie_aggregator.commands import consumer as commands
from vigie_aggregator.reports import consumer as reports
from vigie_aggregator.resources import Resources

CONSUMERS: Final[tuple[Callable[[Resources], Batches[Any]], ...]] = (
    reports.consumer,
    checks.consumer,
    commands.consumer,
)  # fmt: skip
"""Their topics, dead letters, metrics, readiness and stop follow from what these declare."""
