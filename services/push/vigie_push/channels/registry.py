"""Every channel. To add one: a file with its class, and its line here; the conformance tests take it from here."""

from __future__ import annotations

from typing import Any

from vigie_contracts.topics import COMMANDS, REPORTS
from vigie_runtime import clients
from vigie_runtime.bus import topics

from vigie_push.channels.alerts import AlertsChannel
from vigie_push.channels.app_metrics import AppChannel
from vigie_push.channels.base import Channel
from vigie_push.channels.commands import CommandsChannel
from vigie_push.channels.health import HealthChannel
from vigie_push.channels.hosts import ServerChannel, ServicesChannel, SiteChannel
from vigie_push.channels.metrics import MetricsChannel
from vigie_push.channels.resources import ChannelResources
from vigie_push.channels.summaries import SummaryChannel
from vigie_push.channels.telemetry import TelemetryChannel
from vigie_push.sources import commands, health, notifications, transitions, values
from vigie_push.sources.base import Sink, Source
from vigie_push.sources.redis_link import RedisLink
from vigie_push.sources.reports_tail import ReportsTail
from vigie_push.sources.summaries import PERIODS, SummarySource


def channels(resources: ChannelResources) -> dict[str, Channel[Any]]:
    """One of each that is served, by name."""
    made: tuple[Channel[Any], ...] = (
        AlertsChannel(resources),
        AppChannel(resources),
        CommandsChannel(resources),
        HealthChannel(resources),
        MetricsChannel(resources),
        ServerChannel(resources),
        ServicesChannel(resources),
        SiteChannel(resources),
        TelemetryChannel(resources),
        *(SummaryChannel(name, resources.board) for name in PERIODS),
    )
    return {channel.name: channel for channel in made}


def sources(resources: ChannelResources, sink: Sink) -> list[Source]:
    """The sources of all channels. One that has to run does so from `Source.run` on."""
    settings = resources.settings
    link = RedisLink(lambda: clients.redis_pubsub(settings), resources.clock)
    reports, ordered = topics.deployed(settings, (REPORTS, COMMANDS))
    tail = ReportsTail(
        lambda: clients.kafka_consumer(settings, client_id="vigie-push-reports"),
        reports.name,
        reports.partitions,
        recent=resources.recent_reports,
        sink=sink,
        clock=resources.clock,
    )
    return [
        transitions.source(link, sink),
        notifications.source(link, sink),
        health.source(link, sink),
        values.source(link, sink),
        tail,
        commands.source(
            lambda: clients.kafka_consumer(settings, client_id="vigie-push-commands"),
            ordered.name,
            ordered.partitions,
            sink=sink,
            clock=resources.clock,
        ),
        *(SummarySource(area, resources.board, sink) for area in PERIODS),
    ]
