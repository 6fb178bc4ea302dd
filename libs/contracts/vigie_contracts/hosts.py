"""Host reports: what an agent says of its machine, the sites on it and their services, in one message per collection.

Which samples are made of it: `vigie_contracts.names`. Names on the wire are camelCase. What
could not be read is null, and `agent.unavailable` says why; percentages are 0 to 100 of the whole, where a site that
keeps several cores busy may have more; times are milliseconds since 1970, durations seconds unless the name says ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

# The report, in `vigie_contracts.reports`; its subject is the name of the host.
KIND: Final = "host"

HOST_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}$"
HOST_RULE: Final = "must have 1 to 128 characters: letters, digits and _ . -, a letter or digit first"
SITE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,127}$"
"""Of the id of a site."""
SITE_RULE: Final = "must have 1 to 128 characters: letters, digits and _ . : -, a letter or digit first"
SERVICE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@\\\-]{0,254}$"
"""Of the name of a systemd service, without `.service`."""
SERVICE_RULE: Final = "must have 1 to 255 characters: letters, digits and _ . : @ \\ -, a letter or digit first"
INSTANCE_PATTERN: Final = r"^[A-Za-z0-9_\-]{8,64}$"
IMPORTED: Final = "replaced-supervision"
"""The instance in whose name `vigie import supervision` reports: no agent, and none is asked for anything."""

MAX_REPORT_BYTES: Final = 512 * 1024
"""One report as JSON: it is kept whole, in one record of the bus."""
MAX_REPORTS: Final = 100
"""Reports in one request."""
MIN_INTERVAL_S: Final = 10
MAX_INTERVAL_S: Final = 300
DEFAULT_INTERVAL_S: Final = 30
MAX_CORES: Final = 1_024
MAX_DISKS: Final = 64
MAX_INTERFACES: Final = 64
MAX_SITES: Final = 500
MAX_SERVICES: Final = 2_000
MAX_UNAVAILABLE: Final = 200
MAX_TEXT_CHARS: Final = 256


def _whole(pattern: str) -> Any:
    """Python's `$` also stands before a newline at the end."""
    return Meta(pattern=pattern.removesuffix("$") + r"\Z")


HostName = Annotated[str, _whole(HOST_PATTERN)]
SiteId = Annotated[str, _whole(SITE_PATTERN)]
ServiceName = Annotated[str, _whole(SERVICE_PATTERN)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=100 * MAX_CORES)]
"""Percent of one core: more than 100 with several."""
Load = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
"""Also bytes and milliseconds; exact as a JSON number everywhere."""
Duration = Annotated[float, Meta(ge=0, le=1e12)]
"""Seconds."""


class _Wire(msgspec.Struct, rename="camel"):
    pass


class ServiceState(StrEnum):
    """`ActiveState` of systemd; `unknown` where nobody could be asked."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    RELOADING = "reloading"
    UNKNOWN = "unknown"


class Unavailable(_Wire, kw_only=True):
    """Something that could not be read: `what` is the path in the report (`pressure`, `sites.shop.disk`)."""

    what: Text
    reason: Text


class AgentInfo(_Wire, kw_only=True):
    """Who reports. `instance` is made once per installation and kept: two agents that use one host name are told apart
    by it. `buffered`: reports that still wait to be sent when this one was made."""

    instance: Annotated[str, _whole(INSTANCE_PATTERN)]
    version: Text
    platform: Text | None = None
    uptime: Duration | None = None
    unavailable: Annotated[list[Unavailable], Meta(max_length=MAX_UNAVAILABLE)] = []
    buffered: Count = 0


class LoadAverage(_Wire, kw_only=True):
    one: Load
    five: Load
    fifteen: Load


class Cpu(_Wire, kw_only=True):
    """`percent` is that of all cores together."""

    percent: Percent | None = None
    per_core: Annotated[list[Percent], Meta(max_length=MAX_CORES)] | None = None
    cores: Count | None = None
    model: Text | None = None
    load_avg: LoadAverage | None = None


class Memory(_Wire, kw_only=True):
    """Bytes."""

    total: Count | None = None
    used: Count | None = None
    free: Count | None = None
    available: Count | None = None
    percent: Percent | None = None


class Swap(_Wire, kw_only=True):
    """Bytes."""

    total: Count | None = None
    used: Count | None = None
    percent: Percent | None = None


class Volume(_Wire, kw_only=True):
    """The volume that counts as the host's disk, that of the sites or the root; bytes."""

    total: Count | None = None
    used: Count | None = None
    free: Count | None = None
    percent: Percent | None = None


