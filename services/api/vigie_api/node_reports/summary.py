"""The answer about all tenants now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vigie_identity.licences import LicenceState
from vigie_identity.tenants import Status
from vigie_query.times import iso
from vigie_storage.reports.totals import NodeGroup

from vigie_api.node_reports.health import Health, health_of
from vigie_api.node_reports.numbers import plain, rounded
from vigie_api.node_reports.schemas import (
    GlobalSummaryAnswer,
    LicenceCounts,
    NodeHealth,
    TenantCounts,
    Usage,
    VersionCount,
)

MAX_VERSIONS: Final = 100
UNKNOWN_VERSION: Final = "unknown"


def summary(
    now_ms: int, tenants: Mapping[Status, int], licences: Mapping[LicenceState, int], groups: Sequence[NodeGroup]
) -> GlobalSummaryAnswer:
    """`groups` are of active tenants only."""
    health = Counter[Health]()
    for group in groups:
        health[health_of(group.facts)] += group.tenants
    latencies = sum(group.latencies for group in groups)
    active = tenants[Status.ACTIVE]
    return GlobalSummaryAnswer(
        timestamp=iso(now_ms),
        tenants=TenantCounts(
            total=sum(tenants.values()),
            active=active,
            inactive=tenants[Status.INACTIVE],
            with_recent_data=sum(group.tenants for group in groups if group.facts.recent),
        ),
        licenses=LicenceCounts(
            total=licences[LicenceState.ACTIVE] + licences[LicenceState.EXPIRED],
            active=licences[LicenceState.ACTIVE],
            expired=licences[LicenceState.EXPIRED],
            expiring_soon=licences[LicenceState.EXPIRING],
        ),
        usage=Usage(
            total_active_users=plain(sum(group.active_users for group in groups)),
            total_exercises_completed_today=plain(sum(group.exercises for group in groups)),
            average_ai_latency=rounded(sum(group.latency for group in groups) / latencies if latencies else None),
            total_uptime=plain(sum(group.uptime for group in groups)),
        ),
        health=NodeHealth(
            healthy=health[Health.HEALTHY],
            warning=health[Health.WARNING],
            critical=health[Health.CRITICAL],
            # Never below zero: a tenant may become active between the two reads.
            no_data=max(0, active - health.total()),
        ),
        versions=_versions(groups),
    )


def _versions(groups: Iterable[NodeGroup]) -> list[VersionCount]:
    counts = Counter[str]()
    for group in groups:
        counts[group.version or UNKNOWN_VERSION] += group.tenants
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:MAX_VERSIONS]
    return [VersionCount(version=version, count=count) for version, count in most]
