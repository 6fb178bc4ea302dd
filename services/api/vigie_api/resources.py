"""The connected resources of the api."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from vigie_contracts.tenants import TenantId
from vigie_identity.identity import Identity
from vigie_query.promql.reading import SamplesReader
from vigie_runtime.cache import TtlCache
from vigie_runtime.clients import Database
from vigie_runtime.expressions import Expressions
from vigie_storage.hosts.agents import HostAgents
from vigie_storage.hosts.configuration import MonitoringConfigs
from vigie_storage.hosts.reports import HostReports
from vigie_storage.hosts.sites import Sites
from vigie_storage.latest import LatestReader
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.reader import SeriesReader
from vigie_storage.reports.apps import AppReportReader
from vigie_storage.reports.reader import NodeReportReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.labels import LabelCatalogue
from vigie_storage.usage import UsageStore
from vigie_summaries.families.catalogue import FamilyCatalogue
from vigie_summaries.summaries import Summaries
from vigie_web.concurrency import ConcurrencyLimit
from vigie_web.health import Check
from vigie_web.state import AccessControl

from vigie_api.auth.first_start import FirstStartTask
from vigie_api.commands.orders import Orders
from vigie_api.pipeline.state import PipelineState


@dataclass(frozen=True, slots=True)
class Resources:
    """Readers, and the bounds on their use."""

    access: AccessControl
    checks: Sequence[Check]
    identity: Identity
    first_start: FirstStartTask
    usage: UsageStore
    pipeline: PipelineState
    series: SeriesCatalogue
    summaries: Summaries
    families: FamilyCatalogue
    latest: LatestReader
    node_reports: NodeReportReader
    app_reports: AppReportReader
    database: Database
    """For transactions."""
    sites: Sites
    host_reports: HostReports
    host_agents: HostAgents
    monitoring: MonitoringConfigs
    stats: TtlCache[Any]
    """What was last reported, as it was a few seconds ago."""
    orders: Orders
    reader: SeriesReader
    samples: Callable[[TenantId], SamplesReader]
    """What PromQL reads of a tenant."""
    selectors: SelectorReader
    labels: LabelCatalogue
    expressions: Expressions
    """Where PromQL is computed."""
    queries: ConcurrencyLimit
    answers: TtlCache[BaseModel]
    scrapes: ConcurrencyLimit
    report_pages: ConcurrencyLimit
