"""One collection: every collector is asked, and what they found becomes a report."""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

import msgspec
from vigie_contracts.hosts import (
    MAX_REPORT_BYTES,
    MAX_TEXT_CHARS,
    MAX_UNAVAILABLE,
    AgentInfo,
    HostReport,
    Unavailable,
)

from vigie_agent.collectors.base import Collector, Look
from vigie_agent.collectors.services import USERS
from vigie_agent.configuration import Configuration
from vigie_agent.patterns import patterns, prefixes
from vigie_agent.settings import AgentSettings
from vigie_agent.sites import assign, site_reports

log = logging.getLogger("vigie_agent")

_OWN: Final = frozenset(HostReport.__struct_fields__) - {"host", "timestamp", "interval", "agent", "sites"}


class Collection:
    """Makes reports of this machine."""

    def __init__(self, settings: AgentSettings, collectors: Sequence[Collector], instance: str) -> None:
        """`instance`: that of this installation, in every report."""
        self._settings, self._collectors, self._instance = settings, collectors, instance
        self._prefixes = prefixes(patterns(settings.service_pattern))
        self._version = metadata.version("vigie-agent")
        self._platform = platform.platform(terse=True)[:MAX_TEXT_CHARS]
        self._started = time.monotonic()

    async def report(
        self, timestamp: int, configuration: Configuration, *, buffered: int = 0, remarks: Sequence[Unavailable] = ()
    ) -> HostReport:
        """Look at everything. `timestamp` in ms. `remarks`: what else has to be said, such as reports that were
        lost."""
        look = Look(
            sites=configuration.sites if configuration.site_stats_enabled else (),
            service_patterns=patterns(configuration.service_pattern),
            unavailable=list(remarks),
        )
        parts: dict[str, Any] = {}
        for found in await asyncio.gather(*(self._collect(one, look) for one in self._collectors)):
            parts |= found
        assign(parts.get("services") or (), look, self._prefixes, parts.get(USERS) or {})
        sites = site_reports(look, parts)
        agent = AgentInfo(
            instance=self._instance,
            version=self._version,
            platform=self._platform,
            uptime=round(time.monotonic() - self._started, 1),
            unavailable=look.unavailable,
            buffered=buffered,
        )
        own = {name: value for name, value in parts.items() if name in _OWN}
        return HostReport(
            host=self._settings.host,
            timestamp=timestamp,
            interval=configuration.interval_s,
            agent=agent,
            sites=sites,
            **own,
        )

    async def _collect(self, collector: Collector, look: Look) -> dict[str, Any]:
        try:
            return dict(await collector.collect(look))
        except Exception as e:  # whatever a machine has in store for one collector, the others go on
            log.exception("%s could not be collected", collector.name)
            look.missing(collector.name, f"{type(e).__name__}: {e}")
            return {}


def encoded(report: HostReport) -> bytes:
    """JSON of at most MAX_REPORT_BYTES: of a machine with more services than that, the last by name are left out."""
    text = msgspec.json.encode(report)
    while len(text) > MAX_REPORT_BYTES and (report.services or report.disks or report.agent.unavailable):
        if report.services:
            kept = report.services[: len(report.services) // 2]
            said = Unavailable(what="services", reason=f"too many for one report: {len(kept)} are listed")
            report.agent.unavailable = [said, *report.agent.unavailable[: MAX_UNAVAILABLE - 1]]
            report.services = kept
        else:
            report.disks, report.agent.unavailable = [], report.agent.unavailable[:1]
        text = msgspec.json.encode(report)
    return text
