"""Every channel. To add one: a file with its class, and its line here; the conformance tests take it from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vigie_push.channels.base import Channel
from vigie_push.channels.resources import ChannelResources
from vigie_push.channels.summaries import SummaryChannel
from vigie_push.sources.base import Sink, Source
from vigie_push.sources.summaries import PERIODS, SummarySource

ABSENT: Final[Mapping[str, str]] = {
    "alerts": "alerts are not served here yet",
    "metrics": "metrics are not served here yet",
    "app": "metrics of apps are not served here yet",
    "telemetry": "telemetry is not served here yet",
    "server": "statistics of servers are not served here yet",
    "site": "statistics of sites are not served here yet",
    "services": "states of services are not served here yet",
    "health": "health checks are not served here yet",
}
"""Channels that are known and have no source yet, with the sentence that a subscription to them is refused with."""


def channels(resources: ChannelResources) -> dict[str, Channel[Any]]:
    """One of each that is served, by name."""
    return {**{name: SummaryChannel(name, resources.board) for name in PERIODS}}


def sources(resources: ChannelResources, sink: Sink) -> list[Source]:
    """The sources of all channels. One that has to run does so from `Source.run` on."""
    return [*(SummarySource(area, resources.board, sink) for area in PERIODS)]
