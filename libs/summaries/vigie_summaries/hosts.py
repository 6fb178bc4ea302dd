"""What is shown of the reports of hosts, in the words of the replaced system: pure, over bodies as they are stored.

`body` is a `vigie_contracts.hosts.HostReport` in the names of the wire. What could not be read stays null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vigie_contracts.hosts import RECEIVED
from vigie_query.times import iso

ACTIVE: Final = "active"
FAILED: Final = "failed"
STALE_INTERVALS: Final = 3
"""Without a report for so many intervals, a host is silent."""
SKEWED_MS: Final = 60_000
"""A clock that is so far off is worth telling."""
_CPU: Final = ("percent", "cores", "model", "loadAvg", "perCore")
_MEMORY: Final = ("total", "used", "free", "available", "percent")
_VOLUME: Final = ("total", "used", "free", "percent")
_NETWORK: Final = ("bytesIn", "bytesOut", "interfaces")
_SERVICE: Final = ("name", "site", "state", "subState", "pid", "uptime", "memoryBytes", "cpuTimeMs", "restarts")

Body = Mapping[str, Any]
_NOTHING: Final[Body] = {}


def server_stats(body: Body, at_ms: int, *, sites: int, users: int) -> dict[str, Any]:
    """All of a host. `sites` and `users`: how many the host's sites, and the tenant's users, are."""
    services = services_of(body)
    return {
        "host": body["host"],
        "timestamp": iso(at_ms),
        "cpu": _part(body.get("cpu"), _CPU),
        "memory": _part(body.get("memory"), _MEMORY),
        "swap": body.get("swap"),
        "disk": _part(body.get("disk"), _VOLUME),
        "disks": body.get("disks") or [],
        "network": _part(body.get("network"), _NETWORK),
        "processes": body.get("processes"),
        "pressure": body.get("pressure"),
        "uptime": body.get("uptime"),
        "totals": {
            "sites": sites,
            "services": len(services),
            "users": users,
            "servicesRunning": sum(one["state"] == ACTIVE for one in services),
        },
    }


def point(body: Body, at_ms: int) -> dict[str, Any]:
    """What a history shows of one report."""
    return {
        "timestamp": iso(at_ms),
        "cpu": _part(body.get("cpu"), ("percent", "loadAvg")),
        "memory": _part(body.get("memory"), _VOLUME),
        "disk": _part(body.get("disk"), _VOLUME),
        "network": _part(body.get("network"), ("bytesIn", "bytesOut")),
    }


def site_stats(body: Body, at_ms: int, site: str) -> dict[str, Any]:
    """One site; without a part of the report about it, everything is null."""
    found = site_of(body, site)
    # Ids may have points in them: what is missing of `shop.eu` is nothing that those of `shop` may know.
    others = tuple(f"sites.{one['site']}." for one in body.get("sites") or () if one["site"].startswith(f"{site}."))
    return {
        "site": site,
        "host": body["host"],
        "timestamp": None if found is None else iso(at_ms),
        **site_parts(found),
        "services": counted(body, site, found),
        "unavailable": [one for one in unavailable(body, f"sites.{site}") if not f"{one['what']}.".startswith(others)],
    }


def site_parts(found: Body | None) -> dict[str, Any]:
    """Of what a report says of a site."""
    said: Body = found or {}
    return {
        "cpu": _part(said.get("cpu"), ("percent", "timeMs")),
        "memory": _part(said.get("memory"), ("usedBytes", "percent", "limit")),
        "disk": _part(said.get("disk"), ("usedBytes", "percent", "limit", "fileCount", "complete")),
        "processes": said.get("processes"),
    }


def site_of(body: Body, site: str) -> Body | None:
    """What the report says of a site."""
    return next((one for one in body.get("sites") or () if one["site"] == site), None)


def counted(body: Body, site: str, found: Body | None = None) -> dict[str, int]:
    """The services of a site: as the agent counted them, else those of the report."""
    said = (found or {}).get("services")
    return dict(said) if said else counts(services_of(body, site))


def counts(services: Sequence[Body]) -> dict[str, int]:
    """How many there are, and in which state."""
    running = sum(one["state"] == ACTIVE for one in services)
    failed = sum(one["state"] == FAILED for one in services)
    stopped = len(services) - running - failed
    return {"total": len(services), "running": running, "stopped": stopped, "failed": failed}


def services_of(body: Body, site: str | None = None) -> list[dict[str, Any]]:
    """The services of the host, or of one of its sites, by name."""
    found = [one for one in body.get("services") or () if site is None or one.get("site") == site]
    return [{name: one.get(name) for name in _SERVICE} for one in sorted(found, key=lambda one: one["name"])]


def unavailable(body: Body, below: str | None = None) -> list[dict[str, str]]:
    """What could not be read, and why; only below a path if it is given."""
    said: Sequence[dict[str, str]] = _agent(body).get("unavailable") or ()
    return [one for one in said if below is None or f"{one['what']}.".startswith(f"{below}.")]


def stale(body: Body, at_ms: int, now_ms: int) -> bool:
    """Whether the host is silent for longer than it should be."""
    return now_ms - at_ms > STALE_INTERVALS * 1000 * float(body["interval"])


def skew_ms(body: Body, at_ms: int) -> int | None:
    """How far the clock of the host is ahead of the gateway's, negative when it is behind; None when nobody can say,
    because the report waited before it was sent."""
    received = body.get(RECEIVED)
    if received is None or _agent(body).get("buffered"):
        return None
    return at_ms - int(received)


def _agent(body: Body) -> Body:
    return body.get("agent") or _NOTHING


def _part(said: Body | None, names: Sequence[str]) -> dict[str, Any]:
    return {name: (said or {}).get(name) for name in names}
