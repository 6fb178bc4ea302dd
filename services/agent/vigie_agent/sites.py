"""From what was collected for itself to what is said of each site: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vigie_contracts.hosts import (
    Memory,
    ServiceReport,
    ServiceState,
    SiteCpu,
    SiteDisk,
    SiteMemory,
    SiteReport,
    SiteServices,
)

from vigie_agent.collectors.base import Look
from vigie_agent.collectors.directories import DirectoryUsage, usage_of
from vigie_agent.collectors.processes import ACCOUNTS, AccountUsage
from vigie_agent.configuration import Site

_RUNNING = frozenset({ServiceState.ACTIVE, ServiceState.RELOADING})


def assign(services: Sequence[ServiceReport], look: Look, prefixes: Sequence[str], users: Mapping[str, str]) -> None:
    """Say of each service which site it belongs to: by its name, `twoine-shop-api` or `twoine-shop`, the longest name
    of a site first; else by the account that it runs as, when only one site has it."""
    by_name = sorted(look.sites, key=lambda site: -len(site.name))
    accounts: dict[str, list[str]] = {}
    for site in look.sites:
        if site.account:
            accounts.setdefault(site.account, []).append(site.id)
    for service in services:
        rest = [service.name.removeprefix(prefix) for prefix in prefixes if service.name.startswith(prefix)]
        named = next((s.id for s in by_name if s.name and any(_is_of(one, s.name) for one in rest)), None)
        owners = accounts.get(users.get(service.name, ""), [])
        service.site = named or (owners[0] if len(owners) == 1 else None)


def _is_of(rest: str, name: str) -> bool:
    return rest == name or rest.startswith((f"{name}-", f"{name}@", f"{name}."))


def site_reports(look: Look, parts: Mapping[str, Any]) -> list[SiteReport]:
    """One for each site of the configuration, whatever could be read of it."""
    usage: Mapping[str, AccountUsage] = parts.get(ACCOUNTS) or {}
    disks = usage_of(parts)
    services: Sequence[ServiceReport] | None = parts.get("services")
    memory: Memory | None = parts.get("memory")
    return [
        SiteReport(
            site=site.id,
            account=site.account,
            **_of_account(usage.get(site.id), site, memory.total if memory else None),
            disk=_disk(site, disks.get(site.id), look),
            services=None if services is None else _services([one for one in services if one.site == site.id]),
        )
        for site in look.sites
    ]


def _of_account(usage: AccountUsage | None, site: Site, total: int | None) -> dict[str, Any]:
    if usage is None:
        return {}
    limit = site.limits.memory_bytes
    whole = limit or total
    return {
        "cpu": SiteCpu(percent=usage.percent, time_ms=round(usage.cpu_s * 1000)),
        "memory": SiteMemory(
            used_bytes=usage.memory_bytes,
            percent=round(min(100.0, 100.0 * usage.memory_bytes / whole), 2) if whole else None,
            limit=limit,
        ),
        "processes": usage.processes,
    }


def _disk(site: Site, usage: DirectoryUsage | None, look: Look) -> SiteDisk | None:
    if site.directory is None:
        return None
    if usage is not None and usage.problem is not None:
        look.missing(f"sites.{site.id}.disk", usage.problem)
    if usage is None or (usage.problem is not None and not usage.files):
        return None
    limit = site.limits.disk_bytes
    return SiteDisk(
        used_bytes=usage.bytes,
        percent=min(1e9, round(100.0 * usage.bytes / limit, 2)) if limit else None,
        limit=limit,
        file_count=usage.files,
        complete=usage.complete,
    )


def _services(services: Sequence[ServiceReport]) -> SiteServices:
    running = sum(one.state in _RUNNING for one in services)
    failed = sum(one.state is ServiceState.FAILED for one in services)
    return SiteServices(total=len(services), running=running, failed=failed, stopped=len(services) - running - failed)
