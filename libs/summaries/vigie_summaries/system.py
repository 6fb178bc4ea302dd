"""The numbers of hosts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from vigie_contracts import names
from vigie_query.functions import Function
from vigie_query.series import Series

from vigie_summaries.numbers import Numbers, Source, Where, between, finite, rounded
from vigie_summaries.schemas.system import Core, Host, Level, Load, Resources

NAMES = names.SYSTEM
PREFIXES = ("system_", "node_", "host_", "machine_", "container_")


def resources(source: Source) -> Resources:
    """Of all hosts, or of a part."""
    return Resources(**_fields(source))


def hosts(numbers: Numbers) -> list[Host]:
    """Each host by itself, by name."""
    return [_host(numbers.part("host", host), host) for host in numbers.label_values(NAMES, "host")]


def level(source: Source, name: str, where: Where | None = None) -> Level:
    """A gauge over the range."""
    return _level(lambda function: source.value(function, name, where))


def cpu_usage(source: Source) -> Level:
    """Of whole hosts: a host that also sends its cores does not count twice."""
    whole = level(source, names.CPU_USAGE, whole_host)
    return level(source, names.CPU_USAGE) if whole.last is None else whole


def whole_host(one: Series) -> bool:
    """Not one of its cores."""
    return not one.label("core")


def one_core(one: Series) -> bool:
    """Of one core of a host."""
    return bool(one.label("core"))


def _host(source: Source, host: str) -> Host:
    return Host(host=host, cpu_cores=_cores(source), **_fields(source))


def _cores(source: Source) -> list[Core]:
    def value(core: str, function: Function) -> float | None:
        return source.by_label(function, names.CPU_USAGE, "core", one_core).get(core)

    known = source.by_label(Function.LAST, names.CPU_USAGE, "core", one_core)
    ordered = sorted(known, key=lambda core: (len(core), core))  # 2 before 10
    return [Core(core=core, usage_percent=_level(partial(value, core))) for core in ordered]


def _level(value: Callable[[Function], float | None]) -> Level:
    least, greatest = finite(value(Function.MIN)), finite(value(Function.MAX))
    mean = between(value(Function.AVG), least, greatest)
    return Level(min=least, avg=mean, max=greatest, last=finite(value(Function.LAST)))


def _fields(source: Source) -> dict[str, Any]:
    def mean(name: str, where: Where) -> float | None:
        return rounded(source.value(Function.AVG, name, where))

    def rate(name: str) -> float | None:
        return rounded(source.value(Function.RATE, name))

    return {
        "cpu_usage_percent": cpu_usage(source),
        "memory_usage_percent": level(source, names.MEMORY_USAGE),
        "memory_used_bytes": level(source, names.MEMORY_USED),
        "memory_available_bytes": level(source, names.MEMORY_AVAILABLE),
        "disk_usage_percent": level(source, names.DISK_USAGE),
        "load_average": Load(
            one_minute=mean(names.LOAD_AVERAGE, _over_1m),
            five_minutes=mean(names.LOAD_AVERAGE, _over_5m),
            fifteen_minutes=mean(names.LOAD_AVERAGE, _over_15m),
        ),
        "disk_read_bytes_per_second": rate(names.DISK_READ),
        "disk_written_bytes_per_second": rate(names.DISK_WRITTEN),
        "disk_reads_per_second": rate(names.DISK_READS),
        "disk_writes_per_second": rate(names.DISK_WRITES),
        "network_received_bytes_per_second": rate(names.NETWORK_RECEIVED),
        "network_sent_bytes_per_second": rate(names.NETWORK_SENT),
    }


def _over_1m(one: Series) -> bool:
    return one.label("period") == "1m"


def _over_5m(one: Series) -> bool:
    return one.label("period") == "5m"


def _over_15m(one: Series) -> bool:
    return one.label("period") == "15m"
