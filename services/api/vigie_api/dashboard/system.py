"""The numbers of hosts."""

from __future__ import annotations

from typing import Any

from vigie_contracts import names
from vigie_query.functions import Function
from vigie_query.series import Series

from vigie_api.dashboard.numbers import Numbers, Source, Where, rounded
from vigie_api.dashboard.schemas.system import Host, Level, Load, Resources

NAMES = names.SYSTEM
PREFIXES = ("system_", "node_", "host_", "machine_", "container_")


def resources(source: Source) -> Resources:
    """Of all hosts, or of a part."""
    return Resources(**_fields(source))


def hosts(numbers: Numbers) -> list[Host]:
    """Each host by itself, by name."""
    return [Host(host=host, **_fields(numbers.part("host", host))) for host in numbers.label_values(NAMES, "host")]


def level(source: Source, name: str) -> Level:
    """A gauge over the range."""
    return Level(
        avg=rounded(source.value(Function.AVG, name)),
        max=source.value(Function.MAX, name),
        last=source.value(Function.LAST, name),
    )


def _fields(source: Source) -> dict[str, Any]:
    def mean(name: str, where: Where) -> float | None:
        return rounded(source.value(Function.AVG, name, where))

    def rate(name: str) -> float | None:
        return rounded(source.value(Function.RATE, name))

    return {
        "cpu_usage_percent": level(source, names.CPU_USAGE),
        "memory_usage_percent": level(source, names.MEMORY_USAGE),
        "disk_usage_percent": level(source, names.DISK_USAGE),
        "load_average": Load(
            one_minute=mean(names.LOAD_AVERAGE, _over_1m),
            five_minutes=mean(names.LOAD_AVERAGE, _over_5m),
            fifteen_minutes=mean(names.LOAD_AVERAGE, _over_15m),
        ),
        "disk_read_bytes_per_second": rate(names.DISK_READ),
        "disk_written_bytes_per_second": rate(names.DISK_WRITTEN),
        "network_received_bytes_per_second": rate(names.NETWORK_RECEIVED),
        "network_sent_bytes_per_second": rate(names.NETWORK_SENT),
    }


def _over_1m(one: Series) -> bool:
    return one.label("period") == "1m"


def _over_5m(one: Series) -> bool:
    return one.label("period") == "5m"


def _over_15m(one: Series) -> bool:
    return one.label("period") == "15m"
