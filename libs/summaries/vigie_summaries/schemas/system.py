"""GET /api/metrics/system."""

from __future__ import annotations

from pydantic import Field

from vigie_summaries.schemas.base import Model, Number, Ranged
from vigie_summaries.schemas.common import CustomMetric


class Level(Model):
    """A gauge over the range, of all its samples."""

    min: Number
    avg: Number
    max: Number
    last: Number = Field(description="the newest sample; of several hosts, the newest of all")


class Load(Model):
    """Mean load averages over the range."""

    one_minute: Number
    five_minutes: Number
    fifteen_minutes: Number


class Core(Model):
    """One core of a host's processors."""

    core: str
    usage_percent: Level


class Resources(Model):
    """Percentages are 0 to 100; of several hosts, levels are over all samples and rates are added."""

    cpu_usage_percent: Level = Field(description="of whole hosts; of their cores where only those are sent")
    memory_usage_percent: Level
    memory_used_bytes: Level
    memory_available_bytes: Level
    disk_usage_percent: Level
    load_average: Load
    disk_read_bytes_per_second: Number
    disk_written_bytes_per_second: Number
    disk_reads_per_second: Number = Field(description="completed operations")
    disk_writes_per_second: Number = Field(description="completed operations")
    network_received_bytes_per_second: Number
    network_sent_bytes_per_second: Number


class Host(Resources):
    """One host; empty when the samples do not say which."""

    host: str
    cpu_cores: list[Core] = Field(description="in their order; empty when the host does not send them")


class SystemMetrics(Ranged):
    """What the hosts report of themselves."""

    overall: Resources
    hosts: list[Host]
    other: list[CustomMetric] = Field(description="other metrics whose names begin like those of hosts")
    other_truncated: bool = Field(description="there are more than 500 of them")
