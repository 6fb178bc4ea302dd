"""Memory and swap, in bytes."""

from __future__ import annotations

import psutil
from vigie_contracts.hosts import Memory, Swap

from vigie_agent.collectors.base import Look, Parts


def read(_look: Look) -> Parts:
    """`memory` and `swap`. Used is what is not available to a new process."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory": Memory(
            total=memory.total,
            used=memory.used,
            free=memory.free,
            available=memory.available,
            percent=min(100.0, max(0.0, memory.percent)),
        ),
        "swap": Swap(total=swap.total, used=max(0, swap.used), percent=min(100.0, max(0.0, swap.percent))),
    }
