"""A machine with a site, as its agent would report it over an hour."""

from __future__ import annotations

import math
import time
from typing import Any, Final

HOST: Final = "web-1"
SITE: Final = {
    "id": "shop",
    "host": HOST,
    "name": "Shop",
    "account": "shop",
    "directory": "/var/www/sites/shop",
    "domains": ["shop.example.com"],
    "ports": [{"from": 3000, "to": 3009}],
    "limits": {"memoryBytes": 10**9, "diskBytes": 10**10},
}
AT_ONCE: Final = 40
"""Reports of one request."""
_INTERVAL_S: Final = 30
_COUNT: Final = 120
_GB: Final = 10**9


def reports() -> list[dict[str, Any]]:
    """Of the last hour, oldest first."""
    now_ms = int(time.time() * 1000)
    return [_report(now_ms - (_COUNT - 1 - n) * _INTERVAL_S * 1000, n) for n in range(_COUNT)]


def _report(at_ms: int, n: int) -> dict[str, Any]:
    busy = 38 + 14 * math.sin(n / 9) + 5 * math.sin(n * 1.7)
    memory = round((7.6 + 0.6 * math.sin(n / 17)) * _GB)
    services = [
        {"name": "shop-api", "site": "shop", "pid": 4242, "uptime": 93_784.0, "memoryBytes": 310_000_000},
        {"name": "shop-worker", "site": "shop", "pid": 4243, "uptime": 93_700.0, "memoryBytes": 140_000_000},
        {"name": "nginx", "pid": 77, "uptime": 500_000.0, "memoryBytes": 21_000_000},
    ]
    return {
        "host": HOST,
        "timestamp": at_ms,
        "interval": _INTERVAL_S,
        "uptime": 1_000_000 + n * _INTERVAL_S,
        "agent": {"instance": f"{HOST}-agent", "version": "0.1.0", "platform": "Linux 6.12"},
        "cpu": {
            "percent": busy,
            "perCore": [busy + 6, busy - 6],
            "cores": 2,
            "loadAvg": {"one": busy / 40, "five": 0.9, "fifteen": 0.8},
        },
        "memory": {"total": 16 * _GB, "used": memory, "free": 16 * _GB - memory, "percent": memory / (16 * _GB) * 100},
        "swap": {"total": 2 * _GB, "used": 10**8, "percent": 5},
        "disk": {"total": 100 * _GB, "used": 61 * _GB, "free": 39 * _GB, "percent": 61},
        "disks": [{"mount": "/", "device": "/dev/sda1", "total": 100 * _GB, "used": 61 * _GB, "percent": 61}],
        "network": {"bytesIn": 10**9 + n * 30_000_000, "bytesOut": 10**8 + n * 9_000_000},
        "processes": {"total": 180, "running": 2, "zombie": 0},
        "sites": [
            {
                "site": "shop",
                "account": "shop",
                "processes": 7,
                "cpu": {"percent": busy / 3, "timeMs": 5_000_000 + n * 9_000},
                "memory": {"usedBytes": 450_000_000 + n * 10**5, "percent": 45, "limit": _GB},
                "disk": {"usedBytes": 3 * _GB, "percent": 30, "limit": 10 * _GB, "fileCount": 12_345},
                "services": {"total": 2, "running": 2, "stopped": 0, "failed": 0},
            }
        ],
        "services": [{"state": "active", **one} for one in services],
    }
