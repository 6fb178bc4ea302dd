"""From documents of the replaced system to what Vigie calls the same. Pure.

Its documentation gives the fields of statistics, alerts and configuration. Those of sites, services and users it does
not give: of each the usual names are tried, in the order that stands here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from vigie_contracts import hosts as contract
from vigie_contracts.alerts import Severity
from vigie_contracts.hosts import HostReport
from vigie_contracts.limits import MAX_LABEL_VALUE_CHARS

ACCOUNT = ("account", "linuxUser", "unixUser", "systemUser", "user", "username")
DIRECTORY = ("directory", "path", "rootPath", "rootDir", "homeDirectory", "homeDir")
DOMAIN = ("domain", "name", "hostname")
UNIT = ("unit", "systemdName", "systemdService", "serviceName", "name")
PERSON = ("username", "name", "login", "email")
SITES_OF = ("sites", "assignedSites", "assignedSite", "site")
PEOPLE_OF = ("users", "assignedUsers", "assignedUser")
_SITE = re.compile(contract.SITE_PATTERN)
_CONFIG = (
    "collectionInterval", "alertThresholds", "alertsEnabled", "siteStatsEnabled", "retentionHours",
)  # fmt: skip
_MAX_MESSAGE_CHARS = 1_000
_MAX_NAME_CHARS = 128


class NotUsableError(ValueError):
    """The document cannot be brought along. Says why."""


class SiteIds(StrEnum):
    """What the id of a site becomes."""

    OLD = "old"
    """What it was, so that clients find it."""
    NAME = "name"


@dataclass(frozen=True)
class OldSite:
    """`body` is what `POST /api/sites` takes; `people` are the ids of users who are assigned to it."""

    key: str
    name: str
    body: dict[str, Any]
    people: list[str]


@dataclass(frozen=True)
class OldUser:
    """`sites` are ids of the replaced system."""

    key: str
    name: str
    sites: list[str]


@dataclass(frozen=True)
class OldAlert:
    """`body` is what `POST /api/alerts/import` takes of one that is over; None: it is not."""

    type: str
    site: str | None
    service: str | None
    acknowledged: bool
    by: str
    body: dict[str, Any] | None


@dataclass
class Known:
    """What ids of the replaced system stand for."""

    sites: dict[str, str] = field(default_factory=dict[str, str])
    """Its id, and the one that it has here."""
    services: dict[str, str] = field(default_factory=dict[str, str])
    people: dict[str, str] = field(default_factory=dict[str, str])
    any_site: bool = False
    """The dump has no sites: what is said of a site is taken under its old id."""

    def site(self, said: Any) -> str | None:
        """The id here; None: it is about no site. Raises NotUsableError."""
        if said is None or said == "":
            return None
        key = _key(said)
        if (found := self.sites.get(key)) is not None:
            return found
        if self.any_site and _SITE.match(key):
            return key
        raise NotUsableError(f"site: the dump has no site {key[:64]!r} that was taken")


def site(said: Mapping[str, Any], host: str, ids: SiteIds, sites_dir: str) -> OldSite:
    """Raises NotUsableError."""
    key, name = _key(said.get("_id")), _text(said, ("name", "slug"))
    if not name:
        raise NotUsableError("name: is missing")
    id_ = key if ids is SiteIds.OLD else name
    if not _SITE.match(id_):
        raise NotUsableError(f"{'_id' if ids is SiteIds.OLD else 'name'}: {contract.SITE_RULE}")
    account = _text(said, ACCOUNT)
    if not account:
        raise NotUsableError(f"account: none of {', '.join(ACCOUNT)} says under which Unix account it runs")
    body: dict[str, Any] = {
        "id": id_, "host": host, "name": name[:_MAX_NAME_CHARS], "account": account,
        "directory": _text(said, DIRECTORY) or f"{sites_dir.rstrip('/')}/{name}", "ports": _ports(said),
        "domains": [one for one in (_named(one, DOMAIN) for one in _list(said.get("domains"))) if one],
    }  # fmt: skip
    limits = said.get("limits")
    if isinstance(limits, Mapping):
        body["limits"] = {
            name: round(value)
            for name in ("memoryBytes", "diskBytes")
            if isinstance(value := limits.get(name), int | float) and value > 0
        }
    people = [_key(one) for name in PEOPLE_OF for one in _list(said.get(name))]
    return OldSite(key, name, body, people)


def _ports(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    for name in ("portRange", "ports"):
        value = said.get(name)
        if isinstance(value, Mapping):
            first = next((value[one] for one in ("from", "start", "min") if one in value), None)
            last = next((value[one] for one in ("to", "end", "max") if one in value), first)
            return [] if first is None else [{"from": first, "to": last}]
        if isinstance(value, list):
            return [dict(one) if isinstance(one, Mapping) else {"from": one, "to": one} for one in value]
    return []


def service(said: Mapping[str, Any], names: Mapping[str, str], prefix: str) -> tuple[str, str]:
    """Its id, and the name of its systemd unit: `twoine-<site>-<name>` where it says only a part. `names`: of sites,
    by id. Raises NotUsableError."""
    key, name = _key(said.get("_id")), _text(said, UNIT).removesuffix(".service")
    if not name:
        raise NotUsableError("name: is missing")
    if not name.startswith(prefix):
        owner = names.get(_key(said["site"])) if said.get("site") else None
        name = f"{prefix}{owner}-{name}" if owner else name
    if not re.match(contract.SERVICE_PATTERN, name):
        raise NotUsableError(f"name: {contract.SERVICE_RULE}")
    return key, name


def user(said: Mapping[str, Any]) -> OldUser:
    """Raises NotUsableError."""
    name = _text(said, PERSON)
    if not name:
        raise NotUsableError(f"name: none of {', '.join(PERSON)} is there")
    sites = [_key(one) for field_ in SITES_OF for one in _list(said.get(field_))]
    return OldUser(_key(said.get("_id")), name, sites)


def config(said: Mapping[str, Any]) -> dict[str, Any]:
    """What `PUT /stats/config` takes; its bounds are judged there."""
    return {name: said[name] for name in _CONFIG if said.get(name) is not None}


def alert(said: Mapping[str, Any], host: str, known: Known) -> OldAlert:
    """Raises NotUsableError."""
    type_, status = _text(said, ("type",)), _text(said, ("status",)) or "active"
    if not re.match(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z", type_):
        raise NotUsableError("type: is no name of a type")
    if status not in ("active", "acknowledged", "resolved"):
        raise NotUsableError(f"status: {status[:40]!r} is not active, acknowledged or resolved")
    severity = _text(said, ("severity",)) or "warning"
    if severity not in list(Severity):
        raise NotUsableError(f"severity: {severity[:40]!r} is none of {', '.join(Severity)}")
    place, unit = known.site(said.get("site")), said.get("service")
    name = known.services.get(_key(unit)) if unit else None
    taken = said.get("acknowledgedBy")
    by = "" if not taken else known.people.get(_key(taken), _key(taken))[:_MAX_NAME_CHARS]
    body: dict[str, Any] | None = None
    if status == "resolved":
        began, over = _time(said, "createdAt"), _time(said, "resolvedAt")
        message = _text(said, ("message",))
        body = {
            "id": _key(said.get("_id")), "type": type_, "severity": severity, "host": host, "site": place,
            "service": name, "message": message[:_MAX_MESSAGE_CHARS], "createdAt": began.isoformat(),
            "resolvedAt": over.isoformat(), "acknowledgedBy": by,
        }  # fmt: skip
        body = {one: value for one, value in body.items() if value is not None}
    return OldAlert(type_, place, name, status == "acknowledged", by, body)


def server_part(said: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """When it was, in milliseconds, and its parts of a report. Raises NotUsableError."""
    cpu: Mapping[str, Any] = found if isinstance(found := said.get("cpu"), Mapping) else {}
    load = _numbers(cpu, "cpu", ("loadAvg",), ("one", "five", "fifteen"))
    parts: dict[str, Any] = {
        "cpu": {
            **_numbers(said, "", ("cpu",), ("percent",)),
            **_counts(said, ("cpu",), ("cores",)),
            **({"model": cpu["model"][:256]} if isinstance(cpu.get("model"), str) else {}),
            **({"loadAvg": load} if len(load) == 3 else {}),
        },
        "memory": {
            **_counts(said, ("memory",), ("total", "used", "free")), **_numbers(said, "", ("memory",), ("percent",)),
        },
        "disk": {
            **_counts(said, ("disk",), ("total", "used", "free")), **_numbers(said, "", ("disk",), ("percent",)),
        },
        "network": _counts(said, ("network",), ("bytesIn", "bytesOut")),
    }  # fmt: skip
    at = _ms(_time(said, "timestamp"))
    parts = {name: part for name, part in parts.items() if part}
    judge(parts)
    return at, parts


def site_part(said: Mapping[str, Any], known: Known) -> tuple[int, dict[str, Any]]:
    """The same of a site. Raises NotUsableError."""
    place = known.site(said.get("site"))
    if place is None:
        raise NotUsableError("site: is missing")
    memory, disk = ("memory",), ("disk",)
    parts: dict[str, Any] = {
        "cpu": {**_numbers(said, "", ("cpu",), ("percent",)), **_counts(said, ("cpu",), ("timeMs",))},
        "memory": {**_counts(said, memory, ("usedBytes", "limit")), **_numbers(said, "", memory, ("percent",))},
        "disk": {**_counts(said, disk, ("usedBytes", "limit", "fileCount")), **_numbers(said, "", disk, ("percent",))},
        "services": _counts(said, ("services",), ("total", "running", "stopped", "failed")),
    }
    found = {"site": place, **{name: part for name, part in parts.items() if part}}
    at = _ms(_time(said, "timestamp"))
    judge({"sites": [found]})
    return at, found


def report(host: str, at_ms: int, interval: float, parts: Mapping[str, Any], sites: list[Any]) -> dict[str, Any]:
    """What `POST /api/hosts/reports` takes."""
    agent = {"instance": contract.IMPORTED, "version": "imported"}
    said = {"host": host, "timestamp": at_ms, "interval": interval, "agent": agent, **parts}
    return {**said, "sites": sites} if sites else said


def judge(parts: Mapping[str, Any]) -> None:
    """Raises NotUsableError when these parts are not those of a report."""
    try:
        msgspec.convert(report("host", 0, 30, parts, []), HostReport)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        raise NotUsableError(f"{where.rstrip('`') or 'document'}: {said}") from None


def _numbers(said: Mapping[str, Any], above: str, path: tuple[str], names: Iterable[str]) -> dict[str, float]:
    """Those of a part that are there. Raises NotUsableError."""
    part = said.get(path[0])
    if part is None:
        return {}
    where = ".".join((above, *path)) if above else path[0]
    if not isinstance(part, Mapping):
        raise NotUsableError(f"{where}: is no object")
    found: dict[str, float] = {}
    for name in names:
        value = part.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotUsableError(f"{where}.{name}: is no number")
        found[name] = value
    return found


def _counts(said: Mapping[str, Any], path: tuple[str], names: Iterable[str]) -> dict[str, int]:
    found = {name: round(value) for name, value in _numbers(said, "", path, names).items()}
    return {name: value for name, value in found.items() if value or name != "limit"}  # 0: there is none


def _time(said: Mapping[str, Any], name: str) -> datetime:
    at = said.get(name)
    if not isinstance(at, datetime):
        raise NotUsableError(f"{name}: {'is missing' if at is None else 'is no date'}")
    return at.astimezone(UTC)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _text(said: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((text for name in names if isinstance(text := said.get(name), str) and text), "")


def _named(value: Any, names: Iterable[str]) -> str:
    return _text(value, names) if isinstance(value, Mapping) else value if isinstance(value, str) else ""


def _key(value: Any) -> str:
    """An id as text; of a document that stands there whole, its own."""
    found = value.get("_id") if isinstance(value, Mapping) else value
    if isinstance(found, str | int) and not isinstance(found, bool) and 0 < len(str(found)) <= MAX_LABEL_VALUE_CHARS:
        return str(found)
    raise NotUsableError("an id is missing, or is no text")
