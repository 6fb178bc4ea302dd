"""How long the machine runs, and how many people are logged in."""

from __future__ import annotations

import time

import psutil

from vigie_agent.collectors.base import Look, Parts


def read(_look: Look) -> Parts:
    """`uptime` in seconds, and `users`."""
    return {"uptime": round(max(0.0, time.time() - psutil.boot_time()), 1), "users": len(psutil.users())}
