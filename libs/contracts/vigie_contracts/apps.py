"""App metrics: the words of what an app says of itself, and their bounds. What is judged: `vigie_publishing.apps`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vigie_contracts import names

# The report, in `vigie_contracts.reports`; its subject is the id of the app.
KIND: Final = "app"

# What an app says: {userId, appId, metrics, timestamp}. The body of the report is all of it, as it was sent.
USER: Final = "userId"
APP: Final = "appId"
METRICS: Final = "metrics"
"""An object of anything. Its numbers become samples."""
TIMESTAMP: Final = "timestamp"
"""ISO 8601, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970."""

NUMBERS: Final[Mapping[str, str]] = {
    "cpu.usage": names.APP_CPU_USAGE,
    "cpu.system": names.APP_CPU_SYSTEM,
    "cpu.user": names.APP_CPU_USER,
    "memory.used": names.APP_MEMORY_USED,
    "memory.total": names.APP_MEMORY_TOTAL,
    "memory.free": names.APP_MEMORY_FREE,
}
"""The metric of each known number, by its path in `metrics`: gauges {app}. Other numbers are `names.APP_METRIC`."""
APP_LABEL: Final = "app"
KEY_LABEL: Final = "key"
"""Of `names.APP_METRIC`: the path of the number, as in `network.latency`."""

APP_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}\Z")
APP_ID_RULE: Final = "must have 1 to 128 characters: letters, digits and _ . : / -, a letter or digit first"
MAX_USER_CHARS: Final = 128
MAX_MESSAGE_BYTES: Final = 64 * 1024
"""What an app says at once, as it is sent."""
MAX_DEPTH: Final = 8
"""Levels of objects and lists in `metrics`, the outermost included."""
MAX_KEYS: Final = 512
"""Keys of all its objects together."""
MAX_OTHERS: Final = 32
"""Numbers beside the known ones that become samples: the first ones."""
MAX_KEY_CHARS: Final = 128
"""A number with a longer path becomes no sample."""
