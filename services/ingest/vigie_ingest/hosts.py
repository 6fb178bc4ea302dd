"""What a host says of itself: decoded, judged, and the report and the samples that are made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace
from vigie_contracts import hosts as contract
from vigie_contracts import names
from vigie_contracts.hosts import HostReport, ServiceReport, ServiceState, SiteReport
from vigie_contracts.problems import MAX_FIELD_CHARS, ItemProblem
from vigie_contracts.series import Kind
from vigie_publishing import timestamps
from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.keys import digest
from vigie_publishing.metric import UNREADABLE, Sample
from vigie_publishing.publishers import KeyedReport

from vigie_ingest.decoding import Decoded, item_error
from vigie_ingest.errors import MalformedBodyError, RejectedItem, TooManyReportsError
from vigie_ingest.ignored import FieldReader, Ignored, warn

_reader: Final = FieldReader(HostReport, "a report of a host")
_list: Final = msgspec.json.Decoder(list[Raw])
_raw: Final = msgspec.json.Decoder(Raw)
_UP: Final = frozenset({ServiceState.ACTIVE, ServiceState.RELOADING})
_LONG: Final = ItemError(Reason.VALUE, "item", f"is longer than {contract.MAX_REPORT_BYTES} bytes")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A report as it was sent, and where it stood in the request."""

    index: int
    report: HostReport


def decode_reports(body: bytes) -> Decoded[Said]:
    """One report, or a list of at most `MAX_REPORTS`; each is read alone. Raises MalformedBodyError,
    TooManyReportsError."""
    bare = body[:64].lstrip()[:1] == b"["
    try:
        items = _list.decode(body) if bare else [_raw.decode(body)]
    except UNREADABLE as e:
        raise MalformedBodyError(f"the body {item_error(e, body).detail}") from e
    if len(items) > contract.MAX_REPORTS:
        raise TooManyReportsError(contract.MAX_REPORTS)
    decoded = Decoded[Said]([], [])
    indexes = decoded.indexes = []
    for index, item in enumerate(items):
        raw = bytes(item)
        found = _LONG if len(raw) > contract.MAX_REPORT_BYTES else _read(raw)
        if isinstance(found, ItemError):
            decoded.rejected.append(RejectedItem(index, found))
            continue
        report, ignored = found
        decoded.items.append(Said(index, report))
        indexes.append(index)
        warn(decoded.warnings, index, ignored)
    return decoded


def _read(raw: bytes) -> tuple[HostReport, list[Ignored]] | ItemError:
    try:
        report, ignored = _reader.read(raw)
    except UNREADABLE as e:
        return item_error(e, raw)
    return report, list(ignored)


def fault(report: HostReport, now_ms: int, bound_to: str | None, max_age_ms: int) -> ItemError | None:
    """Why a report is not taken; `bound_to`: the only host that the key speaks for."""
    if bound_to is not None and report.host != bound_to:
        return ItemError(Reason.VALUE, "host", f"is not {bound_to}, the only one that this key speaks for")
    if (wrong := timestamps.check(report.timestamp, now_ms, max_age_ms=max_age_ms)) is not None:
        return wrong
    if (twice := contract.repeated([one.site for one in report.sites])) is not None:
        return ItemError(Reason.VALUE, "sites", f"{twice} is there twice")
    if (twice := contract.repeated([one.name for one in report.services])) is not None:
        return ItemError(Reason.VALUE, "services", f"{twice} is there twice")
    return None


def own(report: HostReport, host_of: Mapping[str, str]) -> tuple[HostReport, list[Ignored]]:
    """The report without the sites that are another host's, and their services; what was left out."""
    foreign = {one.site for one in report.sites} | {one.site for one in report.services if one.site is not None}
    foreign = {site for site in foreign if host_of.get(site, report.host) != report.host}
    if not foreign:
        return report, []
    kept = replace(
        report,
        sites=[one for one in report.sites if one.site not in foreign],
        services=[one for one in report.services if one.site not in foreign],
    )
    return kept, [
        Ignored(f"sites.{site}"[:MAX_FIELD_CHARS], "is a site of another host: it and its services were left out")
        for site in sorted(foreign)
    ]


def keyed(tenant: str, report: HostReport, now_ms: int) -> KeyedReport:
    """Ready to publish: the same whenever the same host says something of the same time."""
    key = digest(b"vigie-host-v1", tenant.encode(), report.host.encode(), str(report.timestamp).encode())
    return KeyedReport(
        tenant=tenant,
        at_ms=report.timestamp,
        key=key,
        samples=samples_of(report),
        kind=contract.KIND,
        subject=report.host,
        body=report.body() | {contract.RECEIVED: now_ms},
    )


def problems(index: int, ignored: list[Ignored]) -> list[ItemProblem]:
    """As an answer lists them."""
    return [ItemProblem(index, *one) for one in ignored]


def samples_of(report: HostReport) -> list[Sample]:
    """A sample of each number that was said."""
    host = (("host", report.host),)
    found = [*_machine(report, host), *_volumes(report, host), *_pressure(report, host)]
    for site in report.sites:
        found += _site(site, (*host, ("site", site.site)))
    for service in report.services:
        found += _service(service, (*host, ("site", service.site or ""), ("service", service.name)))
    return found


def _some(kind: Kind, labels: Labels, said: Mapping[str, float | None]) -> Iterator[Sample]:
    for name, value in said.items():
        if value is not None:
            yield Sample(name, kind, labels, float(value))