class Disk(_Wire, kw_only=True):
    """One mounted volume; `read_bytes` and `write_bytes` are totals of its device since the machine started."""

    mount: Text
    device: Text | None = None
    fs_type: Text | None = None
    total: Count | None = None
    used: Count | None = None
    free: Count | None = None
    percent: Percent | None = None
    inodes_total: Count | None = None
    inodes_used: Count | None = None
    read_bytes: Count | None = None
    write_bytes: Count | None = None


class Interface(_Wire, kw_only=True):
    """Totals since the machine started."""

    name: Text
    bytes_in: Count | None = None
    bytes_out: Count | None = None
    errors_in: Count | None = None
    errors_out: Count | None = None


class Network(_Wire, kw_only=True):
    """Totals of all interfaces but the loopback, since the machine started."""

    bytes_in: Count | None = None
    bytes_out: Count | None = None
    interfaces: Annotated[list[Interface], Meta(max_length=MAX_INTERFACES)] = []


class Processes(_Wire, kw_only=True):
    total: Count | None = None
    running: Count | None = None
    sleeping: Count | None = None
    stopped: Count | None = None
    zombie: Count | None = None


class Stall(_Wire, kw_only=True):
    """Share of the time in which tasks waited, averaged over 10 and 60 seconds."""

    avg10: Percent
    avg60: Percent


class PressureOf(_Wire, kw_only=True):
    """Time in which `some` tasks, or the `full` machine, waited for one resource."""

    some: Stall | None = None
    full: Stall | None = None


class Pressure(_Wire, kw_only=True):
    """`/proc/pressure`."""

    cpu: PressureOf | None = None
    memory: PressureOf | None = None
    io: PressureOf | None = None


class SiteCpu(_Wire, kw_only=True):
    """`time_ms`: what the site's processes that live now have used."""

    percent: Share | None = None
    time_ms: Count | None = None


class SiteMemory(_Wire, kw_only=True):
    """`limit` in bytes; null: none is set."""

    used_bytes: Count | None = None
    percent: Percent | None = None
    limit: Count | None = None


class SiteDisk(_Wire, kw_only=True):
    """`complete`: whether the whole directory was counted; the numbers are those of the last whole count, or of what
    was counted until now. `percent` is of the limit; null without one."""

    used_bytes: Count | None = None
    percent: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    limit: Count | None = None
    file_count: Count | None = None
    complete: bool = True


class SiteServices(_Wire, kw_only=True):
    """`running` are active ones; `stopped` all that neither run nor failed."""

    total: Count = 0
    running: Count = 0
    stopped: Count = 0
    failed: Count = 0


class SiteReport(_Wire, kw_only=True):
    """One site: `site` is its id, `account` its Unix account."""

    site: SiteId
    account: Text | None = None
    cpu: SiteCpu | None = None
    memory: SiteMemory | None = None
    processes: Count | None = None
    disk: SiteDisk | None = None
    services: SiteServices | None = None


class ServiceReport(_Wire, kw_only=True):
    """One systemd service, without `.service`; `site` null: one of the host. `uptime`: seconds since it is active."""

    name: ServiceName
    site: SiteId | None = None
    state: ServiceState
    sub_state: Text | None = None
    pid: Count | None = None
    uptime: Duration | None = None
    memory_bytes: Count | None = None
    cpu_time_ms: Count | None = None
    restarts: Count | None = None


class HostReport(_Wire, kw_only=True):
    """One collection. `interval` is the one that the agent goes by, in seconds."""

    host: HostName
    timestamp: int
    interval: Annotated[float, Meta(gt=0, le=86_400)]
    agent: AgentInfo
    cpu: Cpu | None = None
    memory: Memory | None = None
    swap: Swap | None = None
    disk: Volume | None = None
    disks: Annotated[list[Disk], Meta(max_length=MAX_DISKS)] = []
    network: Network | None = None
    processes: Processes | None = None
    pressure: Pressure | None = None
    uptime: Duration | None = None
    """Seconds since the machine started."""
    users: Count | None = None
    """People who are logged in."""
    sites: Annotated[list[SiteReport], Meta(max_length=MAX_SITES)] = []
    services: Annotated[list[ServiceReport], Meta(max_length=MAX_SERVICES)] = []

    def body(self) -> dict[str, Any]:
        """The body of its report, in the names of the wire."""
        return msgspec.to_builtins(self)


RECEIVED: Final = "receivedAt"
"""Milliseconds: when the gateway took it; added to the body by the gateway."""


def is_host(text: str) -> bool:
    """Whether it can be the name of a host."""
    return re.fullmatch(HOST_PATTERN, text) is not None and not text.endswith("\n")


def repeated(names: Sequence[str]) -> str | None:
    """The first name that is there twice; None: none is."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
