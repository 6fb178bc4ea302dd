"""Node telemetry: the words of a node's report. What is kept of the reports: `vigie_storage.reports.documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from vigie_contracts import names
from vigie_contracts.tiers import HOUR

# The report, in `vigie_contracts.reports`.
KIND: Final = "node"
SUBJECT: Final = "node"
"""The subject of every node's report: a tenant has one node."""

# What a node says of itself. Three numbers are required, the fourth and the rest are not.
UPTIME: Final = "uptime"
"""Seconds since the node started."""
ACTIVE_USERS: Final = "activeUsers"
EXERCISES: Final = "exercisesCompletedToday"
AI_LATENCY: Final = "aiLatency"
"""Milliseconds."""
VERSION: Final = "version"
ADDITIONAL: Final = "additionalData"
"""An object of anything. Its known numbers are `ADDITIONAL_NUMBERS`."""

REQUIRED_NUMBERS: Final = (UPTIME, ACTIVE_USERS, EXERCISES)
NUMBERS: Final = (*REQUIRED_NUMBERS, AI_LATENCY)

CPU: Final = "cpuUsage"
MEMORY: Final = "memoryUsage"
DISK: Final = "diskUsage"
"""Per cent. More than 100 is taken: some senders count every core."""
ERRORS: Final = "errorCount"
ADDITIONAL_NUMBERS: Final = (CPU, MEMORY, DISK, ERRORS)

MAX_NUMBER: Final = 1e12
"""Each of these numbers is between 0 and this: no sum of them overflows."""
MAX_VERSION_CHARS: Final = 128

METRICS: Final[Mapping[str, str]] = {
    UPTIME: names.NODE_UPTIME,
    ACTIVE_USERS: names.NODE_ACTIVE_USERS,
    EXERCISES: names.NODE_EXERCISES,
    AI_LATENCY: names.NODE_AI_LATENCY,
    CPU: names.NODE_CPU_USAGE,
    MEMORY: names.NODE_MEMORY_USAGE,
    DISK: names.NODE_DISK_USAGE,
    ERRORS: names.NODE_ERRORS,
}
"""The metric of each number: gauges of the tenant, without labels."""

Number = Annotated[float, Meta(ge=0, le=MAX_NUMBER)]


class Telemetry(msgspec.Struct, rename="camel", kw_only=True):
    """The body of a node's report. Null and absent are the same; what has no field here is ignored."""

    uptime: Number
    active_users: Number
    exercises_completed_today: Number
    ai_latency: Number | None = None
    version: Annotated[str, Meta(max_length=MAX_VERSION_CHARS)] | None = None
    additional_data: dict[str, Any] | None = None

    def numbers(self) -> dict[str, float]:
        """By field: the required ones, the latency if it was said, and the known numbers of the additional data."""
        given = self.additional_data or {}
        return self._main() | {name: float(given[name]) for name in ADDITIONAL_NUMBERS if is_number(given.get(name))}

    def body(self) -> dict[str, Any]:
        """The body of its report: what was said, whole numbers as such, so that the same has one spelling."""
        said: dict[str, Any] = {name: int(x) if x.is_integer() else x for name, x in self._main().items()}
        if self.version is not None:
            said[VERSION] = self.version
        if self.additional_data is not None:
            said[ADDITIONAL] = self.additional_data
        return said

    def _main(self) -> dict[str, float]:
        said: dict[str, float | None] = {
            UPTIME: self.uptime,
            ACTIVE_USERS: self.active_users,
            EXERCISES: self.exercises_completed_today,
            AI_LATENCY: self.ai_latency,
        }
        return {name: float(value) for name, value in said.items() if value is not None}


def is_number(value: object) -> bool:
    """Whether it can be one of the known numbers: between 0 and `MAX_NUMBER`, neither true nor false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


# Bounds of `additionalData`.
MAX_ADDITIONAL_DEPTH: Final = 8
"""Levels of objects and lists, the outermost included."""
MAX_ADDITIONAL_KEYS: Final = 256
"""Keys of all its objects together."""
MAX_ADDITIONAL_BYTES: Final = 16 * 1024
"""As JSON without spaces, bytes."""
MAX_ADDITIONAL_METRICS: Final = 32
"""Numbers at its top, beside the known ones, that become samples of `names.NODE_ADDITIONAL`: the first ones, if the
sender may write samples of the tenant."""
MAX_ADDITIONAL_KEY_CHARS: Final = 128
"""Keys at its top that are longer become no sample."""
MAX_TELEMETRY_BYTES: Final = 64 * 1024
"""The whole body of a request, as it is sent and decompressed."""

RETENTION_MS: Final = HOUR.retention_ms
"""How long hours and days are kept."""
MAX_ZONES: Final = 4
"""Time zones in which days are kept."""