def _machine(report: HostReport, host: Labels) -> Iterator[Sample]:
    said: dict[str, float | None] = {
        names.AGENT_UPTIME: report.agent.uptime,
        names.AGENT_BUFFERED: report.agent.buffered,
        names.UPTIME: report.uptime,
        names.LOGGED_IN: report.users,
    }
    if (cpu := report.cpu) is not None:
        said[names.CPU_USAGE] = cpu.percent
        for core, percent in enumerate(cpu.per_core or ()):
            yield Sample(names.CPU_USAGE, Kind.GAUGE, (*host, ("core", str(core))), percent)
        if (load := cpu.load_avg) is not None:
            for period, value in (("1m", load.one), ("5m", load.five), ("15m", load.fifteen)):
                yield Sample(names.LOAD_AVERAGE, Kind.GAUGE, (*host, ("period", period)), value)
    if (memory := report.memory) is not None:
        said |= {
            names.MEMORY_TOTAL: memory.total,
            names.MEMORY_USED: memory.used,
            names.MEMORY_FREE: memory.free,
            names.MEMORY_AVAILABLE: memory.available,
            names.MEMORY_USAGE: memory.percent,
        }
    if (swap := report.swap) is not None:
        said |= {names.SWAP_TOTAL: swap.total, names.SWAP_USED: swap.used, names.SWAP_USAGE: swap.percent}
    if (processes := report.processes) is not None:
        said |= {names.PROCESSES: processes.total, names.PROCESSES_RUNNING: processes.running}
    yield from _some(Kind.GAUGE, host, said)
    if (network := report.network) is not None:
        totals = {names.NETWORK_RECEIVED: network.bytes_in, names.NETWORK_SENT: network.bytes_out}
        yield from _some(Kind.CUMULATIVE, host, totals)


def _volumes(report: HostReport, host: Labels) -> Iterator[Sample]:
    if (disk := report.disk) is not None:
        said = {
            names.DISK_TOTAL: disk.total,
            names.DISK_USED: disk.used,
            names.DISK_FREE: disk.free,
            names.DISK_USAGE: disk.percent,
        }
        yield from _some(Kind.GAUGE, host, said)
    devices: dict[str, tuple[int | None, int | None]] = {}
    mounts = set[str]()
    for one in report.disks:
        devices.setdefault(one.device or one.mount, (one.read_bytes, one.write_bytes))  # one device, several mounts
        if one.mount in mounts:
            continue
        mounts.add(one.mount)
        inodes = 100 * min(1.0, (one.inodes_used or 0) / one.inodes_total) if one.inodes_total else None
        usage = {names.FILESYSTEM_USAGE: one.percent, names.FILESYSTEM_INODES_USAGE: inodes}
        yield from _some(Kind.GAUGE, (*host, ("mount", one.mount)), usage)
    for at, name in enumerate((names.DISK_READ, names.DISK_WRITTEN)):
        known = [value for device in devices.values() if (value := device[at]) is not None]
        if known:
            yield Sample(name, Kind.CUMULATIVE, host, float(sum(known)))


def _pressure(report: HostReport, host: Labels) -> Iterator[Sample]:
    if report.pressure is None:
        return
    for resource in ("cpu", "memory", "io"):
        of = getattr(report.pressure, resource)
        for share in ("some", "full"):
            stall = None if of is None else getattr(of, share)
            if stall is not None:
                for period, value in (("10s", stall.avg10), ("60s", stall.avg60)):
                    labels = (*host, ("resource", resource), ("share", share), ("period", period))
                    yield Sample(names.PRESSURE, Kind.GAUGE, labels, value)


def _site(site: SiteReport, labels: Labels) -> Iterator[Sample]:
    said: dict[str, float | None] = {names.SITE_PROCESSES: site.processes}
    if site.cpu is not None:
        said[names.SITE_CPU_USAGE] = site.cpu.percent
    if site.memory is not None:
        said |= {names.SITE_MEMORY_USED: site.memory.used_bytes, names.SITE_MEMORY_USAGE: site.memory.percent}
    if site.disk is not None:
        said |= {
            names.SITE_DISK_USED: site.disk.used_bytes,
            names.SITE_DISK_USAGE: site.disk.percent,
            names.SITE_FILES: site.disk.file_count,
        }
    yield from _some(Kind.GAUGE, labels, said)
    if (services := site.services) is not None:
        for state in ("running", "stopped", "failed"):
            yield Sample(names.SITE_SERVICES, Kind.GAUGE, (*labels, ("state", state)), getattr(services, state))


def _service(service: ServiceReport, labels: Labels) -> Iterator[Sample]:
    up = None if service.state is ServiceState.UNKNOWN else float(service.state in _UP)
    said: dict[str, float | None] = {
        names.SERVICE_UP: up,
        names.SERVICE_UPTIME: service.uptime,
        names.SERVICE_MEMORY_USED: service.memory_bytes,
    }
    yield from _some(Kind.GAUGE, labels, said)
    spent = None if service.cpu_time_ms is None else service.cpu_time_ms / 1000
    yield from _some(Kind.CUMULATIVE, labels, {names.SERVICE_CPU_TIME: spent, names.SERVICE_RESTARTS: service.restarts})


def whole_patterns(schema: dict[str, Any]) -> None:
    """Python's `\\Z` is no pattern of JSON Schema."""
    for value in schema.values():
        if isinstance(value, dict):
            whole_patterns(cast("dict[str, Any]", value))
        elif isinstance(value, list):
            for one in cast("list[Any]", value):
                if isinstance(one, dict):
                    whole_patterns(cast("dict[str, Any]", one))
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        schema["pattern"] = pattern.replace("\\Z", "$")
