"""Network: bytes in and out since the machine started."""

from __future__ import annotations

import psutil
from vigie_contracts.hosts import MAX_INTERFACES, Interface, Network

from vigie_agent.collectors.base import Look, Parts, readable

_LOOPBACK = frozenset({"lo", "lo0"})


def read(_look: Look) -> Parts:
    """`network`. The total is of all interfaces but the loopback; the busiest are listed."""
    found = {name: io for name, io in psutil.net_io_counters(pernic=True).items() if name not in _LOOPBACK}
    busiest = sorted(found, key=lambda name: -(found[name].bytes_recv + found[name].bytes_sent))[:MAX_INTERFACES]
    return {
        "network": Network(
            bytes_in=sum(io.bytes_recv for io in found.values()),
            bytes_out=sum(io.bytes_sent for io in found.values()),
            interfaces=[
                Interface(
                    name=readable(name),
                    bytes_in=found[name].bytes_recv,
                    bytes_out=found[name].bytes_sent,
                    errors_in=found[name].errin,
                    errors_out=found[name].errout,
                )
                for name in busiest
            ],
        )
    }
